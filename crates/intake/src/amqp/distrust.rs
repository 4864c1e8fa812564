//! TLS that came to nothing, in words.

use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error};

/// Why there is no TLS between us and the broker, where only a change of the set-up can help.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Distrust {
    /// No authority that we trust has signed the broker's certificate.
    UnknownAuthority,
    /// The certificate is another host's.
    OtherHost(CertificateError),
    /// The certificate's time is over.
    Expired,
    /// Something else is wrong with the certificate.
    Certificate(CertificateError),
    /// The broker wants a certificate of us, or another one.
    OurCertificate(AlertDescription),
    /// What answers does not speak TLS.
    NoTls,
}

impl Distrust {
    /// What the TLS library has reported, if it is of this kind.
    pub(super) fn in_error(error: &io::Error) -> Option<Self> {
        match error.get_ref()?.downcast_ref::<Error>()? {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(Self::UnknownAuthority),
            Error::InvalidCertificate(
                error @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
            ) => Some(Self::OtherHost(error.clone())),
            Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                Some(Self::Expired)
            }
            Error::InvalidCertificate(error) => Some(Self::Certificate(error.clone())),
            Error::AlertReceived(
                alert @ (AlertDescription::HandshakeFailure
                | AlertDescription::NoCertificate
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::CertificateRequired),
            ) => Some(Self::OurCertificate(*alert)),
            Error::InvalidMessage(_) => Some(Self::NoTls),
            _ => None,
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAuthority => f.write_str(
                "the broker's certificate is signed by no authority that is trusted here; if it is your own, put that \
                 authority's certificate into a file (PEM) and name it in FOXDEN_AMQP_CA_FILE",
            ),
            Self::OtherHost(error) => write!(
                f,
                "the broker's certificate is for another host ({error}); use in FOXDEN_AMQP_URL a name that the certificate \
                 has, or give the broker one for this name"
            ),
            Self::Expired => f.write_str("the broker's certificate has expired; renew it at the broker"),
            Self::Certificate(error) => {
                write!(f, "the broker's certificate is not good ({error}); give the broker another one")
            }
            Self::OurCertificate(alert) => write!(
                f,
                "the broker wants a certificate of us, or does not accept ours (TLS alert {alert:?}); set \
                 FOXDEN_AMQP_CLIENT_CERT_FILE and FOXDEN_AMQP_CLIENT_KEY_FILE to one that it accepts"
            ),
            Self::NoTls => f.write_str(
                "what answers there does not speak TLS; use the broker's port for TLS (most often 5671), or amqp:// if the \
                 way there is safe",
            ),
        }
    }
}

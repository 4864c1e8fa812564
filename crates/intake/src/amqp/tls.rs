//! How the broker is known over TLS, and how we are.

use std::{fmt, io, sync::Arc};

use lapin::tcp::{RustlsConnector, RustlsConnectorConfig};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// What `amqps://` goes by: whose certificates count, and which one we show. The broker is always verified.
///
/// [`Tls::default`] trusts the system's authorities and shows no certificate. `Debug` tells only what was given.
#[derive(Clone, Default)]
pub struct Tls {
    authorities: Option<Vec<CertificateDer<'static>>>,
    identity: Option<Identity>,
}

#[derive(Clone)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// What is wrong with a certificate or a key. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// No certificate of an authority.
    #[error("expected PEM with the certificate of at least one authority (-----BEGIN CERTIFICATE-----)")]
    Authorities,
    /// No certificate of ours.
    #[error("expected PEM with the client's certificate, and those in between (-----BEGIN CERTIFICATE-----)")]
    Certificate,
    /// No private key.
    #[error("expected PEM with one private key that is not encrypted (-----BEGIN PRIVATE KEY-----)")]
    Key,
    /// The key is of a kind that can't be used, or another certificate's.
    #[error("the private key does not belong to the client's certificate, or is of a kind that can't be used")]
    Pair,
}

impl Tls {
    /// Trusts these authorities (PEM) and no others.
    ///
    /// # Errors
    /// When there is none in it, or one that can't be read: a bundle that is read in part would be refused later, where
    /// nobody expects it.
    pub fn with_authorities(self, pem: &str) -> Result<Self, TlsError> {
        let authorities = certificates(pem).ok_or(TlsError::Authorities)?;
        let mut tried = RootCertStore::empty();
        for certificate in &authorities {
            tried.add(certificate.clone()).map_err(|_| TlsError::Authorities)?;
        }
        Ok(Self { authorities: Some(authorities), ..self })
    }

    /// Shows the broker this certificate (PEM, with those in between), by this key (PEM).
    ///
    /// # Errors
    /// When they can't be read, or don't belong together.
    pub fn with_identity(self, certificate: &str, key: &str) -> Result<Self, TlsError> {
        let chain = certificates(certificate).ok_or(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| TlsError::Key)?;
        // Only to see whether they go together.
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the protocol versions that are the library's defaults")
            .with_root_certificates(RootCertStore::empty())
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|_| TlsError::Pair)?;
        Ok(Self { identity: Some(Identity { chain, key: Arc::new(key) }), ..self })
    }

    /// Whether anything was given.
    pub fn is_default(&self) -> bool {
        self.authorities.is_none() && self.identity.is_none()
    }

    /// What opens TLS. The system's authorities are read anew each time, so that a renewed bundle counts.
    pub(super) fn connector(&self) -> io::Result<RustlsConnector> {
        let config = match &self.authorities {
            Some(authorities) => RustlsConnectorConfig::default().with_parsable_certificates(authorities.clone()),
            None => RustlsConnectorConfig::new_with_native_certs()?,
        };
        match &self.identity {
            Some(Identity { chain, key }) => config.connector_with_single_cert(chain.clone(), key.clone_key()),
            None => config.connector_with_no_client_auth(),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("authorities", &self.authorities.as_ref().map(Vec::len))
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

/// All certificates of a PEM file; none if there are none, or if one can't be read.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::{Tls, TlsError};

    /// Well-formed PEM whose contents are none.
    fn pem(label: &str) -> String {
        format!("-----BEGIN {label}-----\nbm90aGluZw==\n-----END {label}-----\n")
    }

    #[test]
    fn what_is_no_certificate_or_no_key_is_refused_at_once() {
        let refused = |result: Result<Tls, TlsError>| result.unwrap_err();
        for text in ["", "ca.pem", &pem("PRIVATE KEY"), &pem("CERTIFICATE")] {
            assert_eq!(refused(Tls::default().with_authorities(text)), TlsError::Authorities);
        }
        assert_eq!(refused(Tls::default().with_identity("", &pem("PRIVATE KEY"))), TlsError::Certificate);
        assert_eq!(refused(Tls::default().with_identity(&pem("CERTIFICATE"), "")), TlsError::Key);
        assert_eq!(refused(Tls::default().with_identity(&pem("CERTIFICATE"), &pem("PRIVATE KEY"))), TlsError::Pair);
        assert_eq!(
            refused(Tls::default().with_identity(&pem("CERTIFICATE"), &pem("ENCRYPTED PRIVATE KEY"))),
            TlsError::Key
        );
    }
}

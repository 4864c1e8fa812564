//! TLS before the simulator, as before the real Foxy: HTTPS, and HTTP/2 where a client offers it.

use std::{net::SocketAddr, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// A listener with a certificate for its address.
pub(crate) struct Front {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Front {
    /// Listens, and writes the authority that clients are to trust to a file.
    pub(crate) async fn listen(authority_file: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("it listens");
        let mut of_authority = CertificateParams::default();
        of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = || KeyPair::generate().expect("the operating system gives random bytes");
        let authority = CertifiedIssuer::self_signed(of_authority, key()).expect("a key signs for itself");
        std::fs::write(authority_file, authority.pem()).expect("there is room for a certificate");
        let server_key = key();
        let mut of_server = CertificateParams::new([address.ip().to_string()]).expect("an address is a name");
        // Under its authority's name OpenSSL would take it for signed by itself.
        of_server.distinguished_name.push(DnType::CommonName, "simulator");
        let certificate = of_server.signed_by(&server_key, &authority).expect("an authority signs");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has these")
            .with_no_client_auth();
        let mut config =
            config.with_single_cert(vec![certificate.into()], server_key.into()).expect("they belong together");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { listener, tls: TlsAcceptor::from(Arc::new(config)) }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.listener.local_addr().expect("it listens"))
    }

    /// Passes connections on, each as one without TLS.
    pub(crate) async fn serve(self, foxy: SocketAddr) {
        while let Ok((client, _)) = self.listener.accept().await {
            // Best effort: without it, small answers may wait for the peer's delayed acknowledgement.
            let _ = client.set_nodelay(true);
            let tls = self.tls.clone();
            tokio::spawn(async move {
                // One that hangs up during the handshake has made no call.
                let Ok(mut client) = tls.accept(client).await else { return };
                if let Ok(mut foxy) = TcpStream::connect(foxy).await {
                    let _ = foxy.set_nodelay(true);
                    drop(copy_bidirectional(&mut client, &mut foxy).await);
                }
            });
        }
    }
}

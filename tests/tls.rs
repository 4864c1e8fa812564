//! A proxy that ends TLS before the simulator, as before the real Foxy: HTTPS, and HTTP/2 where a client offers it.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::support::Place;

/// RFC 7301: what client and server agree on for a connection.
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// The proxy; it ends with this value.
pub(crate) struct TlsProxy {
    connections: Arc<Connections>,
    accepting: JoinHandle<()>,
}

/// How many were made.
#[derive(Default)]
struct Connections {
    http_1: AtomicUsize,
    http_2: AtomicUsize,
}

impl TlsProxy {
    /// A place whose Foxy is behind such a proxy, under an authority that only this place's programs trust.
    pub(crate) async fn place(config: foxy_sim::Config) -> (Place, Self) {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let authority = dir.path().join("authority.pem");
        let tls = server(address, &authority);
        let public_url = Some(format!("https://{address}"));
        let mut place = Place::at(dir, foxy_sim::Config { public_url, ..config }).await;
        place.set("SSL_CERT_FILE", authority.to_str().unwrap());
        let connections = Arc::<Connections>::default();
        let accepting = tokio::spawn(accept(listener, tls, place.sim.local_addr(), Arc::clone(&connections)));
        (place, Self { connections, accepting })
    }

    /// How many connections spoke HTTP/1.1, and how many HTTP/2.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let Connections { http_1, http_2 } = &*self.connections;
        (http_1.load(Ordering::Relaxed), http_2.load(Ordering::Relaxed))
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A certificate for this address, and in a file the authority that has signed it.
fn server(address: SocketAddr, authority_file: &Path) -> TlsAcceptor {
    let mut of_authority = CertificateParams::default();
    of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(of_authority, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(authority_file, authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let of_server = CertificateParams::new([address.ip().to_string()]).unwrap();
    let certificate = of_server.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate.into()], key.into()).unwrap();
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, foxy: SocketAddr, connections: Arc<Connections>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let (tls, connections) = (tls.clone(), Arc::clone(&connections));
        tokio::spawn(async move {
            // A client that hangs up during the handshake is no concern of the tests.
            let Ok(mut client) = tls.accept(client).await else { return };
            let agreed = client.get_ref().1.alpn_protocol();
            let count = if agreed == Some(HTTP_2) { &connections.http_2 } else { &connections.http_1 };
            count.fetch_add(1, Ordering::Relaxed);
            // A simulator that cuts its connection cuts this one.
            if let Ok(mut foxy) = TcpStream::connect(foxy).await {
                drop(copy_bidirectional(&mut client, &mut foxy).await);
            }
        });
    }
}

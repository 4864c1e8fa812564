//! Connections that are kept between creates.

use std::sync::atomic::AtomicUsize;

use tokio::sync::Notify;

use super::*;

/// What a server says to a create, after which it keeps the connection or closes it.
#[derive(Clone, Copy)]
enum Says {
    /// Made, and no more about the connection.
    Made,
    /// Made, with this header.
    With(&'static str),
    /// Nothing: it reads the request and closes.
    Nothing,
}

/// A server that says these things on each of its connections, one after the other, and then closes it.
struct Server {
    origin: String,
    connections: Arc<AtomicUsize>,
    closed_by_client: Arc<Notify>,
}

impl Server {
    async fn that(says: &'static [Says]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (connections, closed_by_client) = <(Arc<AtomicUsize>, Arc<Notify>)>::default();
        let (counted, closed) = (Arc::clone(&connections), Arc::clone(&closed_by_client));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let closed = Arc::clone(&closed);
                tokio::spawn(async move {
                    for said in says {
                        if whole_request(&mut stream).await.is_none() {
                            return closed.notify_one();
                        }
                        let header = match said {
                            Says::Made => "",
                            Says::With(header) => header,
                            Says::Nothing => return,
                        };
                        let answer = format!("HTTP/1.1 201 Created\r\ncontent-length: 2\r\n{header}\r\n{{}}");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Self { origin, connections, closed_by_client }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn client(&self, connection_idle: Duration) -> Http {
        Http::try_new(&Settings { connection_idle, ..settings(&self.origin, LONG, LONG) }).unwrap()
    }

    async fn create(&self, http: &Http) -> Result<u16, Fate> {
        let uri = ResourceUri::home(&ApiOrigins::explicit(&self.origin).unwrap());
        let token = AccessToken::new("t");
        let caller = Caller { token: Some(&token), captcha: None, known: &Struck::default() };
        let sent = http.change((Verb::Post, &uri), caller, b"{}".to_vec().into(), Instant::now() + LONG, None);
        sent.await.map(|answer| answer.status).map_err(|failure| failure.fate)
    }
}

/// Reads a request with its body of two bytes; `None`: the client has closed the connection.
async fn whole_request(stream: &mut TcpStream) -> Option<()> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n{}") {
        let mut some = [0; 4096];
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => read.extend(&some[..count]),
        }
    }
    Some(())
}

const MADE: Result<u16, Fate> = Ok(201);

#[tokio::test]
async fn creates_one_after_the_other_share_a_connection() {
    let server = Server::that(&[Says::Made; 9]).await;
    let http = server.client(LONG);
    for _ in 0..3 {
        assert_eq!(server.create(&http).await, MADE);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn creates_side_by_side_have_a_connection_each_and_those_are_kept() {
    let server = Server::that(&[Says::Made; 9]).await;
    let http = server.client(LONG);
    for _ in 0..3 {
        let (one, other) = tokio::join!(server.create(&http), server.create(&http));
        assert_eq!((one, other), (MADE, MADE));
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_idle_connection_is_closed_when_its_time_is_over() {
    let server = Server::that(&[Says::Made; 9]).await;
    let http = server.client(Duration::from_millis(50));
    assert_eq!(server.create(&http).await, MADE);
    server.closed_by_client.notified().await;
    assert_eq!(server.create(&http).await, MADE);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn with_an_idle_time_of_zero_each_create_has_a_connection_of_its_own() {
    let server = Server::that(&[Says::Made; 9]).await;
    let http = server.client(Duration::ZERO);
    for _ in 0..3 {
        assert_eq!(server.create(&http).await, MADE);
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_connection_that_the_server_is_about_to_close_is_not_kept() {
    for says in [&[Says::With("Connection: close\r\n"); 9], &[Says::With("Keep-Alive: timeout=1\r\n"); 9]] {
        let server = Server::that(says).await;
        let http = server.client(LONG);
        for _ in 0..3 {
            assert_eq!(server.create(&http).await, MADE);
        }
        assert_eq!(server.connections(), 3);
    }
}

#[tokio::test]
async fn a_connection_that_was_seen_closed_is_not_used() {
    let server = Server::that(&[Says::Made]).await;
    let http = server.client(LONG);
    for sent in 1..=3 {
        assert_eq!(server.create(&http).await, MADE);
        assert_eq!(server.connections(), sent);
        // The end of the connection arrives.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_create_that_is_not_answered_says_whether_its_connection_had_been_used_before() {
    let server = Server::that(&[Says::Made, Says::Nothing]).await;
    let http = server.client(LONG);
    for _ in 0..2 {
        assert_eq!(server.create(&http).await, MADE);
        assert_eq!(server.create(&http).await, Err(Fate::KeptConnectionLost));
    }
    assert_eq!(server.connections(), 2, "the broken one is not kept");
    let server = Server::that(&[Says::Nothing]).await;
    let http = server.client(LONG);
    for _ in 0..2 {
        assert_eq!(server.create(&http).await, Err(Fate::ConnectionLost));
    }
}

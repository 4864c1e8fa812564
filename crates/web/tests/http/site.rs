//! The pages, served; and a browser, as far as it sends bytes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use foxden_web::{
    Drained, FormTarget, ForwardedBy, Forwarding, Limits, ListenAddress, Listener, Platform, PublicUrl, RedirectUri,
    Settings, serve,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::fake::{Fake, TICKET};

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) fake: Arc<Fake>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Drained>,
}

/// Settings for a platform behind a proxy on the same machine.
pub(crate) fn settings() -> Settings {
    let public_url = PublicUrl::parse("https://shops.example").unwrap();
    Settings {
        redirect_uri: RedirectUri::parse("https://shops.example/callback", &public_url).unwrap(),
        public_url,
        authorization: vec![FormTarget::parse("https://foxy.example/authorize").unwrap()],
        platform: Platform::try_new("Acme Shops", "#336699".parse().unwrap(), Some("mailto:help@shops.example"))
            .unwrap(),
        return_to: None,
        forwarding: Forwarding::by(ForwardedBy::XForwardedFor, ["127.0.0.1"]).unwrap(),
        limits: Limits::default(),
    }
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let ListenAddress::Tcp(address) = *listener.address() else { panic!("it listens elsewhere") };
        let fake = Arc::new(Fake::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let grants = Arc::clone(&fake);
        let served = tokio::spawn(serve(listener, settings, grants, async { drop(stopped.await) }));
        Self { address, fake, stop, served }
    }

    /// Tells it to stop.
    pub(crate) fn stop(self) -> JoinHandle<Drained> {
        drop(self.stop);
        self.served
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser { site: self.address, cookie: None, address: "203.0.113.7".to_owned() }
    }

    /// Sends these bytes, and reads until the other side closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        raw(self.address, bytes).await
    }
}

pub(crate) async fn raw(site: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(site).await.unwrap();
    // A server that has seen enough may close before it has read all.
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    drop(timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server neither answered nor closed"));
    String::from_utf8(answer).unwrap()
}

/// What one browser keeps.
#[derive(Clone)]
pub(crate) struct Browser {
    site: SocketAddr,
    pub(crate) cookie: Option<String>,
    /// As the proxy names it.
    pub(crate) address: String,
}

impl Browser {
    pub(crate) async fn get(&self, path: &str) -> Page {
        self.send("GET", path, "", "").await
    }

    /// Sends a form from one of our pages.
    pub(crate) async fn post(&mut self, path: &str, form: &str) -> Page {
        let page = self.send("POST", path, "Sec-Fetch-Site: same-origin\r\n", form).await;
        if let Some(set) = page.header("set-cookie") {
            self.cookie = Some(set.split(';').next().unwrap().to_owned());
        }
        page
    }

    /// With more lines of the head.
    pub(crate) async fn send(&self, method: &str, path: &str, lines: &str, body: &str) -> Page {
        let cookie = self.cookie.as_ref().map(|cookie| format!("Cookie: a=b; {cookie}\r\n")).unwrap_or_default();
        let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: shops.example\r\nConnection: close\r\nX-Forwarded-For: {}\r\n\
             {cookie}{length}{lines}\r\n{body}",
            self.address
        );
        Page::parse(&raw(self.site, request.as_bytes()).await)
    }

    /// Presses the link's button, and answers the state that went to Foxy.
    pub(crate) async fn depart(&mut self) -> String {
        let page = self.post(&format!("/grant/{TICKET}"), "").await;
        assert_eq!(page.status, 303, "{}", page.body);
        page.header("location").unwrap().split("state=").nth(1).unwrap().to_owned()
    }

    /// Comes back from Foxy with this, and follows to the page of the result.
    pub(crate) async fn come_back(&self, answer: &str) -> Page {
        let page = self.get(&format!("/callback?{answer}")).await;
        assert_eq!(page.status, 303, "{}", page.body);
        self.get(page.header("location").unwrap()).await
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Page {
    pub(crate) fn parse(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self { status, headers: lines.map(header).collect(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(named, _)| named == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    /// The one heading.
    pub(crate) fn heading(&self) -> &str {
        assert_eq!(self.body.matches("<h1>").count(), 1, "{}", self.body);
        self.body.split("<h1>").nth(1).unwrap().split("</h1>").next().unwrap()
    }
}

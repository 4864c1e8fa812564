//! Where the pages listen: an address, or a Unix socket that a proxy on the same machine connects to.

use std::{
    fmt,
    fs::{self, Permissions},
    io,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    str::FromStr,
};

use tokio::net::{TcpListener, UnixListener};

/// The owner and the group of the file: that is how a proxy that runs as another user gets in.
const SOCKET_MODE: u32 = 0o660;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a socket.
    Unix(PathBuf),
}

/// A text that is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an IP address with a port, such as 127.0.0.1:8080 or [::]:8080, or unix:/run/foxden/http.sock")]
pub struct MalformedListenAddress;

impl FromStr for ListenAddress {
    type Err = MalformedListenAddress;

    fn from_str(text: &str) -> Result<Self, MalformedListenAddress> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(MalformedListenAddress),
            None => text.parse().map(Self::Tcp).map_err(|_| MalformedListenAddress),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Takes connections.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: Socket,
    address: ListenAddress,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Begins to listen. A socket that a process before us has left behind is replaced; one that still answers is not.
    ///
    /// # Errors
    /// When the address is in use, or the system refuses it.
    pub async fn bind(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                // The port may have been left to the system.
                let address = ListenAddress::Tcp(listener.local_addr()?);
                Ok(Self { socket: Socket::Tcp(listener), address })
            }
            ListenAddress::Unix(path) => {
                remove_left_behind(path)?;
                let listener = UnixListener::bind(path)?;
                fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
                Ok(Self { socket: Socket::Unix(listener), address: address.clone() })
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }
}

fn remove_left_behind(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let is_dead = || UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if is_socket && is_dead() { fs::remove_file(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_the_path_of_a_socket_is_read() {
        for text in ["127.0.0.1:8080", "[::]:0", "unix:/run/foxden/http.sock"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in ["", "8080", ":8080", "localhost:8080", "unix:", "unix:http.sock", "/run/http.sock"] {
            assert_eq!(text.parse::<ListenAddress>(), Err(MalformedListenAddress), "{text}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let address = ListenAddress::Unix(folder.path().join("http.sock"));
        drop(Listener::bind(&address).await.unwrap());
        let listener = Listener::bind(&address).await.unwrap();
        assert_eq!(Listener::bind(&address).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::metadata(folder.path().join("http.sock")).unwrap().permissions().mode() & 0o777, 0o660);
        drop(listener);
        let file = folder.path().join("file");
        fs::write(&file, "kept").unwrap();
        Listener::bind(&ListenAddress::Unix(file.clone())).await.unwrap_err();
        assert_eq!(fs::read(file).unwrap(), b"kept");
    }
}

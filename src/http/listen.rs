//! Where the server listens: a TCP address, or a UNIX socket that only its owner can open.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::peer::Peer;

/// Why the server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Something listens there already.
    #[error("{address} is in use{}", by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default())]
    InUse {
        /// The address.
        address: Address,
        /// The open-cursor that does, if it is one.
        by: Option<String>,
    },
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: Address,
        /// Why.
        source: io::Error,
    },
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// With the real port.
    Tcp(SocketAddr),
    /// The path of a socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

pub(super) type Stream = Either<TcpStream, UnixStream>;

/// A bound socket. A socket file is removed when this is dropped.
pub(super) struct Listener {
    socket: Socket,
    pub address: Address,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub async fn tcp(host: IpAddr, port: u16) -> Result<Self, ServerError> {
        let addr = SocketAddr::new(host, port);
        match TcpListener::bind(addr).await {
            Ok(listener) => Ok(Self {
                address: Address::Tcp(listener.local_addr().unwrap_or(addr)),
                socket: Socket::Tcp(listener),
            }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(ServerError::InUse {
                address: Address::Tcp(addr),
                by: super::probe::identify(addr).await.map(|it| it.to_string()),
            }),
            Err(source) => Err(ServerError::Bind {
                address: Address::Tcp(addr),
                source,
            }),
        }
    }

    /// Makes a socket with mode 0600 at `path`. A stale socket there is replaced.
    pub async fn unix(path: &Path) -> Result<Self, ServerError> {
        let address = Address::Unix(path.to_owned());
        let failed = |source| ServerError::Bind {
            address: address.clone(),
            source,
        };
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(failed(io::Error::other("a file of this name exists")));
            }
            Ok(_) if UnixStream::connect(path).await.is_ok() => {
                return Err(ServerError::InUse { address, by: None });
            }
            // Left by a server that was killed; replaced below.
            Ok(_) | Err(_) => {}
        }
        let listener = bind_private(path).map_err(failed)?;
        Ok(Self {
            socket: Socket::Unix(listener),
            address,
        })
    }

    /// The next connection and who is at its other end.
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // A delta is a small packet that must not wait for the next one.
                let _ = stream.set_nodelay(true);
                let ours = stream.local_addr()?;
                Ok((Either::Left(stream), Peer::Tcp { peer, ours }))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok((Either::Right(stream), Peer::Unix { uid }))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Binds in a directory that is closed to others and moves the socket from there, so that at no time
/// anybody else can open it.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let private = tempfile::Builder::new()
        .prefix(".oc-")
        .rand_bytes(4)
        .tempdir_in(parent.unwrap_or(Path::new(".")))?;
    let made = private.path().join("s");
    let listener = UnixListener::bind(&made)?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&made, path)?;
    Ok(listener)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_private_and_goes_with_its_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("open-cursor.sock");
        let listener = Listener::unix(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let error = Listener::unix(&path).await.err().unwrap();
        assert!(matches!(error, ServerError::InUse { .. }), "{error}");
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_another_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("open-cursor.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "as after kill -9");
        drop(Listener::unix(&path).await.unwrap());
        std::fs::write(&path, "mine").unwrap();
        let error = Listener::unix(&path).await.err().unwrap();
        assert!(error.to_string().contains("a file of this name"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}

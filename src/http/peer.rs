//! Which user of this machine is at the other end of a connection.
//!
//! A loopback address is open to every user of the machine. TCP sockets carry no credentials, but
//! the kernel knows the owner of every socket, and the client's end of a loopback connection is one.
//! It is asked for that one, and where that can't be, it lists all in `/proc/net/tcp` and
//! `/proc/net/tcp6` (proc(5)).

#[cfg(target_os = "linux")]
mod socket_diag;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use crate::turn::{ErrorKind, TurnError};

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peer {
    Tcp { peer: SocketAddr, ours: SocketAddr },
    Unix { uid: u32 },
}

/// Whether the user at the other end may use the server. Attached to each request.
#[derive(Debug, Clone)]
pub(super) struct Admitted(Result<(), TurnError>);

impl Admitted {
    /// Everybody, as where no user is excluded.
    pub fn everybody() -> Self {
        Self(Ok(()))
    }

    /// For a peer that could not be looked up.
    pub fn nobody() -> Self {
        Self::refused("of an unknown user")
    }

    fn of(uid: u32, allowed: &[u32]) -> Self {
        // The administrator can read our memory anyway.
        match uid == 0 || allowed.contains(&uid) {
            true => Self::everybody(),
            false => Self::refused(&format!("of user {uid}")),
        }
    }

    fn refused(who: &str) -> Self {
        Self(Err(TurnError::new(
            ErrorKind::Forbidden,
            format!(
                "this connection is {who}, and the server serves only its own user; start it with \
                 --allow-users, or with an API key for its clients"
            ),
        )))
    }

    /// # Errors
    /// `Forbidden`.
    pub fn check(&self) -> Result<(), TurnError> {
        self.0.clone()
    }
}

impl Peer {
    /// Checks the user against the list of those that may connect. Peers on other machines pass:
    /// where they can reach the server, they need its key. `None` if [`admit`](Self::admit) has to look
    /// further.
    pub fn admit_at_once(self, allowed: &[u32]) -> Option<Admitted> {
        if !self.is_here() {
            return Some(Admitted::everybody());
        }
        match self {
            Self::Unix { uid } => Some(Admitted::of(uid, allowed)),
            #[cfg(target_os = "linux")]
            Self::Tcp { peer, ours } => {
                let uid = socket_diag::owner(peer, ours)?;
                Some(Admitted::of(uid, allowed))
            }
            #[cfg(not(target_os = "linux"))]
            Self::Tcp { .. } => None,
        }
    }

    /// Whether it may be on this machine: who is here can connect from any address that it has.
    fn is_here(self) -> bool {
        let is_loopback = |addr: SocketAddr| addr.ip().to_canonical().is_loopback();
        match self {
            Self::Unix { .. } => true,
            Self::Tcp { peer, ours } => is_loopback(peer) || is_loopback(ours),
        }
    }

    /// The same, whatever it takes. Reads files, so it blocks.
    pub fn admit(self, allowed: &[u32]) -> Admitted {
        if !self.is_here() {
            return Admitted::everybody();
        }
        let uid = match self {
            Self::Unix { uid } => Some(uid),
            Self::Tcp { peer, ours } => owner(peer, ours),
        };
        uid.map_or_else(Admitted::nobody, |uid| Admitted::of(uid, allowed))
    }
}

/// Whether the system tells who owns a connection, tried on one of our own.
#[must_use]
pub fn knows_users() -> bool {
    let owner_of_ours = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let _client = TcpStream::connect(listener.local_addr().ok()?).ok()?;
        let (server, peer) = listener.accept().ok()?;
        owner(peer, server.local_addr().ok()?)
    };
    owner_of_ours() == Some(nix::unistd::getuid().as_raw())
}

/// The user whose socket goes from `peer` to `ours`. `None` if it is closed, or the system has no such
/// list.
#[cfg(target_os = "linux")]
fn owner(peer: SocketAddr, ours: SocketAddr) -> Option<u32> {
    use procfs::net::{TcpNetEntry, tcp, tcp6};
    let canonical = |addr: SocketAddr| (addr.ip().to_canonical(), addr.port());
    let is_it = |socket: &TcpNetEntry| {
        canonical(socket.local_address) == canonical(peer)
            && canonical(socket.remote_address) == canonical(ours)
            // A socket without an inode belongs to no process any more, and is listed as root's.
            && socket.inode != 0
    };
    let find = |table: Vec<TcpNetEntry>| table.into_iter().find(is_it);
    let found = tcp().ok().and_then(find).or_else(|| find(tcp6().ok()?));
    Some(found?.uid)
}

#[cfg(not(target_os = "linux"))]
fn owner(_peer: SocketAddr, _ours: SocketAddr) -> Option<u32> {
    None
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_connection_is_found() {
        assert!(knows_users());
        let us = nix::unistd::getuid().as_raw();
        for (listen, connect) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::1]:0", "::1"),
            ("[::]:0", "127.0.0.1"),
        ] {
            // Some machines have no IPv6.
            let Ok(listener) = TcpListener::bind(listen) else {
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((connect, port)).unwrap();
            let (server, peer) = listener.accept().unwrap();
            let ours = server.local_addr().unwrap();
            assert_eq!(owner(peer, ours), Some(us), "{listen}");
            assert_eq!(socket_diag::owner(peer, ours), Some(us), "{listen}");
            assert_eq!(
                socket_diag::owner(ours, peer),
                Some(us),
                "{listen}: our own end"
            );
            let other = SocketAddr::new(peer.ip(), peer.port() ^ 1);
            assert_eq!(owner(other, ours), None);
            assert_eq!(socket_diag::owner(other, ours), None);
            let listener = SocketAddr::new(peer.ip(), port);
            assert_eq!(socket_diag::owner(listener, peer), Some(us));
            assert_eq!(
                socket_diag::owner(listener, other),
                None,
                "no listener counts"
            );
            assert!(Peer::Tcp { peer, ours }.admit(&[us]).check().is_ok());
            // The kernel still lists a closed socket, without its owner.
            drop((client, server));
            assert_eq!(owner(peer, ours), None, "{listen}");
            assert_eq!(socket_diag::owner(peer, ours), None, "{listen}");
        }
    }

    #[test]
    fn who_comes_from_an_address_of_the_network_may_be_here() {
        let at = |addr: &str| addr.parse::<SocketAddr>().unwrap();
        for (peer, ours, passes) in [
            ("192.0.2.2:9", "192.0.2.1:80", true),
            ("192.0.2.2:9", "127.0.0.1:80", false),
            ("127.0.0.1:9", "192.0.2.1:80", false),
            ("[::ffff:192.0.2.2]:9", "[::ffff:127.0.0.1]:80", false),
            ("[2001:db8::2]:9", "[::1]:80", false),
            ("[2001:db8::2]:9", "[2001:db8::1]:80", true),
        ] {
            let (peer, ours) = (at(peer), at(ours));
            let admitted = Peer::Tcp { peer, ours }.admit(&[1000]);
            assert_eq!(admitted.check().is_ok(), passes, "{peer} {ours}");
        }
    }

    #[test]
    fn others_are_refused_and_the_administrator_is_not() {
        for (uid, passes) in [(0, true), (1000, true), (1001, false)] {
            let admitted = Peer::Unix { uid }.admit(&[1000]);
            assert_eq!(admitted.check().is_ok(), passes, "{uid}");
        }
    }
}

//! Which user of this machine is at the other end of a connection.
//!
//! A loopback address is open to every user of the machine. TCP sockets carry no credentials, but
//! the kernel knows the owner of every socket, and the client's end of a loopback connection is one.
//! It is asked for that one, and where that can't be, it lists all in `/proc/net/tcp` and
//! `/proc/net/tcp6` (proc(5)).

#[cfg(target_os = "linux")]
mod socket_diag;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

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
fn owner(peer: SocketAddr, ours: SocketAddr) -> Option<u32> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .find_map(|table| find(&table, peer, ours))
}

fn find(table: &str, peer: SocketAddr, ours: SocketAddr) -> Option<u32> {
    let canonical = |addr: SocketAddr| (addr.ip().to_canonical(), addr.port());
    let wanted = (canonical(peer), canonical(ours));
    table.lines().skip(1).find_map(|line| {
        // sl local_address rem_address st queues timer retrnsmt uid timeout inode
        let mut columns = line.split_ascii_whitespace().skip(1);
        let local = address(columns.next()?)?;
        let remote = address(columns.next()?)?;
        let uid = columns.nth(4)?;
        let inode = columns.nth(1)?;
        // A socket without an inode belongs to no process any more, and is listed as root's.
        ((local, remote) == wanted && inode != "0").then(|| uid.parse().ok())?
    })
}

/// `0100007F:1F90` is 127.0.0.1:8080: the bytes of each 32-bit group stand in the machine's order.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let group = |at: usize| {
        let hex = ip.get(at * 8..(at + 1) * 8)?;
        Some(u32::from_str_radix(hex, 16).ok()?.to_ne_bytes())
    };
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(group(0)?).into(),
        32 => {
            let groups = [group(0)?, group(1)?, group(2)?, group(3)?];
            let bytes: [u8; 16] = groups.concat().try_into().ok()?;
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some((ip.to_canonical(), port))
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
    fn a_table_is_read_by_both_ends() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 11 1 0 20 4 30 10 -1\n   \
            1: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 20 4 30 10 -1\n   \
            2: 0100007F:D432 0100007F:1F90 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0\n";
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(find(table, at(0xD431), at(0x1F90)), Some(1000));
        assert_eq!(find(table, at(0xD432), at(0x1F90)), None);
        assert_eq!(find("", at(1), at(2)), None);
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

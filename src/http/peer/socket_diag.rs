//! Asks the kernel for one socket by both of its ends (sock_diag(7)). That takes microseconds; reading
//! the list of all sockets takes milliseconds where there are hundreds.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd as _,
};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// What `linux/netlink.h`, `linux/sock_diag.h` and `linux/inet_diag.h` call these.
const NLM_F_REQUEST: u16 = 1;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const TCP: u8 = 6;
const NOCOOKIE: [u8; 8] = [0xff; 8];

/// A header, and what follows it in a request and in an answer.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
const ANSWER: usize = HEADER + 72;

/// Where an answer has the socket's ports, owner and inode.
const PORTS: std::ops::Range<usize> = HEADER + 4..HEADER + 8;
const UID: usize = HEADER + 64;
const INODE: usize = HEADER + 68;

/// The user whose socket goes from `peer` to `ours`; `None` if the kernel knows none, or is not to be
/// asked.
pub(super) fn owner(peer: SocketAddr, ours: SocketAddr) -> Option<u32> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    );
    let netlink = netlink.ok()?;
    let request = request(peer, ours);
    let kernel = NetlinkAddr::new(0, 0);
    sendto(netlink.as_raw_fd(), &request, &kernel, MsgFlags::empty()).ok()?;
    let mut answer = [0; 512];
    // It is there when the request was taken.
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT).ok()?;
    let answer = answer.get(..length).filter(|it| it.len() >= ANSWER)?;
    let kind = u16::from_ne_bytes([answer[4], answer[5]]);
    // Where no connection is found the kernel looks for a listener.
    if kind != SOCK_DIAG_BY_FAMILY || answer[PORTS] != ports(peer, ours) {
        return None;
    }
    let number = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    // A socket without an inode belongs to no process any more.
    (number(INODE)? != 0).then(|| number(UID))?
}

fn ports(peer: SocketAddr, ours: SocketAddr) -> [u8; 4] {
    let ([a, b], [c, d]) = (peer.port().to_be_bytes(), ours.port().to_be_bytes());
    [a, b, c, d]
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`, for the socket whose own end is `peer`.
fn request(peer: SocketAddr, ours: SocketAddr) -> Vec<u8> {
    let (from, to) = (peer.ip().to_canonical(), ours.ip().to_canonical());
    let is_v4 = from.is_ipv4() && to.is_ipv4();
    let family = match is_v4 {
        true => AddressFamily::Inet,
        false => AddressFamily::Inet6,
    };
    let address = |ip: IpAddr| match ip {
        IpAddr::V4(ip) if is_v4 => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => Ipv6Addr::octets(&ip),
    };
    let mut bytes = Vec::with_capacity(REQUEST);
    bytes.extend((REQUEST as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    // Number and sender.
    bytes.extend([0; 8]);
    bytes.extend([family as u8, TCP, 0, 0]);
    // In any state.
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(ports(peer, ours));
    bytes.extend(address(from));
    bytes.extend(address(to));
    // On any interface.
    bytes.extend([0; 4]);
    bytes.extend(NOCOOKIE);
    bytes
}

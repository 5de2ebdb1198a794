//! The system call filter: what reaches beyond the run and nothing else covers.
//!
//! Always: the kernel's keyrings, in which the user's tickets and disk keys may be; leases, by which who
//! may only read a file holds up its writers; and io_uring, which makes calls that no filter sees. Where
//! asked for: sockets. A filter sees numbers, not paths: it can deny a whole family of them, and does
//! where nothing finer holds (Landlock does from ABI 9 on). Unnamed pairs stay, since Node talks to its
//! children through them; a datagram end could be connected to a path, so only stream ends do.
//!
//! A program for another architecture, whose calls have other numbers, is killed.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::{Failure, Launch, Stage};

/// x86-64 has a second set of the same system calls (the x32 ABI).
const X32: i64 = 0x4000_0000;

/// The type of a socket without its flags.
const TYPE: u64 = 0xf;

/// Applies the filter. Whether it is in force: a kernel without filters is an error only where sockets
/// are to be denied.
pub(super) fn apply(launch: &Launch) -> Result<bool, Failure> {
    let sockets = launch.no_unix_sockets || launch.no_network;
    if !launch.unprivileged && !sockets {
        return Ok(false);
    }
    let applied = program(launch)
        .map_err(seccompiler::Error::from)
        .and_then(|program| seccompiler::apply_filter(&program));
    match applied {
        Err(error) if sockets => Err(Failure {
            stage: Stage::Filter,
            errno: None,
            message: format!("the system call filter: {error}"),
        }),
        applied => Ok(applied.is_ok()),
    }
}

fn program(launch: &Launch) -> Result<BpfProgram, seccompiler::BackendError> {
    let lease = u64::from(libc::F_SETLEASE.cast_unsigned());
    let lease = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, lease)?;
    let mut rules = vec![
        (libc::SYS_add_key, Vec::new()),
        (libc::SYS_keyctl, Vec::new()),
        (libc::SYS_request_key, Vec::new()),
        (libc::SYS_io_uring_setup, Vec::new()),
        (libc::SYS_fcntl, vec![SeccompRule::new(vec![lease])?]),
    ];
    if launch.no_unix_sockets {
        let unix = family(SeccompCmpOp::Eq)?;
        rules.push((libc::SYS_socket, vec![SeccompRule::new(vec![unix])?]));
        // A raw one is a datagram socket.
        let mut pairs = Vec::new();
        for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
            let masked = SeccompCmpOp::MaskedEq(TYPE);
            let length = SeccompCmpArgLen::Dword;
            let kind = SeccompCondition::new(1, length, masked, u64::from(kind.cast_unsigned()))?;
            pairs.push(SeccompRule::new(vec![kind])?);
        }
        rules.push((libc::SYS_socketpair, pairs));
    }
    if launch.no_network {
        let other = SeccompRule::new(vec![family(SeccompCmpOp::Ne)?])?;
        match rules.iter_mut().find(|(call, _)| *call == libc::SYS_socket) {
            Some((_, socket)) => socket.push(other),
            None => rules.push((libc::SYS_socket, vec![other])),
        }
    }
    if cfg!(target_arch = "x86_64") {
        let again: Vec<_> = rules
            .iter()
            .map(|(call, rules)| (call | X32, rules.clone()))
            .collect();
        rules.extend(again);
    }
    let rules: BTreeMap<i64, Vec<SeccompRule>> = rules.into_iter().collect();
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EACCES.cast_unsigned()),
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

fn family(operator: SeccompCmpOp) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        operator,
        u64::from(libc::AF_UNIX.cast_unsigned()),
    )
}

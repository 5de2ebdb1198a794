//! The system call filter: what reaches beyond the run and nothing else covers.
//!
//! Always: the kernel's keyrings, in which the user's tickets and disk keys may be; leases, by which who
//! may only read a file holds up its writers; io_uring, which makes calls that no filter sees; and sockets
//! that lead neither to a network nor to a program here, such as those between a virtual machine and
//! its host. Without a PID namespace: limits and priorities of other processes.
//!
//! Where asked for: UNIX sockets. A filter sees numbers, not paths: it can deny a whole family of them,
//! and does where nothing finer holds (Landlock does from ABI 9 on). Unnamed pairs stay, since Node talks
//! to its children through them; a datagram end could be connected to a path, so only stream ends do.
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

/// `ioprio_set(2)`: the number names a process.
const IOPRIO_WHO_PROCESS: i32 = 1;

/// The type of a socket without its flags.
const TYPE: u64 = 0xf;

/// The sockets that a program may have: of a network, of this machine's programs, and for asking the
/// kernel about its network.
const FAMILIES: [i32; 4] = [
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
];

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
        Err(error) if sockets => Err(Failure::said(
            Stage::Filter,
            format!("the system call filter: {error}"),
        )),
        applied => Ok(applied.is_ok()),
    }
}

fn program(launch: &Launch) -> Result<BpfProgram, seccompiler::BackendError> {
    let lease = is(1, libc::F_SETLEASE)?;
    let mut sockets = vec![rule(FAMILIES.map(|family| not(0, family)))?];
    let mut rules = vec![
        (libc::SYS_add_key, Vec::new()),
        (libc::SYS_keyctl, Vec::new()),
        (libc::SYS_request_key, Vec::new()),
        (libc::SYS_io_uring_setup, Vec::new()),
        (libc::SYS_fcntl, vec![rule([Ok(lease)])?]),
    ];
    if launch.no_unix_sockets {
        sockets.push(rule([is(0, libc::AF_UNIX)])?);
        // A raw one is a datagram socket.
        let kinds = [libc::SOCK_DGRAM, libc::SOCK_RAW];
        let pairs = kinds.map(|kind| rule([compared(1, SeccompCmpOp::MaskedEq(TYPE), kind)]));
        rules.push((
            libc::SYS_socketpair,
            pairs.into_iter().collect::<Result<_, _>>()?,
        ));
    }
    if launch.no_network {
        sockets.push(rule([not(0, libc::AF_UNIX)])?);
    }
    rules.push((libc::SYS_socket, sockets));
    if launch.unprivileged && !launch.processes {
        // Its own process is number 0 to a program.
        let other = |argument| rule([not(argument, 0)]);
        for call in [
            libc::SYS_prlimit64,
            libc::SYS_sched_setaffinity,
            libc::SYS_sched_setattr,
            libc::SYS_sched_setparam,
            libc::SYS_sched_setscheduler,
        ] {
            rules.push((call, vec![other(0)?]));
        }
        for (call, process) in [
            (libc::SYS_setpriority, libc::PRIO_PROCESS.cast_signed()),
            (libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS),
        ] {
            rules.push((call, vec![rule([not(0, process)])?, other(1)?]));
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

type Condition = Result<SeccompCondition, seccompiler::BackendError>;

/// Denies a call where all of the conditions hold.
fn rule<const N: usize>(
    conditions: [Condition; N],
) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}

fn is(argument: u8, value: i32) -> Condition {
    compared(argument, SeccompCmpOp::Eq, value)
}

fn not(argument: u8, value: i32) -> Condition {
    compared(argument, SeccompCmpOp::Ne, value)
}

fn compared(argument: u8, operator: SeccompCmpOp, value: i32) -> Condition {
    let value = u64::from(value.cast_unsigned());
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

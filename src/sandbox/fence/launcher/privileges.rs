//! What the agent's process may do beyond what its files' modes say: nothing.

use std::fs;

use nix::sys::{
    prctl,
    resource::{Resource, getrlimit, setrlimit},
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use super::{Failure, Launch, MOST_PROCESSES, Stage, kernel_version};

/// The first kernel in which a PID namespace has a limit of its own. Before, the same file is the
/// limit of the whole machine.
const OWN_PID_MAX: (u32, u32) = (6, 14);

/// Of 1000, which is before everything else.
const FIRST_TO_DIE: &str = "500";

/// Gives up what could fill a capability set: no program that is started from here on gains anything,
/// whatever its mode bits and file capabilities are. What this process has, it keeps.
pub(super) fn gain_none() -> Result<(), Failure> {
    prctl::set_no_new_privs().map_err(Failure::at(Stage::Privileges, "no_new_privs"))?;
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Beyond the last one, or without the privilege: then there are none to lose, and
            // no_new_privs keeps it so.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => break,
            Err(error) => return Err(Failure::new(Stage::Privileges, "the bounding set", error)),
        }
    }
    clear_ambient_capability_set().map_err(Failure::at(Stage::Privileges, "the ambient set"))
}

/// Empties every capability set.
pub(super) fn drop_all() -> Result<(), Failure> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(Failure::at(Stage::Privileges, "capabilities"))
}

/// Nobody waits for what this process does from here on, and the agent's text is on its way when it has
/// ended: who takes it comes first.
pub(super) fn let_others_go_first() {
    // Never refused.
    let _ = rustix::process::nice(10);
}

/// Has the kernel end the run rather than the server when memory is short.
pub(super) fn die_first() {
    // Refused only if the server is to die even sooner.
    let _ = fs::write("/proc/self/oom_score_adj", FIRST_TO_DIE);
}

/// Keeps the agent, which is the same user, from this process: by ptrace it could stop it, and speak and
/// exit in its name. From here on this process cannot look at itself in `/proc` either.
pub(super) fn hide() -> Result<(), Failure> {
    prctl::set_dumpable(false).map_err(Failure::at(Stage::Privileges, "the dumpable flag"))
}

/// Of one byte: with 0 the kernel still hands the memory of who crashes to a program of the machine's,
/// which keeps it where no limit of the run counts. With 1 it does not (core(5)).
const NO_CORE: u64 = 1;

/// Bounds what the run can use up.
pub(super) fn limit(launch: &Launch) -> Result<(), Failure> {
    lower(Resource::RLIMIT_CORE, "RLIMIT_CORE", NO_CORE)?;
    if launch.disk_bytes > 0 {
        lower(Resource::RLIMIT_FSIZE, "RLIMIT_FSIZE", launch.disk_bytes)?;
    }
    Ok(())
}

/// Sets a limit for good; one that is lower already stays.
fn lower(resource: Resource, name: &str, most: u64) -> Result<(), Failure> {
    let failure = |error| Failure::new(Stage::Privileges, name, error);
    let (_, hard) = getrlimit(resource).map_err(failure)?;
    let limit = most.min(hard);
    setrlimit(resource, limit, limit).map_err(failure)
}

/// Bounds the processes of the PID namespace whose `/proc` is mounted. Whether the kernel could.
pub(super) fn limit_processes() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    kernel_version(&release).is_some_and(|kernel| kernel >= OWN_PID_MAX)
        && fs::write("/proc/sys/kernel/pid_max", MOST_PROCESSES.to_string()).is_ok()
}

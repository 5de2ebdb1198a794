//! The namespaces of a run.

use std::fs;

use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    unistd::{getegid, geteuid},
};
use rustix::thread::{capabilities, configure_capability_in_ambient_set, set_capabilities};

use super::{Failure, Stage};

/// Enters a mount namespace, and if `processes` has the next child start a PID namespace, apart from the
/// shared memory and queues of other programs: with the privilege for it if there is one, otherwise in
/// a user namespace that maps us to ourselves.
pub(super) fn enter(processes: bool) -> Result<(), Failure> {
    let mut namespaces = CloneFlags::CLONE_NEWNS;
    let apart = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    namespaces.set(apart, processes);
    match unshare(namespaces) {
        Ok(()) => {}
        Err(Errno::EPERM) => {
            let (uid, gid) = (geteuid(), getegid());
            unshare(CloneFlags::CLONE_NEWUSER | namespaces).map_err(|error| {
                Failure::new(Stage::Namespace, "unshare of a user namespace", error)
            })?;
            for (file, content) in [
                ("/proc/self/setgroups", "deny".to_owned()),
                ("/proc/self/uid_map", format!("{uid} {uid} 1")),
                ("/proc/self/gid_map", format!("{gid} {gid} 1")),
            ] {
                fs::write(file, content)
                    .map_err(|error| Failure::new(Stage::IdentityMap, file, error))?;
            }
        }
        Err(error) => return Err(Failure::new(Stage::Namespace, "unshare", error)),
    }
    keep_capabilities().map_err(|error| Failure::new(Stage::Namespace, "capabilities", error))
}

/// A user other than root loses its capabilities at exec, but for the ambient ones. The inner
/// process drops them: it needs them to mount, and overlayfs works with those of who mounted it.
fn keep_capabilities() -> rustix::io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.inheritable = sets.permitted;
    set_capabilities(None, sets)?;
    for capability in sets.permitted.iter() {
        configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}

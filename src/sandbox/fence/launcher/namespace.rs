//! The namespaces of a run.

use std::fs;

use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    unistd::{getegid, geteuid},
};

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
            unshare(CloneFlags::CLONE_NEWUSER | namespaces)
                .map_err(Failure::at(Stage::Namespace, "unshare of a user namespace"))?;
            for (file, content) in [
                ("/proc/self/setgroups", "deny".to_owned()),
                ("/proc/self/uid_map", format!("{uid} {uid} 1")),
                ("/proc/self/gid_map", format!("{gid} {gid} 1")),
            ] {
                fs::write(file, content).map_err(Failure::at(Stage::IdentityMap, file))?;
            }
        }
        Err(error) => return Err(Failure::new(Stage::Namespace, "unshare", error)),
    }
    Ok(())
}

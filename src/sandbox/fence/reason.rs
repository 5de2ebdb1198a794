//! Why a layer does not hold: a failed step of the launcher, explained by the machine's state.

use std::path::Path;

use nix::errno::Errno;
use serde::Serialize;

use super::launcher::{Failure, Stage, kernel_version};
use crate::threads::blocking;

/// Why a layer does not hold. Its text says what is the matter and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Ubuntu's AppArmor lets unprivileged programs make user namespaces, but do nothing in them.
    #[error(
        "AppArmor restricts unprivileged user namespaces; allow them for open-cursor with an \
        AppArmor profile, or set kernel.apparmor_restrict_unprivileged_userns=0"
    )]
    AppArmor,
    /// User namespaces are turned off.
    #[error(
        "user namespaces are turned off; set user.max_user_namespaces above 0 (on Debian \
        also kernel.unprivileged_userns_clone=1)"
    )]
    UserNamespacesOff,
    /// A seccomp filter, as containers have one, forbids the system calls.
    #[error(
        "a seccomp filter forbids namespaces or mounts, as containers do by default; allow \
        unshare and mount for this container"
    )]
    Seccomp,
    /// The kernel is older than the feature.
    #[error("the kernel is older than Linux 5.11")]
    KernelTooOld,
    /// The kernel has no overlayfs.
    #[error("the kernel has no overlayfs; load it with `modprobe overlay`")]
    NoOverlayfs,
    /// The workspace or the slot is on a file system that overlayfs cannot use.
    #[error(
        "overlayfs cannot use the file system of the workspace or of open-cursor's cache \
        directory; move the cache to a local disk with XDG_CACHE_HOME"
    )]
    FileSystem,
    /// Something is mounted below the workspace, which only the administrator may look behind.
    #[error(
        "another file system is mounted below the workspace, and the kernel lets only root \
        make a view of that"
    )]
    NestedMounts,
    /// The workspace is the root of the file system.
    #[error("the workspace is the root directory; choose a project")]
    RootDirectory,
    /// Parts of `/proc` are covered, as containers do, so the kernel mounts no other one.
    #[error(
        "parts of /proc are covered, as in containers, so a run cannot have its own; start \
        the container with an unmasked /proc"
    )]
    CoveredProc,
    /// Landlock is missing or not enabled.
    #[error(
        "Landlock is missing or not enabled; it needs Linux 5.13 and `landlock` in the \
        kernel's lsm= list"
    )]
    NoLandlock,
    /// Landlock is older than ABI 9, which covers UNIX sockets.
    #[error(
        "Landlock covers UNIX sockets from Linux 7.1 (ABI 9) on; `--fence require` denies \
        all of them until then"
    )]
    OldLandlock,
    /// No cgroup (version 2) with the memory controller was delegated to the server.
    #[error(
        "that needs a cgroup (version 2) that is delegated to the server; start it by \
        `open-cursor install --service`, or by `systemd-run --user --scope -p Delegate=yes \
        open-cursor serve`"
    )]
    NoCgroup,
    /// The kernel is older than 6.14, in which a PID namespace has a limit of its own.
    #[error("a run has a limit of its own from Linux 6.14 on")]
    NoProcessLimit,
    /// The operating system has no such mechanism.
    #[error("this operating system has no such mechanism")]
    OperatingSystem,
    /// It seemed to be set up but did not stop a write.
    #[error("it was set up, but a forbidden write went through")]
    Ineffective,
    /// Something else; the sentence has the system's words.
    #[error("the system refused it")]
    Other,
}

/// What the machine says about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Machine {
    apparmor_restricts: bool,
    namespaces_off: bool,
    seccomp: bool,
    /// Major and minor version.
    kernel: Option<(u32, u32)>,
}

impl Machine {
    /// Reads the kernel's settings below `proc` (`/proc`). Blocking.
    fn read(proc: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(proc.join(path)).unwrap_or_default();
        let is = |path: &str, value: &str| text(path).trim() == value;
        let status = text("self/status");
        let seccomp = status
            .lines()
            .find_map(|line| line.strip_prefix("Seccomp:"));
        Self {
            apparmor_restricts: is("sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
            namespaces_off: is("sys/kernel/unprivileged_userns_clone", "0")
                || is("sys/user/max_user_namespaces", "0"),
            seccomp: seccomp.is_some_and(|mode| mode.trim() == "2"),
            kernel: kernel_version(&text("sys/kernel/osrelease")),
        }
    }

    /// Explains a failure. `nested` says that there are mounts below the workspace.
    fn explain(&self, failure: &Failure, nested: bool) -> Reason {
        let errno = failure.errno.map(Errno::from_raw);
        let forbidden = matches!(errno, Some(Errno::EPERM | Errno::EACCES));
        let too_old = self.kernel.is_some_and(|kernel| kernel < (5, 11));
        match (failure.stage, errno) {
            (Stage::Landlock, _) => Reason::NoLandlock,
            (Stage::Namespace, Some(Errno::ENOSPC | Errno::EUSERS)) => Reason::UserNamespacesOff,
            (Stage::Namespace, Some(Errno::EINVAL)) => Reason::UserNamespacesOff,
            (Stage::Namespace, Some(Errno::ENOSYS)) => Reason::Seccomp,
            (Stage::Namespace, _) if forbidden && self.namespaces_off => Reason::UserNamespacesOff,
            (Stage::Overlay, Some(Errno::ENODEV)) => Reason::NoOverlayfs,
            (Stage::Overlay, Some(Errno::EINVAL | Errno::EPERM)) if too_old => Reason::KernelTooOld,
            (Stage::Overlay, Some(Errno::EINVAL)) if nested => Reason::NestedMounts,
            (stage, _) if mounts(stage) && forbidden && self.apparmor_restricts => Reason::AppArmor,
            (stage, _) if mounts(stage) && forbidden && self.seccomp => Reason::Seccomp,
            (Stage::Proc, _) if forbidden => Reason::CoveredProc,
            (Stage::Overlay, _) if !forbidden => Reason::FileSystem,
            _ => Reason::Other,
        }
    }
}

/// Whether a step creates namespaces or mounts.
fn mounts(stage: Stage) -> bool {
    matches!(
        stage,
        Stage::Namespace
            | Stage::IdentityMap
            | Stage::Private
            | Stage::Overlay
            | Stage::ReadOnly
            | Stage::Devices
    )
}

/// Explains a failure on this machine.
pub(super) async fn explain(failure: &Failure, nested: bool) -> Reason {
    let host = blocking(|| Machine::read(Path::new("/proc"))).await;
    host.explain(failure, nested)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_explained() {
        let host = Machine {
            kernel: Some((6, 18)),
            ..Machine::default()
        };
        let apparmor = Machine {
            apparmor_restricts: true,
            ..host
        };
        let seccomp = Machine {
            seccomp: true,
            ..host
        };
        let off = Machine {
            namespaces_off: true,
            ..host
        };
        let old = Machine {
            kernel: Some((5, 4)),
            ..host
        };
        for (host, stage, errno, nested, expected) in [
            (
                apparmor,
                Stage::Overlay,
                Errno::EACCES,
                false,
                Reason::AppArmor,
            ),
            (
                apparmor,
                Stage::IdentityMap,
                Errno::EPERM,
                false,
                Reason::AppArmor,
            ),
            (
                apparmor,
                Stage::Overlay,
                Errno::EINVAL,
                false,
                Reason::FileSystem,
            ),
            (
                off,
                Stage::Namespace,
                Errno::EPERM,
                false,
                Reason::UserNamespacesOff,
            ),
            (
                host,
                Stage::Namespace,
                Errno::ENOSPC,
                false,
                Reason::UserNamespacesOff,
            ),
            (
                seccomp,
                Stage::Namespace,
                Errno::EPERM,
                false,
                Reason::Seccomp,
            ),
            (
                seccomp,
                Stage::Private,
                Errno::EPERM,
                false,
                Reason::Seccomp,
            ),
            (
                host,
                Stage::Overlay,
                Errno::ENODEV,
                false,
                Reason::NoOverlayfs,
            ),
            (
                host,
                Stage::Overlay,
                Errno::EINVAL,
                true,
                Reason::NestedMounts,
            ),
            (
                host,
                Stage::Overlay,
                Errno::EINVAL,
                false,
                Reason::FileSystem,
            ),
            (
                old,
                Stage::Overlay,
                Errno::EINVAL,
                true,
                Reason::KernelTooOld,
            ),
            (
                old,
                Stage::Overlay,
                Errno::EPERM,
                false,
                Reason::KernelTooOld,
            ),
            (
                host,
                Stage::Landlock,
                Errno::EPERM,
                false,
                Reason::NoLandlock,
            ),
            (host, Stage::Proc, Errno::EPERM, false, Reason::CoveredProc),
            (host, Stage::Namespace, Errno::EPERM, false, Reason::Other),
            (host, Stage::Exec, Errno::ENOENT, false, Reason::Other),
        ] {
            let failure = Failure::new(stage, "x", errno);
            assert_eq!(
                host.explain(&failure, nested),
                expected,
                "{stage:?} {errno} {host:?}"
            );
        }
    }

    #[test]
    fn the_machine_is_read() {
        let proc = tempfile::tempdir().unwrap();
        assert_eq!(Machine::read(proc.path()), Machine::default());
        for (path, text) in [
            ("sys/kernel/osrelease", "6.8.0-45-generic\n"),
            ("sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"),
            ("sys/user/max_user_namespaces", "0\n"),
            (
                "self/status",
                "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n",
            ),
        ] {
            let path = proc.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let expected = Machine {
            apparmor_restricts: true,
            namespaces_off: true,
            seccomp: true,
            kernel: Some((6, 8)),
        };
        assert_eq!(Machine::read(proc.path()), expected);
    }
}

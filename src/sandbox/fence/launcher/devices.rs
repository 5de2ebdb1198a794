//! The run's own `/dev` and `/proc`.
//!
//! `/dev` keeps the devices that programs write to and that keep nothing. Without the terminals
//! nothing can be typed into one, and without the disks root has none to write to.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::stat::{Mode, SFlag, mknod},
};

use super::{Failure, Stage, privileges, read_only, view};

/// What `/dev` keeps.
pub(super) const HARMLESS: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// Where programs find their open files.
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// A handle of the null device, to mount elsewhere.
pub(super) fn null() -> Result<File, Failure> {
    view::open(Path::new("/dev/null")).map_err(Failure::at(Stage::Devices, "/dev/null"))
}

/// Replaces `/dev`.
pub(super) fn replace() -> Result<(), Failure> {
    let failure = |error| Failure::new(Stage::Devices, "/dev", error);
    let mut kept = Vec::new();
    for path in HARMLESS.map(Path::new) {
        // A container may lack some.
        if let Ok(handle) = view::open(path) {
            kept.push((path, handle));
        }
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let options = Some("mode=755");
    mount(Some("open-cursor"), "/dev", Some("tmpfs"), flags, options)
        .map_err(|error| failure(error.into()))?;
    for (path, handle) in kept {
        mknod(path, SFlag::S_IFREG, Mode::empty(), 0).map_err(|error| failure(error.into()))?;
        view::bind(&handle, path, Stage::Devices)?;
    }
    for (link, target) in LINKS {
        symlink(target, link).map_err(failure)?;
    }
    fs::create_dir("/dev/shm").map_err(failure)?;
    match read_only::remount(Path::new("/dev"), flags | MsFlags::MS_RDONLY) {
        // Seen under load, for longer than it is worth waiting. It is this run's own, and holds
        // nothing of the user's.
        Err(Errno::EBUSY) => Ok(()),
        remounted => remounted.map_err(|error| failure(error.into())),
    }
}

/// Mounts the `/proc` of this PID namespace, read-only: root could write the kernel's settings.
/// Whether the namespace's processes could be limited.
pub(super) fn own_proc() -> Result<bool, Failure> {
    let failure = |error| Failure::new(Stage::Proc, "/proc", error);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(failure)?;
    let limited = privileges::limit_processes();
    read_only::remount(Path::new("/proc"), flags | MsFlags::MS_RDONLY).map_err(failure)?;
    Ok(limited)
}

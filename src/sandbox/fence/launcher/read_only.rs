//! Everything but the writable places becomes read-only, in this mount namespace.
//!
//! It backs Landlock up, and covers what Landlock does not: modes, times and extended attributes.

use std::{fs::File, path::Path, time::Duration};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
};

use super::{Failure, Launch, Stage, view};
use crate::sandbox::fence::mounts::{self, Mount};

/// How often a busy mount is tried again, and the time between.
const BUSY_TRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// Mounts what a handle stands for at a path, read-only.
pub(super) fn bind(handle: &File, at: &Path) -> Result<(), Failure> {
    view::bind(handle, at, Stage::Bind)?;
    let mounted = mounts::all().map_err(Failure::at(Stage::Bind, "mounts"))?;
    for mount in mounted.iter().filter(|mount| mount.point.starts_with(at)) {
        restrict(mount, MsFlags::MS_RDONLY)?;
    }
    Ok(())
}

/// Makes every mount read-only, but for the view and the writable places. Neither devices nor
/// set-user-id programs work in any of them.
pub(super) fn everything_else(launch: &Launch) -> Result<(), Failure> {
    let mounted = mounts::all().map_err(Failure::at(Stage::ReadOnly, "mounts"))?;
    // `/dev` is replaced later, and may be in use meanwhile.
    let stays = |mount: &&Mount| !mount.point.starts_with("/dev");
    for mount in mounted.iter().filter(stays) {
        let writable = launch
            .writable
            .iter()
            .any(|place| mount.point.starts_with(place));
        let flags = if mount.is_view() || writable {
            MsFlags::empty()
        } else {
            MsFlags::MS_RDONLY
        };
        restrict(mount, flags)?;
    }
    Ok(())
}

/// Adds flags to a mount. Those that it has must be repeated: in a user namespace they are locked.
fn restrict(mounted: &Mount, mut flags: MsFlags) -> Result<(), Failure> {
    flags |= MsFlags::MS_NOSUID;
    flags.set(MsFlags::MS_NODEV, !mounted.point.starts_with("/dev"));
    for (name, flag) in [
        ("ro", MsFlags::MS_RDONLY),
        ("nodev", MsFlags::MS_NODEV),
        ("noexec", MsFlags::MS_NOEXEC),
    ] {
        if mounted.has(name) {
            flags |= flag;
        }
    }
    match remount(&mounted.point, flags) {
        // Another mount hides it, from the agent too.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR) => Ok(()),
        Err(error) => Err(Failure::new(
            Stage::ReadOnly,
            mounted.point.display(),
            error,
        )),
    }
}

/// Sets the flags of a mount. While a file of it is still being closed the kernel calls it busy.
pub(super) fn remount(point: &Path, flags: MsFlags) -> Result<(), Errno> {
    let flags = flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    let mut tries = 0..BUSY_TRIES;
    loop {
        match mount(None::<&str>, point, None::<&str>, flags, None::<&str>) {
            Err(Errno::EBUSY) if tries.next().is_some() => std::thread::sleep(BUSY_PAUSE),
            result => return result,
        }
    }
}

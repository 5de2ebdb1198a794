//! The copy-on-write view: a mount namespace in which directories are overlays of themselves.
//!
//! Nothing is copied: the lower layer is the real directory, and only what the agent changes is
//! written, to the upper one. Layers are named to the kernel by `/proc/self/fd/N`: no character of
//! a path needs escaping, and a lower directory stays reachable when another overlay covers it.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::launcher::{Failure, Launch, Overlay, Stage};
use super::mounts;

/// Enters a namespace of our own and builds the view in it. Returns the nested mounts that could
/// carry no overlay and became read-only instead.
pub(super) fn enter(launch: &Launch) -> Result<Vec<PathBuf>, Failure> {
    new_namespace()?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(|error| Failure::new(Stage::Private, "/", error))?;

    // Everything is opened before anything is covered, and after `unshare`: a handle from the old
    // namespace could not be mounted.
    let overlays = launch
        .overlays
        .iter()
        .map(Handles::open)
        .collect::<Result<Vec<_>, _>>()?;
    let read_only = open_all(&launch.read_only)?;
    let keep = open_all(&launch.keep)?;

    let mut demoted = Vec::new();
    for (nth, (overlay, handles)) in launch.overlays.iter().zip(&overlays).enumerate() {
        match handles.mount(&overlay.at) {
            Ok(()) => must_be_overlay(&overlay.at)?,
            // A nested mount of a kind that overlayfs cannot use, such as vfat.
            Err(_) if nth > 0 => {
                bind_read_only(&handles.lower, &overlay.at)?;
                demoted.push(overlay.at.clone());
            }
            Err(error) => return Err(Failure::new(Stage::Overlay, overlay.at.display(), error)),
        }
    }
    for (path, handle) in read_only {
        bind_read_only(&handle, path)?;
    }
    for (path, handle) in keep {
        bind(&handle, path)?;
    }
    Ok(demoted)
}

/// A mount namespace where we may mount: directly with the privilege for it, which also keeps the
/// other users' files usable to root; otherwise in a user namespace that maps us to ourselves.
fn new_namespace() -> Result<(), Failure> {
    match unshare(CloneFlags::CLONE_NEWNS) {
        Ok(()) => return Ok(()),
        Err(Errno::EPERM) => {}
        Err(error) => return Err(Failure::new(Stage::Namespace, "unshare", error)),
    }
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(|error| Failure::new(Stage::Namespace, "unshare of a user namespace", error))?;
    for (file, content) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{uid} {uid} 1")),
        ("/proc/self/gid_map", format!("{gid} {gid} 1")),
    ] {
        std::fs::write(file, content)
            .map_err(|error| Failure::new(Stage::IdentityMap, file, error))?;
    }
    Ok(())
}

/// The open layers of one overlay.
struct Handles {
    lower: File,
    upper: File,
    work: File,
}

impl Handles {
    fn open(overlay: &Overlay) -> Result<Self, Failure> {
        let open = |path: &Path| {
            open(path).map_err(|error| Failure::new(Stage::Open, path.display(), error))
        };
        Ok(Self {
            lower: open(&overlay.at)?,
            upper: open(&overlay.upper)?,
            work: open(&overlay.work)?,
        })
    }

    fn mount(&self, at: &Path) -> Result<(), Errno> {
        // userxattr: what an unprivileged mount needs, and what makes the upper layer readable to
        // us in the same way for root. index=off: an upper directory is used again and again.
        let options = format!(
            "lowerdir={},upperdir={},workdir={},userxattr,index=off",
            magic_link(&self.lower),
            magic_link(&self.upper),
            magic_link(&self.work),
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some(mounts::SOURCE),
            at,
            Some(mounts::OVERLAY),
            flags,
            Some(options.as_str()),
        )
    }
}

/// Looks from outside whether the path now leads into the overlay. It would not for `/`, and then
/// Landlock's rule for the view would open the real directory.
fn must_be_overlay(at: &Path) -> Result<(), Failure> {
    let failure = |error| Failure::new(Stage::Overlay, at.display(), error);
    let kind = statfs(at).map_err(failure)?.filesystem_type();
    if kind == OVERLAYFS_SUPER_MAGIC {
        Ok(())
    } else {
        Err(failure(Errno::ESTALE))
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_PATH.bits())
        .open(path)
}

/// Opens what exists of `paths`.
fn open_all(paths: &[PathBuf]) -> Result<Vec<(&PathBuf, File)>, Failure> {
    let mut opened = Vec::with_capacity(paths.len());
    for path in paths {
        match open(path) {
            Ok(handle) => opened.push((path, handle)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::new(Stage::Open, path.display(), error)),
        }
    }
    Ok(opened)
}

fn magic_link(handle: &File) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

fn bind(handle: &File, at: &Path) -> Result<(), Failure> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(
        Some(magic_link(handle).as_str()),
        at,
        None::<&str>,
        flags,
        None::<&str>,
    )
    .map_err(|error| Failure::new(Stage::Bind, at.display(), error))
}

fn bind_read_only(handle: &File, at: &Path) -> Result<(), Failure> {
    bind(handle, at)?;
    // Restrictions of the original mount must be repeated: in a user namespace they are locked.
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    let original = statvfs(at)
        .map_err(|error| Failure::new(Stage::Bind, at.display(), error))?
        .flags();
    for (theirs, ours) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if original.contains(theirs) {
            flags |= ours;
        }
    }
    mount(None::<&str>, at, None::<&str>, flags, None::<&str>)
        .map_err(|error| Failure::new(Stage::Bind, at.display(), error))
}

//! The copy-on-write view: a mount namespace in which directories are overlays of themselves.
//!
//! Nothing is copied: the lower layer is the real directory, and only what the agent changes is
//! written, to the upper one. Layers are named to the kernel by `/proc/self/fd/N`: no character of
//! a path needs escaping, and a lower directory stays reachable when another overlay covers it.

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs},
    unistd::fchdir,
};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::{Failure, Launch, Overlay, Stage, read_only};
use crate::sandbox::fence::mounts;

/// Builds the view in the mount namespace of this process, with the writable places shown in it as
/// they really are. Returns the nested mounts that could carry no overlay and became read-only.
pub(super) fn enter(launch: &Launch) -> Result<Vec<PathBuf>, Failure> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(Failure::at(Stage::Private, "/"))?;

    // Everything is opened before anything is covered, and in this namespace: a handle from another
    // one could not be mounted.
    let overlays = launch
        .overlays
        .iter()
        .map(Handles::open)
        .collect::<Result<Vec<_>, _>>()?;
    let read_only = open_all(&launch.read_only)?;
    let writable = open_all(&launch.writable)?;

    let mut demoted = Vec::new();
    for (nth, (overlay, handles)) in launch.overlays.iter().zip(&overlays).enumerate() {
        // By its handle: its path may lead elsewhere by now. A nested one must be reached through
        // the overlay above it.
        let at = match nth {
            0 => magic_link(&handles.lower).into(),
            _ => overlay.at.clone(),
        };
        match handles.mount(&at) {
            Ok(()) => must_be_overlay(&overlay.at)?,
            // A nested mount of a kind that overlayfs cannot use, such as vfat.
            Err(_) if nth > 0 => {
                read_only::bind(&handles.lower, &overlay.at)?;
                demoted.push(overlay.at.clone());
            }
            Err(error) => return Err(Failure::new(Stage::Overlay, overlay.at.display(), error)),
        }
    }
    for (path, handle) in &writable {
        bind(handle, path, Stage::Bind)?;
    }
    for (path, handle) in &read_only {
        read_only::bind(handle, path)?;
    }
    Ok(demoted)
}

/// The open layers of one overlay.
struct Handles {
    lower: File,
    upper: File,
    work: File,
}

impl Handles {
    fn open(overlay: &Overlay) -> Result<Self, Failure> {
        let open = |path: &Path, open: fn(&Path) -> io::Result<File>| {
            open(path).map_err(Failure::at(Stage::Open, path.display()))
        };
        Ok(Self {
            lower: open(&overlay.at, open_directory)?,
            upper: open(&overlay.upper, self::open)?,
            work: open(&overlay.work, self::open)?,
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

/// Whether the path now leads into the overlay. It does not for `/`, or if something replaced the
/// directory meanwhile; then Landlock's rule for the view would open a real directory.
fn must_be_overlay(at: &Path) -> Result<(), Failure> {
    let failure = |error| Failure::new(Stage::Overlay, at.display(), error);
    let kind = statfs(at).map_err(failure)?.filesystem_type();
    if kind == OVERLAYFS_SUPER_MAGIC {
        Ok(())
    } else {
        Err(failure(Errno::ESTALE))
    }
}

/// Makes a directory the working directory. The server resolved its path, so a symlink in it now
/// was put there since, and is not followed.
pub(super) fn enter_directory(path: &Path) -> Result<(), Failure> {
    let failure = |error| Failure::new(Stage::Directory, path.display(), error);
    let directory = open_directory(path).map_err(failure)?;
    fchdir(directory).map_err(|error| failure(error.into()))
}

/// A handle of what is at a path, for mounting.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// A handle of a directory whose path has no symlink in it.
fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS;
    Ok(openat2(CWD, path, flags, Mode::empty(), resolve)?.into())
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

/// Mounts what a handle stands for, with everything mounted below it.
pub(super) fn bind(handle: &File, at: &Path, stage: Stage) -> Result<(), Failure> {
    let (source, flags) = (magic_link(handle), MsFlags::MS_BIND | MsFlags::MS_REC);
    mount(Some(source.as_str()), at, None::<&str>, flags, None::<&str>)
        .map_err(Failure::at(stage, at.display()))
}

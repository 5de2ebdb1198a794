//! The private directory of one bridge process, and what earlier ones have left.
//!
//! ```text
//! <root>/bridge-XXXXXX/lock     held as long as we live
//!                     /tmp      TMPDIR; the bridge puts its token there
//!                     /state    agents, runs and their messages
//!                     /workspace
//! ```
//!
//! Nothing is kept: the directory is removed with its process. After a `kill -9` of ours both are
//! left, and the next one that starts here ends and removes them.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use crate::agent::Env;

const PREFIX: &str = "bridge-";

/// A directory without a lock may be one that is being made.
const NEW: Duration = Duration::from_secs(60);

/// A private directory. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Home {
    dir: TempDir,
    _lock: File,
}

impl Home {
    /// Makes one, after the leftovers are gone. Blocking.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn make(root: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;

        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)?;
        sweep(root);
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root)?;
        let lock = File::create(dir.path().join("lock"))?;
        lock.try_lock().map_err(io::Error::from)?;
        fs::create_dir(dir.path().join("tmp"))?;
        fs::create_dir(dir.path().join("state"))?;
        fs::create_dir(dir.path().join("workspace"))?;
        Ok(Self { dir, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn tmp(&self) -> PathBuf {
        self.path().join("tmp")
    }

    /// An empty directory for requests without a workspace.
    pub fn workspace(&self) -> PathBuf {
        self.path().join("workspace")
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }
}

/// Where private directories are made: in the user's cache, or in the temporary directory.
pub(super) fn root(env: &Env) -> PathBuf {
    let cache = env.get("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(Path::new(env.get("HOME")?).join(".cache"));
    let cache = cache.filter(|dir| dir.is_absolute()).or_else(home);
    cache.map_or_else(
        || std::env::temp_dir().join(format!("open-cursor-{}", nix::unistd::geteuid())),
        |cache| cache.join("open-cursor"),
    )
}

/// Removes the directories whose owner is gone, with the processes that still use them.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || !path.is_dir() {
            continue;
        }
        let is_left = match File::open(path.join("lock")) {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(_) => {
                let made = entry.metadata().and_then(|meta| meta.modified());
                made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > NEW))
            }
        };
        if is_left {
            end_users(&path);
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(%error, "cannot remove what an earlier bridge has left");
            }
        }
    }
}

/// Kills the processes that have the directory in their command line.
#[cfg(target_os = "linux")]
fn end_users(dir: &Path) {
    use std::os::unix::ffi::OsStrExt;

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    let uses = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        memchr::memmem::find(&line, dir.as_os_str().as_bytes()).is_some()
    };
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(pid) = pid.filter(|pid| *pid != 1 && uses(*pid)) else {
            continue;
        };
        // The handle first, then a second look: what the handle names can no longer change.
        let handle = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        if let Some(Ok(handle)) = handle
            && uses(pid)
        {
            tracing::info!(pid, "ending a bridge that an earlier server has left");
            let _ = pidfd_send_signal(handle, Signal::KILL);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn end_users(_: &Path) {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let held = Home::make(root.path()).unwrap();
        let left = root.path().join("bridge-left");
        fs::create_dir_all(left.join("tmp")).unwrap();
        File::create(left.join("lock")).unwrap();
        let new = root.path().join("bridge-new");
        fs::create_dir(&new).unwrap();
        let other = root.path().join("slots");
        fs::create_dir(&other).unwrap();
        #[cfg(target_os = "linux")]
        let mut user = std::process::Command::new("tail")
            .arg("-f")
            .arg(left.join("lock"))
            .spawn()
            .unwrap();
        let second = Home::make(root.path()).unwrap();
        assert!(held.tmp().is_dir() && held.state().is_dir() && new.is_dir() && other.is_dir());
        assert!(!left.exists());
        #[cfg(target_os = "linux")]
        assert!(!user.wait().unwrap().success());
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }
}

//! Memory limits by cgroups (version 2).
//!
//! A process may make cgroups below its own only where that was delegated to it, as systemd does for
//! a unit with `Delegate=`. A cgroup that gives its controllers to others may hold no process itself,
//! so the server moves to one beside those of its runs:
//!
//! ```text
//! <ours>/open-cursor-PID          the server
//!       /open-cursor-PID-run-0    the run in slot 0, made when it is first needed
//! ```

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::launcher::MOST_PROCESSES;

/// What the names of all our cgroups begin with.
const PREFIX: &str = "open-cursor-";

/// A cgroup below which runs get their own.
#[derive(Debug)]
pub(super) struct Cgroups {
    base: PathBuf,
    /// Of the server.
    name: String,
}

impl Cgroups {
    /// Moves this process aside, so that runs can have cgroups beside it. Calling it again changes
    /// nothing. Blocking.
    ///
    /// # Errors
    /// What is missing, in words.
    #[cfg(target_os = "linux")]
    pub fn take() -> Result<Self, String> {
        let mounts = super::mounts::all().map_err(|error| error.to_string())?;
        let mount = mounts.iter().find(|mount| mount.is_cgroup());
        let mount = mount.ok_or("no cgroups of version 2 are mounted")?;
        let memberships = fs::read_to_string("/proc/self/cgroup");
        let memberships = memberships.map_err(|error| error.to_string())?;
        let own = memberships
            .lines()
            .find_map(|line| line.strip_prefix("0::/"));
        let own = own.ok_or("the server is in no cgroup of version 2")?;
        Self::below(&mount.point.join(own), std::process::id())
    }

    /// There are none.
    #[cfg(not(target_os = "linux"))]
    pub fn take() -> Result<Self, String> {
        Err("this operating system has no cgroups".to_owned())
    }

    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    fn below(own: &Path, pid: u32) -> Result<Self, String> {
        let name = format!("{PREFIX}{pid}");
        if let (Some(base), Some(last)) = (own.parent(), own.file_name())
            && last == OsStr::new(&name)
        {
            let base = base.to_owned();
            return Ok(Self { base, name });
        }
        let failed = |what: &str| {
            let what = format!("{}: {what}", own.display());
            move |error: io::Error| format!("{what}: {error}")
        };
        let controllers = fs::read_to_string(own.join("cgroup.controllers"))
            .map_err(failed("cgroup.controllers"))?;
        if !controllers
            .split_ascii_whitespace()
            .any(|name| name == "memory")
        {
            return Err(format!("{} has no memory controller", own.display()));
        }
        remove_old(own);
        let leaf = own.join(&name);
        fs::create_dir(&leaf).map_err(failed("making a cgroup"))?;
        let move_to = |cgroup: &Path| fs::write(cgroup.join("cgroup.procs"), pid.to_string());
        let moved = move_to(&leaf).map_err(failed("moving the server"));
        let given = moved.and_then(|()| {
            // Fails if the cgroup holds other processes, such as the shell of a terminal.
            fs::write(own.join("cgroup.subtree_control"), "+memory +pids")
                .map_err(failed("cgroup.subtree_control"))
        });
        if let Err(error) = given {
            // As it was.
            let _ = move_to(own);
            let _ = fs::remove_dir(&leaf);
            return Err(error);
        }
        let base = own.to_owned();
        Ok(Self { base, name })
    }

    /// The cgroup of the runs in a slot, with the limit set. Blocking.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn of_slot(&self, slot: &Path, memory: u64) -> io::Result<PathBuf> {
        let slot = slot.file_name().unwrap_or_default().to_string_lossy();
        let cgroup = self.base.join(format!("{}-run-{slot}", self.name));
        match fs::create_dir(&cgroup) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let set = |file: &str, value: String| fs::write(cgroup.join(file), value);
        set("memory.max", memory.to_string())?;
        // A kernel without swap has no such file.
        let _ = set("memory.swap.max", "0".to_owned());
        set("memory.oom.group", "1".to_owned())?;
        set("pids.max", MOST_PROCESSES.to_string())?;
        Ok(cgroup)
    }
}

/// Removes the cgroups of servers that are gone. One with a process in it stays.
fn remove_old(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    /// A directory in the place of a delegated cgroup: the files are ordinary ones here.
    fn delegated(controllers: &str) -> tempfile::TempDir {
        let own = tempfile::tempdir().unwrap();
        fs::write(own.path().join("cgroup.controllers"), controllers).unwrap();
        own
    }

    #[test]
    fn the_server_moves_aside_and_runs_are_limited() {
        let own = delegated("cpu memory pids\n");
        let read = |path: &str| fs::read_to_string(own.path().join(path)).unwrap();
        fs::create_dir(own.path().join("open-cursor-1-run-7")).unwrap();
        let cgroups = Cgroups::below(own.path(), 42).unwrap();
        assert!(
            !own.path().join("open-cursor-1-run-7").exists(),
            "of a server before"
        );
        assert_eq!(read("open-cursor-42/cgroup.procs"), "42");
        assert_eq!(read("cgroup.subtree_control"), "+memory +pids");

        for _ in 0..2 {
            let run = cgroups.of_slot(Path::new("/x/slots/3"), 5 << 20).unwrap();
            assert_eq!(run, own.path().join("open-cursor-42-run-3"));
        }
        for (file, value) in [
            ("memory.max", "5242880"),
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
            ("pids.max", "4096"),
        ] {
            assert_eq!(read(&format!("open-cursor-42-run-3/{file}")), value);
        }
        // Asked again, it is where it should be.
        let again = Cgroups::below(&own.path().join("open-cursor-42"), 42).unwrap();
        assert_eq!(again.base, own.path());
    }

    #[test]
    fn what_is_not_delegated_stays_as_it_is() {
        let own = delegated("cpu pids\n");
        let error = Cgroups::below(own.path(), 42).unwrap_err();
        assert!(error.ends_with("has no memory controller"), "{error}");

        // A cgroup with other processes refuses to give its controllers away.
        let own = delegated("memory\n");
        fs::create_dir(own.path().join("cgroup.subtree_control")).unwrap();
        let error = Cgroups::below(own.path(), 42).unwrap_err();
        assert!(error.contains("cgroup.subtree_control"), "{error}");
        let back = fs::read_to_string(own.path().join("cgroup.procs")).unwrap();
        assert_eq!(back, "42");
    }
}

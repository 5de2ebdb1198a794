//! How much a run has written, as its files show.
//!
//! What is below its own directory is counted whole, with the files that it has open but no name for.
//! Two things cannot be seen so cheaply: what it adds to directories that others use too, and the open
//! files of a process that hides them. Whether there can be much of that shows in the file systems'
//! free space, which is looked at first.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use nix::unistd::Pid;
use rustix::{
    fs::{
        AtFlags, CWD, Dir, DirEntry, FileType, Mode, OFlags, Stat, fstat, fstatvfs, openat, statat,
    },
    io::Errno,
    path::Arg,
};

use super::{Failure, Stage};

/// What every file counts at least: so many files fill a disk without any content.
const ENTRY: u64 = 4096;

/// Directories that are open at a time: those in each other, and those that wait to be looked into
/// because they are deeper.
const OPEN: usize = 200;

/// A tree that can't be looked through.
#[derive(Debug)]
pub(super) struct Unmeasurable;

/// Where a run writes, opened before the run covers it: this process shares its mounts.
pub(super) struct RunFiles {
    /// Its own directory.
    own: WatchedPlace,
    /// What it may write besides, and others may too.
    shared: Vec<WatchedPlace>,
    proc: OwnedFd,
    /// When the run began, in seconds of the system's clock.
    begun: i64,
}

/// A directory, and what its file system had free when the run began: bytes and inodes.
struct WatchedPlace {
    directory: OwnedFd,
    free: [u64; 2],
}

impl WatchedPlace {
    fn open(path: &Path) -> Result<Self, Errno> {
        let directory = handle(path)?;
        let free = free(&directory)?;
        Ok(Self { directory, free })
    }

    /// How many bytes and inodes fewer are free now.
    fn used(&self) -> [u64; 2] {
        let now = free(&self.directory).unwrap_or(self.free);
        [0, 1].map(|at| self.free[at].saturating_sub(now[at]))
    }
}

impl RunFiles {
    /// Of a run that begins now, and has `own` for itself.
    pub fn new(own: &Path, writable: &[PathBuf]) -> Result<Self, Failure> {
        let failure = |path: &Path, error: Errno| Failure::new(Stage::Open, path.display(), error);
        let (own_path, proc) = (own, Path::new("/proc"));
        let shared = writable.iter().filter(|path| !path.starts_with(own_path));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            own: WatchedPlace::open(own).map_err(|error| failure(own, error))?,
            // What does not exist is not written to either.
            shared: shared
                .filter_map(|path| WatchedPlace::open(path).ok())
                .collect(),
            proc: handle(proc).map_err(|error| failure(proc, error))?,
            begun: now.map_or(0, |now| now.as_secs().cast_signed()),
        })
    }

    /// How many bytes the run has written and not removed. Beyond the limit it stops counting.
    pub fn occupied(&self, inside: Pid, limit: u64) -> Result<u64, Unmeasurable> {
        let device = fstat(&self.own.directory).map_err(|_| Unmeasurable)?.st_dev;
        let mut tally = Tally {
            limit,
            device,
            ..Tally::default()
        };
        tally.tree(&self.own.directory)?;
        let mut hidden = false;
        // The first is of ours: it opens no files, and hides from the others.
        for process in family(&self.proc, inside).iter().skip(1) {
            hidden |= tally.nameless(&self.proc, process);
        }
        let [bytes, _] = self.own.used();
        if hidden && bytes > limit {
            tally.bytes = tally.bytes.max(bytes);
        }
        let may_exceed = |place: &WatchedPlace| {
            let [bytes, inodes] = place.used();
            bytes.saturating_add(inodes.saturating_mul(ENTRY)) > limit
        };
        if self.shared.iter().any(may_exceed) {
            tally.since = Some(self.begun);
            for place in &self.shared {
                tally.tree(&place.directory)?;
            }
        }
        Ok(tally.bytes)
    }
}

fn handle(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
}

/// The free bytes and inodes of the file system that a directory is on.
fn free(directory: &OwnedFd) -> Result<[u64; 2], Errno> {
    let stat = fstatvfs(directory)?;
    Ok([stat.f_bfree.saturating_mul(stat.f_frsize), stat.f_ffree])
}

#[derive(Default)]
struct Tally {
    bytes: u64,
    limit: u64,
    /// Where the run can write; files elsewhere, such as those in memory, are not on this disk.
    device: u64,
    /// Counts only what was written, or came, since then.
    since: Option<i64>,
    /// Files that have several names, or several descriptors, and were counted.
    seen: HashSet<(u64, u64)>,
}

impl Tally {
    /// The run may change everything meanwhile: what is gone counts nothing, and no link is followed.
    fn tree(&mut self, top: &OwnedFd) -> Result<(), Unmeasurable> {
        let mut waiting = vec![open(top, c".").map_err(|_| Unmeasurable)?];
        while let Some(next) = waiting.pop() {
            self.branch(next, &mut waiting)?;
        }
        Ok(())
    }

    /// Counts what is in a directory, down to a depth; what is deeper has to wait.
    fn branch(&mut self, top: Dir, waiting: &mut Vec<Dir>) -> Result<(), Unmeasurable> {
        let mut path = vec![top];
        while let Some(current) = path.last_mut() {
            let Some(entry) = current.next() else {
                path.pop();
                continue;
            };
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(handle) = current.fd() else { continue };
            let Ok(stat) = statat(handle, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let is_of_run = self.since.is_none_or(|since| stat.st_ctime >= since);
            if is_of_run {
                self.count(&stat);
            }
            if self.bytes > self.limit {
                return Ok(());
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                match open(handle, name) {
                    Ok(below) if path.len() < OPEN => path.push(below),
                    Ok(below) if waiting.len() < OPEN => waiting.push(below),
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Ok(_) | Err(_) if is_of_run => return Err(Unmeasurable),
                    Ok(_) | Err(_) => {}
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, stat: &Stat) {
        if stat.st_nlink < 2 || self.seen.insert((stat.st_dev, stat.st_ino)) {
            self.add(stat.st_blocks);
        }
    }

    /// Files without a name that a process keeps open. Whether it hides them, as one that must not be
    /// traced does.
    fn nameless(&mut self, proc: &OwnedFd, process: &str) -> bool {
        let files = match open(proc, format!("{process}/fd")) {
            Ok(files) => files,
            Err(error) => return matches!(error, Errno::ACCESS | Errno::PERM),
        };
        let Ok(handle) = files
            .fd()
            .map_err(io::Error::from)
            .and_then(|handle| handle.try_clone_to_owned())
        else {
            return false;
        };
        for file in files.filter_map(Result::ok) {
            let Ok(stat) = statat(&handle, file.file_name(), AtFlags::empty()) else {
                continue;
            };
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            let nameless = is_file && stat.st_nlink == 0 && stat.st_dev == self.device;
            if nameless && self.seen.insert((stat.st_dev, stat.st_ino)) {
                self.add(stat.st_blocks);
            }
        }
        false
    }

    fn add(&mut self, blocks: i64) {
        let bytes = blocks.unsigned_abs().saturating_mul(512);
        self.bytes = self.bytes.saturating_add(bytes.max(ENTRY));
    }
}

fn open(parent: impl AsFd, name: impl Arg) -> Result<Dir, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Dir::new(openat(parent, name, flags, Mode::empty())?)
}

/// The processes that descend from one, with it, by their names in `/proc`.
fn family(proc: &OwnedFd, ancestor: Pid) -> Vec<String> {
    let mut found = vec![ancestor.to_string()];
    let mut at = 0;
    while let Some(process) = found.get(at) {
        let mut children = String::new();
        for thread in list(proc, format!("{process}/task")).into_iter().flatten() {
            let Ok(thread) = thread.file_name().to_str() else {
                continue;
            };
            let path = format!("{process}/task/{thread}/children");
            let file = openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            // A thread that has ended has none.
            let _ = file.map(|file| File::from(file).read_to_string(&mut children));
        }
        found.extend(children.split_ascii_whitespace().map(str::to_owned));
        at += 1;
    }
    found
}

/// The entries of a directory without `.` and `..`; none if it is gone.
fn list(parent: &OwnedFd, path: impl Arg) -> Option<impl Iterator<Item = DirEntry>> {
    let entries = open(parent, path).ok()?.filter_map(Result::ok);
    Some(entries.filter(|entry| !matches!(entry.file_name().to_bytes(), b"." | b"..")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::{
        fs,
        io::Write as _,
        os::unix::fs::{MetadataExt as _, symlink},
    };

    use super::*;

    fn measure(top: &Path, inside: Pid, limit: u64) -> Option<u64> {
        let files = RunFiles::new(top, &[]).unwrap();
        files.occupied(inside, limit).ok()
    }

    /// Without the descriptors of this process, since other tests have some too.
    fn bytes(top: &Path, limit: u64) -> Option<u64> {
        measure(top, Pid::from_raw(i32::MAX), limit)
    }

    #[test]
    fn files_links_and_names_count_once() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let empty = bytes(root.path(), u64::MAX).unwrap();
        fs::create_dir(path("d")).unwrap();
        fs::write(path("d/file"), vec![1; 1 << 20]).unwrap();
        fs::hard_link(path("d/file"), path("again")).unwrap();
        symlink("/", path("link")).unwrap();
        // It holds nothing, whatever its length.
        fs::File::create(path("sparse"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let counted = bytes(root.path(), u64::MAX).unwrap() - empty;
        assert!(
            (1 << 20..=(1 << 20) + 5 * ENTRY).contains(&counted),
            "{counted}"
        );

        let mut nameless = tempfile::tempfile_in(root.path()).unwrap();
        nameless.write_all(&vec![1; 1 << 20]).unwrap();
        nameless.sync_all().unwrap();
        let more = measure(root.path(), nix::unistd::getppid(), u64::MAX).unwrap() - empty;
        assert!(more >= counted + (1 << 20), "{more}");
    }

    #[test]
    fn counting_stops_at_the_limit_and_not_at_a_depth() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..100 {
            fs::write(root.path().join(number.to_string()), "").unwrap();
        }
        let counted = bytes(root.path(), 10 * ENTRY).unwrap();
        assert_eq!(counted, 11 * ENTRY);
        // Deeper than a path can be.
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut deep = openat(CWD, root.path(), flags, Mode::empty()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&deep, c"d", Mode::RWXU).unwrap();
            deep = openat(&deep, c"d", flags, Mode::empty()).unwrap();
        }
        assert_eq!(bytes(root.path(), u64::MAX).unwrap(), 3100 * ENTRY);
        rustix::fs::fchmod(&deep, Mode::empty()).unwrap();
        let is_root = nix::unistd::geteuid().is_root();
        assert_eq!(bytes(root.path(), u64::MAX).is_some(), is_root);
    }

    #[test]
    fn in_a_shared_directory_only_what_came_since_counts() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("old")).unwrap();
        fs::write(root.path().join("old/file"), vec![1; 1 << 20]).unwrap();
        let mut tally = Tally {
            limit: u64::MAX,
            since: Some(fs::metadata(root.path()).unwrap().ctime() + 1),
            ..Tally::default()
        };
        let top = handle(root.path()).unwrap();
        tally.tree(&top).unwrap();
        assert_eq!(tally.bytes, 0);
        tally.since = Some(0);
        tally.tree(&top).unwrap();
        assert!(tally.bytes > 1 << 20, "{}", tally.bytes);
    }
}

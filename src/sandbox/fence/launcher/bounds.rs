//! What a run may hold on disk and in memory, watched from outside of it.
//!
//! Disk: nothing that an unprivileged process could set up limits a directory, so its size is looked
//! at while the run goes on. A run can be beyond its limit for as long as the time between two looks.
//! Memory: the kernel limits the cgroup, and kills all of it; here that is only noticed.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use nix::unistd::Pid;
use rustix::{
    fs::{AtFlags, CWD, Dir, DirEntry, FileType, Mode, OFlags, fstat, openat, statat},
    io::Errno,
    path::Arg,
};

use super::{Failure, Launch, Stage};

/// The time between two looks at the disk, and how many times longer than the look took at least.
const LOOK: Duration = Duration::from_secs(1);
const SHARE: u32 = 4;

/// What every file counts at least: so many files fill a disk without any content.
const ENTRY: u64 = 4096;

/// Directories that are open at a time: those in each other, and those that wait to be looked into
/// because they are deeper.
const OPEN: usize = 200;

/// The limits of one run.
pub(super) struct RunBounds<'a> {
    launch: &'a Launch,
    /// The measured directory and `/proc`, as they are before the run covers them: this process
    /// shares its mounts.
    places: Option<[OwnedFd; 2]>,
    next: Instant,
    /// How many processes of the cgroup had been killed before the run.
    killed: u64,
}

impl<'a> RunBounds<'a> {
    /// To be called before the inner process is started.
    pub fn new(launch: &'a Launch) -> Result<Self, Failure> {
        let handle = |path: &Path| {
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(CWD, path, flags, Mode::empty())
                .map_err(|error| Failure::new(Stage::Open, path.display(), error))
        };
        let places = match launch.measured.as_deref() {
            Some(measured) => Some([handle(measured)?, handle(Path::new("/proc"))?]),
            None => None,
        };
        Ok(Self {
            launch,
            places,
            next: Instant::now() + LOOK,
            killed: launch.cgroup.as_deref().map_or(0, killed),
        })
    }

    /// When to look next; `None` if there is nothing to look at.
    pub fn due(&self) -> Option<Instant> {
        self.places.is_some().then_some(self.next)
    }

    /// Looks at the disk if it is time. Why the run must end, if it must.
    pub fn look(&mut self, inside: Pid) -> Option<String> {
        let [top, proc] = self.places.as_ref()?;
        let begun = Instant::now();
        if begun < self.next {
            return None;
        }
        let limit = self.launch.disk_bytes;
        let exceeded = match occupied(top, proc, inside, limit) {
            Ok(bytes) if bytes <= limit => None,
            Ok(_) => Some(format!(
                "the agent was ended: it has more than {} MiB of files (--agent-disk)",
                limit >> 20
            )),
            Err(Unmeasurable) => Some(String::from(
                "the agent was ended: what it wrote cannot be measured for --agent-disk, since its \
                 directories are locked, or too many and too deep",
            )),
        };
        let now = Instant::now();
        self.next = now + LOOK.max((now - begun) * SHARE);
        exceeded
    }

    /// Why the kernel has killed the run, if it did for want of memory.
    pub fn out_of_memory(&self) -> Option<String> {
        let cgroup = self.launch.cgroup.as_deref()?;
        let limit = fs::read_to_string(cgroup.join("memory.max")).unwrap_or_default();
        let limit = limit.trim().parse::<u64>().unwrap_or_default() >> 20;
        (killed(cgroup) > self.killed).then(|| {
            format!("the agent was ended: it used more than {limit} MiB of memory (--agent-memory)")
        })
    }
}

/// How many processes of a cgroup were ever killed for want of memory.
fn killed(cgroup: &Path) -> u64 {
    let events = fs::read_to_string(cgroup.join("memory.events")).unwrap_or_default();
    let count = events
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "));
    count
        .and_then(|count| count.parse().ok())
        .unwrap_or_default()
}

/// A tree that can't be looked through.
struct Unmeasurable;

/// What files there are in a directory, and what those hold that the run has open but no name for.
/// Beyond the limit it stops counting.
fn occupied(top: &OwnedFd, proc: &OwnedFd, inside: Pid, limit: u64) -> Result<u64, Unmeasurable> {
    let device = fstat(top).map_err(|_| Unmeasurable)?.st_dev;
    let mut tally = Tally {
        limit,
        device,
        ..Tally::default()
    };
    tally.tree(top)?;
    for process in family(proc, inside) {
        tally.nameless(proc, &process);
    }
    Ok(tally.bytes)
}

#[derive(Default)]
struct Tally {
    bytes: u64,
    limit: u64,
    /// Where the run can write; files elsewhere, such as those in memory, are not on this disk.
    device: u64,
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
            let file = (stat.st_dev, stat.st_ino);
            if stat.st_nlink < 2 || self.seen.insert(file) {
                self.add(stat.st_blocks);
            }
            if self.bytes > self.limit {
                return Ok(());
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                match open(handle, name) {
                    Ok(below) if path.len() < OPEN => path.push(below),
                    Ok(below) if waiting.len() < OPEN => waiting.push(below),
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Ok(_) | Err(_) => return Err(Unmeasurable),
                }
            }
        }
        Ok(())
    }

    /// Files without a name that a process keeps open.
    fn nameless(&mut self, proc: &OwnedFd, process: &str) {
        let Ok(files) = open(proc, format!("{process}/fd")) else {
            return;
        };
        let Ok(handle) = files
            .fd()
            .map_err(io::Error::from)
            .and_then(|handle| handle.try_clone_to_owned())
        else {
            return;
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
    use std::{io::Write as _, os::unix::fs::symlink};

    use super::*;

    fn measure(top: &Path, inside: Pid, limit: u64) -> Option<u64> {
        let handle = |path| openat(CWD, path, OFlags::DIRECTORY, Mode::empty()).unwrap();
        occupied(&handle(top), &handle(Path::new("/proc")), inside, limit).ok()
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
        let more = measure(root.path(), nix::unistd::getpid(), u64::MAX).unwrap() - empty;
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
}

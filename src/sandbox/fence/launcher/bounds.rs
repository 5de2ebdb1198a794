//! What a run may hold on disk and in memory, watched from outside of it.
//!
//! Disk: nothing that an unprivileged process could set up limits a directory, so its size is looked
//! at while the run goes on. A run can be beyond its limit for as long as the time between two looks.
//! Memory: the kernel limits the cgroup, and kills all of it; here that is only noticed.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use nix::unistd::Pid;

use super::{Failure, Launch, disk::RunFiles};

/// The time between two looks at the disk, and how many times longer than the look took at least.
const LOOK: Duration = Duration::from_secs(1);
const SHARE: u32 = 4;

/// The limits of one run.
pub(super) struct RunBounds<'a> {
    launch: &'a Launch,
    files: Option<RunFiles>,
    next: Instant,
    /// How many processes of the cgroup had been killed before the run.
    killed: u64,
}

impl<'a> RunBounds<'a> {
    /// To be called before the inner process is started.
    pub fn new(launch: &'a Launch) -> Result<Self, Failure> {
        let files = match launch.measured.as_deref() {
            Some(own) => Some(RunFiles::new(own, &launch.writable)?),
            None => None,
        };
        Ok(Self {
            launch,
            files,
            next: Instant::now() + LOOK,
            killed: launch.cgroup.as_deref().map_or(0, killed),
        })
    }

    /// When to look next; `None` if there is nothing to look at.
    pub fn due(&self) -> Option<Instant> {
        self.files.is_some().then_some(self.next)
    }

    /// Looks at the disk if it is time. Why the run must end, if it must.
    pub fn look(&mut self, inside: Pid) -> Option<String> {
        let files = self.files.as_ref()?;
        let begun = Instant::now();
        if begun < self.next {
            return None;
        }
        let limit = self.launch.disk_bytes;
        let exceeded = match files.occupied(inside, limit) {
            Ok(bytes) if bytes <= limit => None,
            Ok(_) => Some(format!(
                "the agent was ended: it has more than {} MiB of files (--agent-disk)",
                limit >> 20
            )),
            Err(_) => Some(String::from(
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

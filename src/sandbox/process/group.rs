//! A process group: the child and whatever it started.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::time::{Instant, sleep};

/// How long a group may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// The group of a child that leads it. Dropped before it is known to be gone, it is killed.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    live: bool,
}

impl Group {
    /// The group that the child with this id leads; `None` if there is no such child any more.
    pub fn of(child: Option<u32>) -> Option<Self> {
        let leader = Pid::from_raw(i32::try_from(child?).ok()?)?;
        Some(Self { leader, live: true })
    }

    /// Asks all of the group to end and, once the leader has or the grace is over, makes it end.
    ///
    /// The leader must not have been reaped: while it is a zombie, its number can't become the
    /// number of a foreign group between the two signals.
    pub async fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let end = Instant::now() + GRACE;
        while !self.leader_has_exited() && Instant::now() < end {
            sleep(LOOK).await;
        }
        self.kill();
    }

    /// Kills what is left of the group. After the leader was reaped this must follow at once, with
    /// no await between: only members that remain hold the group's number.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.live = false;
    }

    fn signal(&self, signal: Signal) {
        // The only error that can come here says that nobody is left.
        let _ = kill_process_group(self.leader, signal);
    }

    /// Looks without reaping.
    fn leader_has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.leader), options), Ok(None))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.live {
            self.kill();
        }
    }
}

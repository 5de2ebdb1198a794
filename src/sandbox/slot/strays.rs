//! Descendants of an agent that outlive it, such as Cursor's `worker-server`.
//!
//! They leave the process group, so they are found by parentage while the agent still runs, and
//! ended later only if the process is still the same one: a pid may have been given away.

use nix::libc::pid_t;

/// A process, by its pid and the time of its start in clock ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(super) struct Process {
    pid: pid_t,
    started: u64,
}

#[cfg(target_os = "linux")]
impl Process {
    pub(super) fn is_running(&self) -> bool {
        read(self.pid).is_some_and(|now| now == *self)
    }
}

/// The children of `root` and theirs, without `root` itself. Blocking, a millisecond at most.
#[cfg(target_os = "linux")]
pub(super) fn descendants(root: pid_t) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for child in children(parent).into_iter().filter_map(read) {
            if !found.contains(&child) {
                found.push(child);
                parents.push(child.pid);
            }
        }
    }
    found
}

/// The pids of a process's children, which the kernel lists by the thread that made them
/// (`CONFIG_PROC_CHILDREN`, as in every common distribution). To look at the parent of each process
/// of the machine instead would cost some milliseconds a turn.
#[cfg(target_os = "linux")]
fn children(parent: pid_t) -> Vec<pid_t> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{parent}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let pids = list.split_ascii_whitespace();
            pids.filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

/// Kills those of `processes` that are still there.
#[cfg(target_os = "linux")]
pub(super) fn reap(processes: &[Process]) {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    for process in processes {
        // The handle first, then the look: what the handle names can no longer change.
        let handle = Pid::from_raw(process.pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        if let Some(Ok(handle)) = handle
            && process.is_running()
        {
            // It may have ended just now.
            let _ = pidfd_send_signal(handle, Signal::KILL);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn descendants(_: pid_t) -> Vec<Process> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn reap(_: &[Process]) {}

#[cfg(target_os = "linux")]
fn read(pid: pid_t) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let started = parse(&stat)?;
    Some(Process { pid, started })
}

/// The time of start from `/proc/PID/stat` (field 22). The name in parentheses may hold anything,
/// so counting begins after its end. A zombie is no process any more.
#[cfg(target_os = "linux")]
fn parse(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn stat_is_read_behind_any_name() {
        let stat = "12 (a) b) S 7 12 12 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 5";
        assert_eq!(parse(stat), Some(4711));
        assert_eq!(parse(&stat.replace(" S ", " Z ")), None);
        assert_eq!(parse("12 (cut"), None);
    }

    #[test]
    fn a_stray_is_ended_and_a_stranger_is_not() {
        // The grandchild leaves the group and outlives the shell that started it.
        let mut child = Command::new("/bin/sh")
            .args(["-c", "setsid sh -c 'echo $$; exec sleep 1000' & read _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let stray: pid_t = line.trim().parse().unwrap();
        let found = descendants(pid_t::try_from(child.id()).unwrap());
        assert!(
            found.iter().any(|process| process.pid == stray),
            "{found:?}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        let alive = read(stray).unwrap();

        reap(&[Process {
            started: alive.started + 1,
            ..alive
        }]);
        assert!(
            read(stray).is_some(),
            "another process with its pid is left alone"
        );
        reap(&found);
        while alive.is_running() {
            std::thread::yield_now();
        }
    }
}

//! The outer process of a run: creates the namespaces, waits, and ends everything that is left.
//!
//! The run must end with the server, even if that is killed, and with the agent, even if that has
//! started processes of its own. In a PID namespace the kernel ends all of them with pid 1; without
//! one, orphans become children of this process, which kills them.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd, RawFd},
    process::ExitCode,
    time::{Duration, Instant},
};

use fork::{Fork, fork};
use nix::{
    errno::Errno,
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        signal::{SigSet, Signal, kill, killpg, raise},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, close, getppid},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{PidfdFlags, pidfd_open},
};

use super::{Failure, Launch, Line, Stage, bounds::RunBounds, inside, namespace, privileges};

/// How long the run may take to end after SIGTERM; shorter than the server waits for this process.
const GRACE: Duration = Duration::from_millis(200);

/// The signals that ask this process to end the run.
const END: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// Starts the run and waits for its end. Returns its exit code.
pub(super) fn run(launch: &Launch) -> Result<ExitCode, Failure> {
    let failure = |what: &'static str| move |error: Errno| Failure::new(Stage::Exec, what, error);
    close_inherited();
    let signals = blocked(&[&END[..], &[Signal::SIGCHLD]].concat()).map_err(failure("signals"))?;
    let server = server(launch.server)?;
    if launch.mounts {
        namespace::enter(launch.processes)?;
    }
    if !launch.processes {
        prctl::set_child_subreaper(true).map_err(failure("subreaper"))?;
    }
    let mut bounds = RunBounds::new(launch)?;
    let warden = std::process::id();
    // A fork, since this program takes longer to load than all that is to be done. There is one thread.
    let child = match fork() {
        Ok(Fork::Parent(child)) => Pid::from_raw(child),
        Ok(Fork::Child) => {
            // The warden's own: the run has no use for it.
            close_inherited();
            inside::main(launch, warden)
        }
        Err(error) => return Err(Failure::new(Stage::Exec, "fork", error)),
    };
    inside::let_go_of_pipes();
    privileges::let_others_go_first();
    let end = watch(child, &signals, server.as_ref(), &mut bounds);
    if !launch.processes {
        end_descendants();
    } else if !matches!(end, RunEnd::Itself(_)) {
        // Its end is the end of the namespace.
        let _ = kill(child, Signal::SIGKILL);
        let _ = waitpid(child, None);
    }
    let stopped = match end {
        RunEnd::Itself(status) => match bounds.out_of_memory() {
            None => return Ok(exit_as(status)),
            stopped => stopped,
        },
        RunEnd::Limit(why) => Some(why),
        RunEnd::Wanted => None,
    };
    if let Some(why) = stopped {
        Line::Stopped(why).write();
    }
    Ok(ExitCode::FAILURE)
}

/// Closes all but the standard streams: what whoever started the server had open, the agent would have
/// open too.
fn close_inherited() {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten();
    let number = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let open: Vec<RawFd> = entries.filter_map(number).collect();
    // The directory itself is among them, and closed by now.
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        let _ = close(descriptor);
    }
}

/// Why the run is over.
enum RunEnd {
    /// The inner process has exited.
    Itself(WaitStatus),
    /// It is to be killed: the server is gone, or has waited for long enough.
    Wanted,
    /// It is to be killed, for this reason.
    Limit(String),
}

/// Blocks signals and returns where they can be read.
fn blocked(signals: &[Signal]) -> nix::Result<SignalFd> {
    let set: SigSet = signals.iter().copied().collect();
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// A handle that becomes readable when the server ends; `None` on a kernel without such handles.
fn server(pid: u32) -> Result<Option<OwnedFd>, Failure> {
    let pid = pid.cast_signed();
    let handle = rustix::process::Pid::from_raw(pid)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // Looked at after the handle was opened, so that it cannot be of another process.
    if getppid().as_raw() == pid {
        Ok(handle)
    } else {
        Err(Failure::new(
            Stage::Exec,
            "the server is gone",
            Errno::ESRCH,
        ))
    }
}

/// Waits for the child, or for a reason to kill it.
fn watch(
    child: Pid,
    signals: &SignalFd,
    server: Option<&OwnedFd>,
    bounds: &mut RunBounds<'_>,
) -> RunEnd {
    let mut end: Option<Instant> = None;
    loop {
        match reap(child) {
            // Without a PID namespace the agent can stop it, and nobody would notice the run's end.
            Some(WaitStatus::Stopped(..)) => return RunEnd::Wanted,
            Some(status) => return RunEnd::Itself(status),
            None => {}
        }
        if let Some(why) = bounds.look(child) {
            return RunEnd::Limit(why);
        }
        let now = Instant::now();
        if end.is_some_and(|end| end <= now) {
            return RunEnd::Wanted;
        }
        let next = end.into_iter().chain(bounds.due()).min();
        let left = next.map(|next| next.saturating_duration_since(now));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let signals_fd = signals.as_fd();
        let mut watched = vec![PollFd::new(&signals_fd, PollFlags::IN)];
        watched.extend(server.map(|server| PollFd::new(server, PollFlags::IN)));
        // Interrupted or not: the state is looked at again.
        let _ = poll(&mut watched, left.as_ref());
        if watched
            .get(1)
            .is_some_and(|server| !server.revents().is_empty())
        {
            return RunEnd::Wanted;
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            if END.iter().any(|end| *end as u32 == signal.ssi_signo) {
                // It leads a group of its own as soon as it runs.
                let _ = killpg(child, Signal::SIGTERM);
                end.get_or_insert(Instant::now() + GRACE);
            }
        }
    }
}

/// Reaps every child that has exited. Returns the status of `child` if it has exited or is stopped.
fn reap(child: Pid) -> Option<WaitStatus> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::StillAlive) => return None,
            Ok(status) if status.pid() == Some(child) => return Some(status),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// Kills the children, whose own children become ours, until there are none.
fn end_descendants() {
    loop {
        let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        for pid in children.split_ascii_whitespace() {
            if let Ok(pid) = pid.parse() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        if let Err(Errno::ECHILD) = waitpid(None, None) {
            return;
        }
    }
}

/// Ends as the agent did: `inside` reports a signal as 128 and its number.
fn exit_as(status: WaitStatus) -> ExitCode {
    let code = match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => 1,
    };
    // Cursor's own code for an interrupted run is 130.
    if let Ok(signal) = Signal::try_from(code - 128)
        && signal != Signal::SIGINT
    {
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        let _ = raise(signal);
        let _ = SigSet::from(signal).thread_unblock();
    }
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

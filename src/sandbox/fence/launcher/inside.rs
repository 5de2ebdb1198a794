//! The inner process of a run: builds the fence around itself, starts the agent in it, and reaps.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    process,
};

use nix::{
    errno::Errno,
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::{
        prctl,
        signal::{SigSet, Signal},
        wait::{WaitStatus, wait},
    },
    unistd::{Pid, dup2_stdin, dup2_stdout, getpid, setsid},
};

use super::{
    EXIT_FAILED, Failure, Launch, Line, Report, Stage, devices, filter, landlock, privileges,
    read_only, sockets::SocketCovers, view,
};
use crate::sandbox::process::{OrderedSpawn, SpawnOrder, SpawnSpec};

/// What the warden's fork does: never returns into what it has of the warden.
pub(super) fn main(launch: &Launch, warden: u32) -> ! {
    let code = run(launch, warden).unwrap_or_else(|failure| {
        Line::Failed(failure).write();
        EXIT_FAILED
    });
    process::exit(code.into())
}

/// Builds the fence and runs the agent to its end. Returns its exit code.
fn run(launch: &Launch, warden: u32) -> Result<u8, Failure> {
    let failure = |what: &'static str| move |error| Failure::new(Stage::Privileges, what, error);
    // The order matters: until it has left the warden's process group, a signal to that group
    // reaches it; from then on it ends with the warden.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failure("parent death signal"))?;
    // The warden may have been killed before that: then nobody would ever end the run.
    if parent() != Some(warden) {
        return Err(failure("the warden is gone")(Errno::ESRCH));
    }
    setsid().map_err(failure("setsid"))?;
    // As pid 1 it would not get them; elsewhere it must outlive the agent to report its status.
    let mut asked_to_end = SigSet::all();
    asked_to_end.remove(Signal::SIGCHLD);
    asked_to_end
        .thread_set_mask()
        .map_err(failure("signal mask"))?;

    if launch.unprivileged {
        privileges::die_first();
    }

    let mut report = Report {
        pid_namespace: launch.processes && getpid() == Pid::from_raw(1),
        pid_limit: launch.cgroup.is_some(),
        ..Report::default()
    };
    if let Some(cgroup) = &launch.cgroup {
        // 0 is this process.
        fs::write(cgroup.join("cgroup.procs"), "0")
            .map_err(Failure::at(Stage::Privileges, cgroup.display()))?;
    }
    let mut covers = None;
    if launch.mounts {
        let null = devices::null()?;
        report.read_only = view::enter(launch)?;
        read_only::everything_else(launch)?;
        devices::replace()?;
        if launch.processes {
            report.pid_limit |= devices::own_proc()?;
        }
        let places = Vec::new();
        covers = Some(SocketCovers { null, places });
    }
    privileges::limit(launch)?;
    // Before a wait, since these take longest, and hinder nothing that is still to be done.
    if launch.unprivileged {
        privileges::gain_none()?;
    }
    report.filter = filter::apply(launch)?;
    let landlock = match launch.landlock {
        true => {
            let views = launch.overlays.first().map(|overlay| &overlay.at);
            Some(landlock::ruleset(launch.writable.iter().chain(views))?)
        }
        false => None,
    };
    let order = if launch.waits {
        if let Some(covers) = &mut covers {
            covers.cover(launch)?;
        }
        let Some(received) = wait_for_order()? else {
            return Ok(0);
        };
        received
    } else {
        own_order(launch).map_err(order_failure)?
    };
    let ordered = order.ordered().map_err(order_failure)?;
    // Once more after a wait: sockets that were made meanwhile.
    if let Some(covers) = &mut covers {
        covers.cover(launch)?;
    }
    // Looked up in the view: the inherited directory is the real one.
    view::enter_directory(ordered.cwd)?;
    if launch.unprivileged {
        privileges::drop_all()?;
    }
    if let Some(ruleset) = landlock {
        report.landlock_abi = Some(landlock::restrict(ruleset)?);
    }
    if launch.report {
        Line::Ready(report).write();
    }
    if launch.unprivileged {
        privileges::hide()?;
    }
    let agent = start(&ordered)?;
    let_go_of_pipes();
    privileges::let_others_go_first();
    Ok(reap(agent))
}

/// The id of this process's parent as the warden's `/proc` has it: in a PID namespace of its own,
/// this process can't tell its parent from none.
fn parent() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok()
}

/// Starts the agent, with every signal as it is by default: this process blocks them, and whoever started the
/// server may have ignored some.
fn start(ordered: &OrderedSpawn<'_>) -> Result<Pid, Failure> {
    let spawn = || {
        let mut attributes = PosixSpawnAttr::init()?;
        let flags =
            PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
        attributes.set_flags(flags)?;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_sigdefault(&SigSet::all())?;
        let nothing = PosixSpawnFileActions::init()?;
        posix_spawn(
            ordered.program,
            &nothing,
            &attributes,
            &ordered.args,
            &ordered.env,
        )
    };
    let program = OsStr::from_bytes(ordered.program.to_bytes());
    spawn().map_err(Failure::at(Stage::Exec, program.display()))
}

/// What is run without an order: the program, in this process's environment.
fn own_order(launch: &Launch) -> io::Result<SpawnOrder> {
    let spec = SpawnSpec {
        program: launch.program.clone(),
        args: launch.args.clone(),
        env: std::env::vars_os().collect(),
        cwd: launch.cwd.clone(),
    };
    spec.to_order()
}

/// Reads an order, unbuffered: the agent's input follows it. `None` if the server wants nothing.
fn wait_for_order() -> Result<Option<SpawnOrder>, Failure> {
    practise();
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    SpawnOrder::read(File::from(stdin.map_err(order_failure)?)).map_err(order_failure)
}

/// Starts a program that does not exist: the first time, the code for it comes into memory page by page, and
/// the next time somebody waits for it.
fn practise() {
    let spec = SpawnSpec {
        program: "/dev/null/none".into(),
        args: Vec::new(),
        env: Vec::new(),
        // The one that the agent is to enter could not be unmounted meanwhile.
        cwd: "/".into(),
    };
    if let Ok(order) = spec.to_order()
        && let Ok(ordered) = order.ordered()
    {
        let _ = view::enter_directory(ordered.cwd);
        let _ = start(&ordered);
    }
}

fn order_failure(error: io::Error) -> Failure {
    Failure::new(Stage::Arguments, "the order", error)
}

/// Closes this process's ends of the agent's stdin and stdout: the server must see when the agent
/// closes its own. stderr stays, for failures.
pub(super) fn let_go_of_pipes() {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&null);
        let _ = dup2_stdout(&null);
    }
}

/// Reaps until the agent has ended. Returns its exit code, or 128 and the number of its signal.
fn reap(agent: Pid) -> u8 {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, code)) if pid == agent => {
                let code = u8::try_from(code).unwrap_or(1);
                return if code == EXIT_FAILED { 1 } else { code };
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == agent => {
                return u8::try_from(128 + signal as i32).unwrap_or(1);
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_read_as_the_warden_names_itself() {
        let ours = nix::unistd::getppid().as_raw().cast_unsigned();
        assert_eq!(parent(), Some(ours));
    }
}

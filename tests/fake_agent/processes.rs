//! Runs that start processes of their own and say which: `pid=<agent>,<child>,<grandchild>`.

use std::{
    io::{self, BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    thread,
};

use nix::sys::signal::{SigSet, Signal};
use open_cursor::replay::ReplayRun;

use super::{FOREVER, begin, finish};

/// A shell and its child, both in the agent's group. The shell names itself and its child.
fn family() -> io::Result<String> {
    let script = format!("sleep {} & echo $$,$!; wait", FOREVER.as_secs());
    let mut shell = Command::new("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut pids = String::new();
    if let Some(stdout) = shell.stdout.take() {
        BufReader::new(stdout).read_line(&mut pids)?;
    }
    Ok(format!("pid={},{}", std::process::id(), pids.trim_end()))
}

pub fn pids(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    out.say(&format!("{} end", family()?))?;
    finish(out)
}

/// The children inherit the blocked signal.
pub fn deaf(run: &mut ReplayRun<'_>, argument: &str) -> io::Result<u8> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGTERM);
    mask.thread_block()?;
    pids(run, argument)?;
    thread::sleep(FOREVER);
    Ok(1)
}

pub fn hang(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    begin(run)?.say(&format!("{} end", family()?))?;
    thread::sleep(FOREVER);
    Ok(1)
}

/// Daemons as a hostile agent would leave them: in sessions of their own, deaf, without a parent.
fn daemons() -> io::Result<()> {
    let script = "trap '' TERM HUP INT; while :; do echo x > \"$TMPDIR/stray\"; \
        echo x > \"$CURSOR_CONFIG_DIR/mcp.json\"; sleep 0.01; done";
    for _ in 0..3 {
        Command::new("setsid")
            .args(["-f", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
    }
    Ok(())
}

pub fn daemon(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let mut out = begin(run)?;
    daemons()?;
    out.say("I leave daemons behind.")?;
    finish(out)
}

pub fn daemon_and_failure(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    begin(run)?;
    daemons()?;
    Ok(1)
}

/// Fills the place that the run has, until it is stopped.
pub fn fill(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    begin(run)?.delta("I write and write.")?;
    for number in 0.. {
        std::fs::write(format!("fill-{number}"), vec![1; 1 << 20])?;
        thread::sleep(std::time::Duration::from_millis(2));
    }
    Ok(1)
}

/// What is hard to remove, in the slot and in the workspace.
pub fn mess(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let tmp = std::env::temp_dir();
    let workspace = std::env::current_dir()?;
    for top in [&tmp, &workspace] {
        std::env::set_current_dir(top)?;
        for _ in 0..1500 {
            std::fs::create_dir("d")?;
            std::env::set_current_dir("d")?;
        }
    }
    std::env::set_current_dir(&workspace)?;
    for top in [&tmp, &workspace] {
        let mode = nix::sys::stat::Mode::empty();
        nix::unistd::mkfifo(&top.join("pipe"), mode)?;
        std::os::unix::fs::symlink("/dev/zero", top.join("cli-config.json"))?;
        std::fs::File::create(top.join("sparse"))?.set_len(2 << 30)?;
        let locked = top.join("locked");
        std::fs::create_dir_all(locked.join("in"))?;
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000))?;
    }
    let mut out = begin(run)?;
    out.say("What a mess.")?;
    finish(out)
}

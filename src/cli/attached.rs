//! Runs a program in the foreground: on our terminal, with its exit code as ours.

use std::{
    io::{self, IsTerminal as _},
    os::unix::process::ExitStatusExt as _,
    process::ExitStatus,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

/// Runs a command to its end and returns its exit code: 128 plus the signal's number if one ended it.
///
/// What the terminal sends (Ctrl-C, Ctrl-\, Ctrl-Z) reaches the command by itself, as it stays in
/// our process group; we wait for its end. Signals that only we receive are forwarded.
pub async fn run(mut command: Command) -> io::Result<u8> {
    // Before the start: from now on, a signal cannot end us while the command keeps running.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let by_terminal =
        io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal();
    let mut child = command.spawn()?;
    loop {
        let to_forward = tokio::select! {
            status = child.wait() => return Ok(code(status?)),
            _ = interrupt.recv() => (!by_terminal).then_some(Signal::SIGINT),
            _ = quit.recv() => (!by_terminal).then_some(Signal::SIGQUIT),
            _ = terminate.recv() => Some(Signal::SIGTERM),
            _ = hangup.recv() => Some(Signal::SIGHUP),
        };
        // The child has not been waited for, so its id is still its own.
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        if let (Some(signal), Some(id)) = (to_forward, id) {
            let _ = kill(Pid::from_raw(id), signal);
        }
    }
}

/// The exit code as a shell would report it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The exit code for a command that cannot be started, as shells have it.
pub fn refusal(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for (raw, expected) in [(0, 0), (3 << 8, 3), (255 << 8, 255), (2, 130), (15, 143)] {
            assert_eq!(code(ExitStatus::from_raw(raw)), expected);
        }
    }
}

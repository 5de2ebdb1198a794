//! The launcher: a hidden subcommand of our own binary that fences itself in and starts the agent.
//!
//! ```text
//! server ── spawn ──> warden            the server's child; watches both sides
//!                        └──> inside    its fork; pid 1 of the run's namespace; builds the fence, then reaps
//!                                └──> agent
//! ```
//!
//! Namespaces, mounts and Landlock apply to the thread that asks for them, so they must be set up
//! in a process that has one thread and nothing else to do. The `warden` creates the namespaces
//! and stays outside of them: when the server ends, however that happens, it ends the run. `inside`
//! leaves the session and with it the terminal, mounts, waits for an order if it was started ahead of
//! the run, drops privileges, and starts the agent. It knows no policy: the server decides what to show and what to allow.

mod launch;
mod line;

#[cfg(target_os = "linux")]
mod bounds;
#[cfg(target_os = "linux")]
mod devices;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod inside;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod privileges;
#[cfg(target_os = "linux")]
mod read_only;
#[cfg(target_os = "linux")]
mod sockets;
#[cfg(target_os = "linux")]
mod view;
#[cfg(target_os = "linux")]
mod warden;

use std::{ffi::OsString, process::ExitCode};

pub(super) use launch::{Launch, Overlay};
pub use line::{Failure, Line, Report, Stage};

/// The hidden subcommand's name.
pub const SUBCOMMAND: &str = "agent-launcher";

/// Exit code of a launcher that could not start the agent. Together with a [`Line::Failed`] on
/// stderr it says that the agent has not run at all: an agent's own code of that value is replaced.
pub const EXIT_FAILED: u8 = 97;

/// Processes and threads of one run. An agent with its helpers has some hundred.
pub(super) const MOST_PROCESSES: u32 = 4096;

/// Major and minor version, of what the kernel says of its release.
pub(super) fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse().ok();
    number().zip(number())
}

/// Runs the launcher with what follows [`SUBCOMMAND`].
///
/// Must be called before the process has a second thread.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match parse(args).and_then(run) {
        Ok(code) => code,
        Err(failure) => {
            Line::Failed(failure).write();
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Launch, Failure> {
    let failure = "the launcher's arguments are not of this build";
    Launch::from_args(args).ok_or_else(|| Failure::said(Stage::Arguments, failure))
}

#[cfg(target_os = "linux")]
fn run(launch: Launch) -> Result<ExitCode, Failure> {
    warden::run(&launch)
}

#[cfg(not(target_os = "linux"))]
fn run(_: Launch) -> Result<ExitCode, Failure> {
    let error = std::io::Error::from(std::io::ErrorKind::Unsupported);
    Err(Failure::new(Stage::Namespace, "the launcher", error))
}

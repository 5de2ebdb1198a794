//! The only place that prints. Data goes to stdout, everything else to stderr.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod progress;
mod wrap;

pub use progress::{Spinner, progress};
pub use wrap::Wrapped;

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
    sync::OnceLock,
};

use anstyle::{AnsiColor, Style};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// An error with a hint and an exit code; made by [`hinted`] and [`usage`].
#[derive(Debug)]
struct Hinted {
    message: String,
    hint: Option<String>,
    code: u8,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// An error with a hint; exit code 1.
pub fn hinted(message: impl fmt::Display, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Hinted {
        message: message.to_string(),
        hint: Some(hint.into()),
        code: 1,
    })
}

/// A wrong flag or setting; exit code 2.
pub fn usage(message: impl fmt::Display) -> anyhow::Error {
    anyhow::Error::new(Hinted {
        message: message.to_string(),
        hint: None,
        code: 2,
    })
}

/// Prints an error, and the hint that came with it.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    note(format_args!("{ERROR}error:{ERROR:#} {error:#}"));
    let hinted = error.downcast_ref::<Hinted>();
    if let Some(hint) = hinted.and_then(|hinted| hinted.hint.as_ref()) {
        note(format_args!("{HINT}hint:{HINT:#} {hint}"));
    }
    ExitCode::from(hinted.map_or(1, |hinted| hinted.code))
}

/// The first error of printing data.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Prints a line of data.
pub fn line(text: impl fmt::Display) {
    piece(format_args!("{text}\n"));
}

/// Prints data without a line break, and flushes it.
pub fn piece(text: impl fmt::Display) {
    let mut out = anstream::stdout().lock();
    if let Err(error) = write!(out, "{text}").and_then(|()| out.flush()) {
        let _ = LOST.set(error);
    }
}

/// Whether data could not be printed: what prints on and on has to end then.
pub fn is_lost() -> bool {
    LOST.get().is_some()
}

/// Text of others for a terminal: without control characters, which could move its cursor.
pub fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(shown).collect()
}

/// The exit code of a command that would end with `code`: data that could not be printed is a
/// failure. A reader that closed its pipe causes no message.
pub fn finish(code: ExitCode) -> ExitCode {
    match LOST.get() {
        None => code,
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Some(error) => failure(&anyhow::anyhow!("cannot write to stdout: {error}")),
    }
}

/// `no things`, `1 thing`, `2 things`.
pub fn plural(count: usize, thing: &str) -> String {
    match count {
        0 => format!("no {thing}s"),
        1 => format!("1 {thing}"),
        more => format!("{more} {thing}s"),
    }
}

/// Prints a line that is not data.
pub fn note(text: impl fmt::Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

//! The only place that prints. Data goes to stdout, everything else to stderr.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod progress;
mod style;
mod wrap;

pub use progress::{Spinner, progress};
pub use style::{BAD, FAINT, GOOD, HINT, NAME, PLAIN, WARNING};
pub use wrap::Wrapped;

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
    sync::OnceLock,
};

use anstyle::Style;
use serde::Serialize;

/// The hint of an error that has none of its own.
const ELSE: &str = "`open-cursor doctor` checks the setup, `open-cursor help troubleshooting` explains common errors";

/// An error with a hint and an exit code; made by [`hinted`] and [`usage`].
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Hinted {
    message: String,
    hint: String,
    code: u8,
}

/// An error with a hint; exit code 1.
pub fn hinted(message: impl fmt::Display, hint: impl Into<String>) -> anyhow::Error {
    ending_with(1, message, hint)
}

/// A wrong flag or setting; exit code 2.
pub fn usage(message: impl fmt::Display, hint: impl Into<String>) -> anyhow::Error {
    ending_with(2, message, hint)
}

/// The same with another exit code.
pub fn ending_with(code: u8, message: impl fmt::Display, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Hinted {
        message: message.to_string(),
        hint: hint.into(),
        code,
    })
}

/// Prints an error, and a hint.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    headed("error:", BAD.bold(), &in_words(&format!("{error:#}")));
    let hinted = error.downcast_ref::<Hinted>();
    headed("hint:", HINT, hinted.map_or(ELSE, |hinted| &hinted.hint));
    ExitCode::from(hinted.map_or(1, |hinted| hinted.code))
}

/// Prints a message after its heading, broken between words on a terminal.
fn headed(heading: &str, style: Style, text: &str) {
    let indent = heading.len() + 1;
    let width = wrap::width_of(&io::stderr());
    let text = wrap::wrapped(text, width, indent);
    note(format_args!("{style}{heading}{style:#} {text}"));
}

/// The text without the numbers of the system's errors, which say nothing beside their words, and
/// without the names of temporary files, which are not those that the user named.
fn in_words(text: &str) -> String {
    let mut pieces = text.split(" (os error ");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.split_once(')').map_or("", |(_, rest)| rest);
        let name = rest.strip_prefix(" at path \"");
        kept += name.map_or(rest, |name| {
            name.split_once('"').map_or("", |(_, rest)| rest)
        });
    }
    kept
}

/// The first error of printing data.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Prints a line of data.
pub fn line(text: impl fmt::Display) {
    piece(format_args!("{text}\n"));
}

/// Prints a value as JSON, on several lines.
///
/// # Errors
/// It can't be JSON.
pub fn json(value: &impl Serialize) -> serde_json::Result<()> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
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

/// The width of each column.
pub fn widths<const N: usize>(rows: &[[String; N]]) -> [usize; N] {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max();
    std::array::from_fn(|at| width(at).unwrap_or(0))
}

/// Prints rows of a name, a value and a remark.
pub fn list(rows: &[[String; 3]]) {
    let [names, values, _] = widths(rows);
    for [name, value, remark] in rows {
        line(format_args!(
            "{NAME}{name:names$}{NAME:#}  {value:values$}  {FAINT}{remark}{FAINT:#}"
        ));
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

#[cfg(test)]
mod tests {
    #[test]
    fn errors_of_the_system_are_words() {
        let error = std::io::Error::from_raw_os_error(2);
        let text = format!("cannot read a: {error}, nor b: {error}; (sic)");
        assert_eq!(
            super::in_words(&text),
            "cannot read a: No such file or directory, nor b: No such file or directory; (sic)"
        );
        let missing = std::path::Path::new("/nonexistent");
        let error = tempfile::tempfile_in(missing)
            .map(|_| ())
            .or_else(|_| tempfile::NamedTempFile::new_in(missing).map(|_| ()));
        let text = error.map_err(|error| error.to_string());
        assert_eq!(
            text.map_err(|text| super::in_words(&text)),
            Err("No such file or directory".to_owned())
        );
    }
}

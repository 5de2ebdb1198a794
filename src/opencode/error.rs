//! Why the configuration was left alone.

use std::io;
use std::path::PathBuf;

/// A configuration that was not read or not written. Whenever this is returned, the file is as it
/// was.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is no JSONC as OpenCode reads it: comments and trailing commas, nothing more.
    #[error("{}:{line}:{column}: {reason}; mend it and try again", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// Something that must be an object is none.
    #[error("{}: {key} is not an object; mend it and try again", file.display())]
    Layout {
        /// The file.
        file: PathBuf,
        /// Its place, such as `provider.cursor-acp.models`.
        key: String,
    },
    /// The edited text does not say what was planned, as when a key occurs twice.
    #[error(
        "{}: cannot be edited safely (is a key of provider.{provider} written twice?); \
         nothing was written",
        file.display()
    )]
    Unsafe {
        /// The file.
        file: PathBuf,
        /// The provider's id.
        provider: String,
    },
    /// Another open-cursor is writing.
    #[error("another open-cursor is changing the configuration; try again")]
    Busy,
    /// Some other program keeps writing the file.
    #[error("{}: another program keeps changing it; try again", .0.display())]
    Unsteady(PathBuf),
    /// The file system said no.
    #[error("{}: {error}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Its words.
        error: io::Error,
    },
}

impl ConfigError {
    pub(super) fn io(file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |error| Self::Io { file, error }
    }
}

//! Why the configuration was not changed.

use std::{io, path::PathBuf};

/// A configuration that could not be read or written. The file is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not JSONC as OpenCode reads it: JSON with comments and trailing commas.
    #[error("{}:{line}:{column}: {reason}; fix it and try again", file.display())]
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
    /// A value that must be an object is not one.
    #[error("{}: {key} is not an object; fix it and try again", file.display())]
    Layout {
        /// The file.
        file: PathBuf,
        /// Its path, such as `provider.cursor-acp.models`.
        key: String,
    },
    /// The edited text does not have the planned content, as when a key occurs twice.
    #[error(
        "{}: cannot be edited safely (does a key of provider.{provider} occur twice?); \
         nothing was written",
        file.display()
    )]
    Unsafe {
        /// The file.
        file: PathBuf,
        /// The provider's id.
        provider: String,
    },
    /// Another open-cursor holds the lock.
    #[error("another open-cursor is changing the configuration; try again")]
    Busy,
    /// Another program keeps writing the file.
    #[error("{}: another program keeps changing it; try again", .0.display())]
    Unsteady(PathBuf),
    /// A file system error.
    #[error("{}: {error}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
}

impl ConfigError {
    pub(super) fn io(file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |error| Self::Io { file, error }
    }
}

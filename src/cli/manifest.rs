//! What `install` has made, so that `uninstall` removes just that. Which values of OpenCode's
//! configuration are ours, [`crate::opencode`] knows by itself.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::file::replace;

/// What `install` has made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// OpenCode's configuration, in which it put the provider.
    pub config: Option<PathBuf>,
    /// Whether that file did not exist before.
    pub created: bool,
    /// The file for the service manager.
    pub service: Option<File>,
}

/// A file, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub text: String,
}

impl Manifest {
    /// Reads it; one that can't be read is an empty one.
    pub fn read(state: &Path) -> Self {
        let text = std::fs::read(state.join("install.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes it, or removes it once nothing is installed.
    pub fn write(&self, state: &Path) -> io::Result<()> {
        let file = state.join("install.json");
        if *self == Self::default() {
            return match std::fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        replace(&file, &serde_json::to_vec_pretty(self)?, None)
    }
}

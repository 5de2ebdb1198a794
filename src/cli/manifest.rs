//! The record of what `install` wrote, for `uninstall`. Which values of OpenCode's configuration are
//! ours is recorded by [`crate::opencode`].

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{file::replace, opencode::Original};

/// What `install` wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// OpenCode's configuration file.
    pub config: Option<PathBuf>,
    /// Whether that file did not exist before.
    pub created: bool,
    /// How to restore that file, if nothing else writes it.
    pub original: Option<Original>,
    /// The file with the API key of the service.
    pub key_file: Option<PathBuf>,
    /// The file for the service manager.
    pub service: Option<File>,
}

/// A file and its content as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub path: PathBuf,
    pub text: String,
}

impl Manifest {
    /// Reads the record; one that cannot be read counts as empty.
    pub fn read(state: &Path) -> Self {
        let text = std::fs::read(state.join("install.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes the record; an empty one is removed.
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

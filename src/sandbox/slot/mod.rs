//! A slot: the private directories of one running agent.
//!
//! ```text
//! <root>/chats            shared by all slots, so that a resumed chat is found from any of them;
//!                         those that were not used for a day are removed
//! <root>/0.lock           held while a server uses slot 0
//! <root>/0/config         CURSOR_CONFIG_DIR, seeded anew after every turn
//!         /tmp            TMPDIR
//!         /workspace      the working directory of requests that have none; stays empty
//!         /layers/0/upper, work    what the agent writes in its view
//! <root>/0.aside-0        what could not be removed from slot 0; tried again now and then
//! ```
//!
//! The paths of a slot never change: Cursor keeps a folder per workspace path. Nothing of one turn
//! is left for the next. Knows no fence: it only says where things are.

mod chats;
mod config;
mod places;
mod pool;
mod seed;
mod sweep;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::threads::lock;
use seed::Seed;

pub use places::Places;
pub use pool::{Slot, SlotError, Slots, WhenClean};
pub use seed::Rules;

/// What the name of a slot's directory that was moved aside continues with, before a number.
const ASIDE: &str = "aside-";

/// The paths of one slot.
#[derive(Debug, Clone)]
pub struct SlotDirs {
    slot: PathBuf,
    chats: PathBuf,
    user_config: PathBuf,
    /// What the configuration directory holds, if it is ready for a run.
    seed: Arc<Mutex<Option<Seed>>>,
}

impl SlotDirs {
    fn new(root: &Path, index: usize, user_config: &Path) -> Self {
        Self {
            slot: root.join(index.to_string()),
            chats: root.join("chats"),
            user_config: user_config.to_owned(),
            seed: Arc::default(),
        }
    }

    /// The agent's `CURSOR_CONFIG_DIR`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.slot.join("config")
    }

    /// The agent's `TMPDIR`.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.slot.join("tmp")
    }

    /// An empty directory for requests without a workspace.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.slot.join("workspace")
    }

    /// Cursor's chats, shared by all slots.
    #[must_use]
    pub fn chats(&self) -> &Path {
        &self.chats
    }

    /// The directory that holds all others of this slot. The agent may not write it itself.
    pub(super) fn root(&self) -> &Path {
        &self.slot
    }

    /// The upper and the work directory of the view's `nth` overlay.
    pub(super) fn layer(&self, nth: usize) -> (PathBuf, PathBuf) {
        let layer = self.slot.join("layers").join(nth.to_string());
        (layer.join("upper"), layer.join("work"))
    }

    /// Removes the layers of all overlays. Blocking.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub(super) fn clear_layers(&self) -> io::Result<()> {
        match sweep::all_but(&self.slot.join("layers"), &[]) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            cleared => cleared,
        }
    }

    /// Sees to it that the configuration directory holds the user's settings with these rules.
    /// Blocking.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) fn configure(&self, rules: Rules) -> io::Result<()> {
        Seed::update(&mut lock(&self.seed), self, rules)
    }

    /// Whether the configuration directory holds just that already. Blocking.
    pub(super) fn is_configured(&self, rules: Rules) -> bool {
        let seed = lock(&self.seed);
        seed.as_ref()
            .is_some_and(|seed| seed.is_current(self, rules))
    }

    /// Makes the slot as new, and ready for a run by the same rules as the last one. What cannot
    /// be removed is moved aside. Blocking.
    ///
    /// # Errors
    /// If neither is possible; and if the slot is not ours alone, which is somebody's mistake.
    fn clean(&self) -> io::Result<()> {
        private_directory(&self.slot)?;
        private_directory(&self.chats)?;
        let Err(error) = self.try_clean() else {
            return Ok(());
        };
        let aside = self.aside()?;
        tracing::warn!(
            slot = %self.slot.display(), aside = %aside.display(), %error,
            "a slot cannot be cleaned and was moved aside"
        );
        *lock(&self.seed) = None;
        self.try_clean()
    }

    /// Gives the slot's directory another name.
    fn aside(&self) -> io::Result<PathBuf> {
        let mut number = 0_u32;
        loop {
            let aside = self.slot.with_extension(format!("{ASIDE}{number}"));
            // A directory is only replaced if it is empty.
            match std::fs::rename(&self.slot, &aside) {
                Ok(()) => return Ok(aside),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn try_clean(&self) -> io::Result<()> {
        private_directory(&self.slot)?;
        sweep::all_but(&self.slot, &["config", "tmp", "workspace"])?;
        sweep::renew(&self.tmp())?;
        sweep::renew(&self.workspace())?;
        let last = lock(&self.seed).take_if(|seed| !seed.is_intact(self));
        if lock(&self.seed).is_none() {
            sweep::renew(&self.config())?;
        }
        match last {
            Some(seed) => self.configure(seed.rules),
            None => Ok(()),
        }
    }
}

/// Removes what of the slots that were moved aside can be removed by now. Blocking.
fn remove_asides(root: &Path) {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let is_aside = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extension.starts_with(ASIDE))
    };
    for aside in entries.map(|entry| entry.path()).filter(is_aside) {
        if let Err(error) = sweep::remove(&aside) {
            tracing::debug!(aside = %aside.display(), %error, "still cannot be removed");
        }
    }
}

/// Makes a directory that only we can change, or finds it: who owns it could put another one in the place
/// of what we keep there. A link to it must be ours too.
fn own_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path)?;
    let us = nix::unistd::geteuid().as_raw();
    let (meta, link) = (std::fs::metadata(path)?, std::fs::symlink_metadata(path)?);
    if meta.uid() == us && link.uid() == us && meta.mode() & 0o002 == 0 {
        return Ok(());
    }
    let message = format!("{} belongs to others", path.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

/// Makes a directory that only we can enter, or finds it. One that is not ours alone is refused:
/// in a shared temporary directory somebody else may have made it.
pub(super) fn private_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    let mut builder = std::fs::DirBuilder::new();
    match builder.mode(0o700).create(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let meta = std::fs::symlink_metadata(path)?;
    let ours = meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw();
    if ours && meta.mode() & 0o077 == 0 {
        Ok(())
    } else {
        let message = format!(
            "{} is not a directory of ours alone (mode 0700)",
            path.display()
        );
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    }
}

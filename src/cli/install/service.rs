//! The service that `install --service` sets up: its file, and the API key that it demands.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{
    cli::{
        dirs::UserDirs,
        manifest::{File, Manifest},
        random_key, render,
    },
    file,
    service::Service,
    settings::{ROWS, Resolved, ValueOrigin},
};

/// A service that is to be set up.
pub(super) struct PlannedService {
    service: Service,
    /// Whether its file has to be written.
    changed: bool,
    /// The file for a key of its own.
    pub(super) key_file: Option<PathBuf>,
}

impl PlannedService {
    /// Plans it, and warns of what will be otherwise than here.
    ///
    /// # Errors
    /// There is another file in its place.
    pub(super) fn new(
        resolved: &Resolved,
        dirs: &UserDirs,
        manifest: &Manifest,
    ) -> anyhow::Result<Self> {
        warn_of_variables(resolved);
        // The user's own file is in config.toml, which the service reads.
        let key_file = match resolved.settings.api_key_file {
            Some(_) => None,
            None => dirs.key_file.clone(),
        };
        let program = std::env::current_exe().context("cannot find our own executable")?;
        warn_of_build_directory(&program);
        let service = dirs.service(&program, key_file.as_deref());
        let service = service.context("open-cursor supports systemd and launchd only")?;
        Ok(Self {
            changed: is_news(&service, manifest)?,
            service,
            key_file,
        })
    }

    /// Writes the files.
    pub(super) fn write(&self, manifest: &mut Manifest) -> anyhow::Result<()> {
        if let Some(file) = &self.key_file {
            make_key(file).with_context(|| format!("cannot write {}", file.display()))?;
            manifest.key_file = Some(file.clone());
        }
        let Service { path, text, .. } = &self.service;
        if self.changed {
            file::replace(path, text.as_bytes(), None)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        manifest.service = Some(File {
            path: path.clone(),
            text: text.clone(),
        });
        Ok(())
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "path": self.service.path,
            "changed": self.changed,
            "start": self.service.start,
            "stop": self.service.stop,
            "apiKeyFile": self.key_file,
        })
    }

    pub(super) fn print(&self, would: &str) {
        let path = self.service.path.display();
        if self.changed {
            render::line(format_args!("Service: {path} {would}written"));
        } else {
            render::line(format_args!("Service: {path} is up to date"));
        }
        render::line(format_args!("  start it with: {}", self.service.start));
        if let Some(file) = &self.key_file {
            render::line(format_args!(
                "  clients other than OpenCode need the API key in {}",
                file.display()
            ));
        }
    }
}

/// `cargo clean` would remove the service's program.
fn warn_of_build_directory(program: &Path) {
    let is_build = |dir: &Path| dir.join("CACHEDIR.TAG").exists() && dir.ends_with("target");
    if program.ancestors().any(is_build) {
        render::note(format_args!(
            "note: the service will run {}, in a build directory; run `cargo install --path .` and \
             then `~/.cargo/bin/open-cursor install --service` for a copy that stays",
            program.display()
        ));
    }
}

/// The service does not see the variables of this process.
fn warn_of_variables(resolved: &Resolved) {
    for (row, found) in ROWS.iter().zip(&resolved.found) {
        if let (ValueOrigin::Env(name), Some(text)) = (&found.origin, &found.text) {
            render::note(format_args!(
                "note: the service does not see {name}; set `{}` to {text:?} in config.toml",
                row.name
            ));
        }
    }
    for name in ["CURSOR_API_KEY", "CURSOR_AUTH_TOKEN", "CURSOR_ACCESS_TOKEN"] {
        if std::env::var_os(name).is_some_and(|value| !value.is_empty()) {
            render::note(format_args!(
                "note: the service does not see {name}; it uses the login of `open-cursor login`"
            ));
        }
    }
}

/// Whether the service's file has to be written. One that we did not write is an error.
fn is_news(service: &Service, manifest: &Manifest) -> anyhow::Result<bool> {
    let Ok(there) = std::fs::read_to_string(&service.path) else {
        return Ok(true);
    };
    if there == service.text {
        return Ok(false);
    }
    let ours = manifest.service.as_ref();
    if ours.is_some_and(|ours| ours.text == there) {
        return Ok(true);
    }
    Err(render::hinted(
        format_args!(
            "{} exists and was not written by open-cursor, or was changed since",
            service.path.display()
        ),
        "move it away, or install without --service",
    ))
}

/// Writes a random key, readable by the user alone, unless there is a key.
fn make_key(file: &Path) -> anyhow::Result<()> {
    if file::read_text(file).is_ok_and(|text| !text.trim().is_empty()) {
        return Ok(());
    }
    let mode = std::fs::Permissions::from_mode(0o600);
    Ok(file::replace(file, random_key()?.as_bytes(), Some(mode))?)
}

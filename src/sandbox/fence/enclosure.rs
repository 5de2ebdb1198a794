//! One run behind the fence: how it is started, and what it changed.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::changes::{self, Changes, Limits};
use super::launcher::{Launch, Overlay};
use super::policy::{FenceError, FenceMode, Inner, exposed};
use super::{deny, seatbelt};
use crate::sandbox::process::SpawnSpec;
use crate::sandbox::slot::SlotDirs;

/// More mounts than this below a workspace, and it gets no view.
#[cfg(target_os = "linux")]
const MOST_NESTED: usize = 16;

/// Where a program finds helpers that act for the user outside of any fence, and the user's keys.
const REACH_AROUND: [&str; 16] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "GPG_AGENT_INFO",
    "TMUX",
    "STY",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "DOCKER_HOST",
    "CONTAINER_HOST",
    "NVIM",
    "VSCODE_IPC_HOOK_CLI",
    "VSCODE_GIT_IPC_HANDLE",
];

/// A file that only the agent sees, such as `.cursor/cli.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFile {
    /// Relative to the workspace, of plain names only.
    pub path: PathBuf,
    /// What it holds; it hides a file of the user's at the same path.
    pub content: Vec<u8>,
}

/// One run behind the fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enclosure {
    workspace: PathBuf,
    config: PathBuf,
    tmp: PathBuf,
    wall: Wall,
    ours: Vec<PathBuf>,
    warning: Option<String>,
}

/// What stands between the agent and the system.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wall {
    /// Nothing.
    Open,
    /// Our launcher; the template lacks the agent.
    Launcher { program: PathBuf, launch: Launch },
    /// macOS.
    Seatbelt { profile: String },
}

impl Enclosure {
    /// Plans a run and makes the slot ready for it. Blocking.
    pub(super) fn prepare(
        inner: &Inner,
        slot: &SlotDirs,
        workspace: &Path,
        files: &[ProjectFile],
    ) -> Result<Self, FenceError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| FenceError::Prepare { path, source }
        };
        let workspace = workspace.canonicalize().map_err(failed(workspace))?;
        let mode = inner.status.mode;
        let root = inner.exposure(&workspace)?;
        let warning = root
            .filter(|_| mode == FenceMode::Auto)
            .map(|root| exposed(&workspace, root));

        slot.clear_layers().map_err(failed(&slot.config()))?;
        let mut run = Self {
            config: slot.config(),
            tmp: slot.tmp(),
            wall: Wall::Open,
            ours: Vec::new(),
            warning,
            workspace,
        };
        if mode != FenceMode::Off {
            run.wall = run.wall(inner, slot).map_err(failed(&run.workspace))?;
            if run.has_view() {
                run.ours = place(files, &run.workspace, &slot.layer(0).0)
                    .map_err(failed(&slot.layer(0).0))?;
            }
        }
        let rules = match mode {
            FenceMode::Off => &[],
            _ => deny::rules(run.has_view()),
        };
        slot.configure(rules).map_err(failed(&run.config))?;
        Ok(run)
    }

    fn wall(&self, inner: &Inner, slot: &SlotDirs) -> io::Result<Wall> {
        let own = [slot.config(), slot.tmp(), slot.chats().to_owned()];
        let writable: Vec<PathBuf> = inner.state.iter().cloned().chain(own).collect();
        let limited = inner.status.writes.holds();
        if cfg!(target_os = "macos") {
            let profile = seatbelt::profile(&writable);
            return Ok(if limited {
                Wall::Seatbelt { profile }
            } else {
                Wall::Open
            });
        }
        let mut launch = if self.can_have_view(inner) {
            view(&self.workspace, slot, &writable)?.unwrap_or_default()
        } else {
            Launch::default()
        };
        launch.writable = limited.then_some(writable);
        if launch.overlays.is_empty() && !limited {
            return Ok(Wall::Open);
        }
        Ok(Wall::Launcher {
            program: inner.launcher.clone(),
            launch,
        })
    }

    fn can_have_view(&self, inner: &Inner) -> bool {
        let no_view = inner.no_view();
        let root = self.workspace.parent().is_none();
        inner.status.view.holds() && !root && !no_view.contains_key(&self.workspace)
    }

    /// The same program behind the fence, with the slot's directories in its environment.
    #[must_use]
    pub fn wrap(&self, mut spec: SpawnSpec) -> SpawnSpec {
        let own = [("CURSOR_CONFIG_DIR", &self.config), ("TMPDIR", &self.tmp)];
        let fenced = self.wall != Wall::Open;
        let dropped = |name: &OsString| {
            own.iter().any(|(own, _)| name == own)
                || fenced && REACH_AROUND.iter().any(|reach| name == reach)
        };
        spec.env.retain(|(name, _)| !dropped(name));
        spec.env
            .extend(own.map(|(name, path)| (name.into(), path.as_os_str().to_owned())));
        match &self.wall {
            Wall::Open => spec,
            Wall::Launcher { program, launch } => SpawnSpec {
                args: Launch {
                    cwd: spec.cwd,
                    program: spec.program,
                    args: spec.args,
                    ..launch.clone()
                }
                .to_args(),
                program: program.clone(),
                env: spec.env,
                // The launcher enters the view before it enters the directory.
                cwd: PathBuf::from("/"),
            },
            Wall::Seatbelt { profile } => {
                let prefix = ["-p".into(), profile.into(), spec.program.into_os_string()];
                SpawnSpec {
                    program: seatbelt::PROGRAM.into(),
                    args: prefix.into_iter().chain(spec.args).collect(),
                    ..spec
                }
            }
        }
    }

    /// The workspace, without symlinks in its path.
    #[must_use]
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// Whether the agent's changes go to a view.
    #[must_use]
    pub fn has_view(&self) -> bool {
        !self.overlays().is_empty()
    }

    /// What the user should know about this workspace.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// What the agent has changed in its view up to now; `None` without a view.
    ///
    /// # Errors
    /// If the upper layer cannot be listed.
    pub async fn changes(&self, limits: Limits) -> io::Result<Option<Changes>> {
        if !self.has_view() {
            return Ok(None);
        }
        let (overlays, ours) = (self.overlays().to_vec(), self.ours.clone());
        let read = tokio::task::spawn_blocking(move || changes::read(&overlays, &ours, &limits));
        match read.await {
            Ok(changes) => changes.map(Some),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    pub(super) fn has_nested_mounts(&self) -> bool {
        match &self.wall {
            Wall::Launcher { launch, .. } => launch.overlays.len() + launch.read_only.len() > 1,
            _ => false,
        }
    }

    /// Has the launcher say what it set up.
    pub(super) fn report(&mut self) {
        if let Wall::Launcher { launch, .. } = &mut self.wall {
            launch.report = true;
        }
    }

    fn overlays(&self) -> &[Overlay] {
        match &self.wall {
            Wall::Launcher { launch, .. } => &launch.overlays,
            _ => &[],
        }
    }
}

/// The mounts of a view, with their layers made. `None` if there are too many.
#[cfg(target_os = "linux")]
fn view(workspace: &Path, slot: &SlotDirs, writable: &[PathBuf]) -> io::Result<Option<Launch>> {
    let keep: Vec<PathBuf> = writable
        .iter()
        .filter(|root| root.starts_with(workspace))
        .cloned()
        .collect();
    let mut launch = Launch::default();
    let mut add = |at: &Path, meta: &fs::Metadata| {
        let (upper, work) = slot.layer(launch.overlays.len());
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        // The upper directory's permissions are what the view shows.
        fs::set_permissions(&upper, meta.permissions())?;
        launch.overlays.push(Overlay {
            at: at.to_owned(),
            upper,
            work,
        });
        io::Result::Ok(())
    };
    add(workspace, &fs::metadata(workspace)?)?;
    let nested: Vec<PathBuf> = super::mounts::below(workspace)?
        .into_iter()
        .filter(|mount| !keep.iter().any(|root| mount.starts_with(root)))
        .collect();
    if nested.len() > MOST_NESTED {
        return Ok(None);
    }
    let mut read_only = Vec::new();
    for mount in nested {
        match fs::metadata(&mount) {
            Ok(meta) if meta.is_dir() => add(&mount, &meta)?,
            Ok(_) => read_only.push(mount),
            // Covered by another mount, or not for us: nor for the agent.
            Err(_) => {}
        }
    }
    Ok(Some(Launch {
        read_only,
        keep,
        ..launch
    }))
}

#[cfg(not(target_os = "linux"))]
fn view(_: &Path, _: &SlotDirs, _: &[PathBuf]) -> io::Result<Option<Launch>> {
    Ok(None)
}

/// Puts our files into the upper layer. Returns where the agent sees them. A file whose directory
/// is something else in the workspace is left out.
fn place(files: &[ProjectFile], workspace: &Path, upper: &Path) -> io::Result<Vec<PathBuf>> {
    let mut placed = Vec::new();
    'files: for file in files {
        let plain = |part| matches!(part, Component::Normal(_));
        if !file.path.components().all(plain) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut directory = PathBuf::new();
        for name in file.path.parent().into_iter().flat_map(Path::components) {
            directory.push(name);
            let mode = match fs::symlink_metadata(workspace.join(&directory)) {
                Ok(meta) if meta.is_dir() => Some(meta.permissions()),
                Ok(_) => continue 'files,
                Err(_) => None,
            };
            let made = upper.join(&directory);
            fs::create_dir_all(&made)?;
            if let Some(mode) = mode {
                fs::set_permissions(&made, mode)?;
            }
        }
        fs::write(upper.join(&file.path), &file.content)?;
        placed.push(workspace.join(&file.path));
    }
    Ok(placed)
}

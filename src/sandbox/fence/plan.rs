//! What stands between one run and the system, as it follows from the machine and the workspace.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    launcher::{Launch, Overlay},
    policy::{FenceMode, PolicyInner},
    seatbelt,
};
use crate::{
    sandbox::slot::{Rules, SlotDirs},
    threads::lock,
};

/// More mounts than this below a workspace, and it gets no view.
#[cfg(target_os = "linux")]
const MOST_NESTED: usize = 16;

/// What a run's fence follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunPlan {
    /// As it was asked for.
    pub named: PathBuf,
    pub workspace: PathBuf,
    /// Whether it may have a view.
    pub view: bool,
    pub fenced: bool,
}

/// What stands between the agent and the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wall {
    /// Nothing.
    Open,
    /// Our launcher; the template lacks the agent. On Linux always, since even without a fence the
    /// agent must leave the terminal and end with the server.
    Launcher {
        program: PathBuf,
        launch: Box<Launch>,
    },
    /// macOS.
    Seatbelt { profile: String },
}

impl RunPlan {
    /// The plan of a run in `workspace`, which `named` leads to. One with rules of its own has no view.
    pub fn new(
        inner: &PolicyInner,
        named: &Path,
        workspace: PathBuf,
        rules: Option<Rules>,
    ) -> Self {
        Self {
            named: named.to_owned(),
            workspace,
            view: rules.is_none(),
            fenced: inner.status.mode != FenceMode::Off,
        }
    }

    /// What stands between the agent and the system. Changes nothing in the slot.
    pub fn wall(&self, inner: &PolicyInner, slot: &SlotDirs) -> io::Result<Wall> {
        let writable = || -> Vec<PathBuf> {
            let own = [slot.config(), slot.tmp(), slot.chats().to_owned()];
            let logins = inner.logins.iter().filter_map(|login| real_file(login));
            let state = inner.state.iter().cloned();
            state.chain(logins).chain(own).collect()
        };
        if !cfg!(target_os = "linux") {
            let limited = self.fenced && inner.status.writes.holds();
            return Ok(if limited {
                let profile = seatbelt::profile(&writable());
                Wall::Seatbelt { profile }
            } else {
                Wall::Open
            });
        }
        let mut launch = Launch::default();
        if self.fenced {
            let writable = writable();
            if self.can_have_view(inner) {
                launch = view(&self.workspace, slot, &writable)?.unwrap_or_default();
            }
            launch.writable = writable;
            launch.disk_bytes = inner.config.limits.disk;
            launch.measured = Some(slot.root().to_owned());
            if let (Some(cgroups), Some(memory)) = (&inner.cgroups, inner.config.limits.memory) {
                launch.cgroup = Some(cgroups.of_slot(slot.root(), memory)?);
            }
            inner.strength.apply(&mut launch);
        }
        launch.server = std::process::id();
        launch.cwd.clone_from(&self.workspace);
        Ok(Wall::Launcher {
            program: inner.config.launcher.clone(),
            launch: Box::new(launch),
        })
    }

    fn can_have_view(&self, inner: &PolicyInner) -> bool {
        self.view
            && inner.strength.mounts
            && inner.status.view.holds()
            && self.workspace.parent().is_some()
            && !lock(&inner.no_view).contains_key(&self.workspace)
    }

    /// What a launcher can set up ahead for a run like this in a clean slot, with its layers made.
    /// Blocking.
    pub fn launch_in(&self, inner: &PolicyInner, slot: &SlotDirs) -> Option<Launch> {
        let wall = self.wall(inner, slot);
        let made = wall.and_then(|wall| wall.make_layers(slot).map(|()| wall));
        match made {
            Ok(Wall::Launcher { launch, .. }) => Some(*launch),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(%error, "no launcher can wait for the next run");
                None
            }
        }
    }
}

impl Wall {
    /// What our launcher is to set up, if it is used.
    pub fn launch(&self) -> Option<&Launch> {
        match self {
            Self::Launcher { launch, .. } => Some(launch),
            _ => None,
        }
    }

    /// The mounts of the view; none without one.
    pub fn overlays(&self) -> &[Overlay] {
        self.launch().map_or(&[], |launch| &launch.overlays)
    }

    /// Makes fresh layers for the view. Blocking.
    pub fn make_layers(&self, slot: &SlotDirs) -> io::Result<()> {
        slot.clear_layers()?;
        for Overlay { at, upper, work } in self.overlays() {
            fs::create_dir_all(upper)?;
            fs::create_dir_all(work)?;
            // The upper directory's permissions are what the view shows.
            fs::set_permissions(upper, fs::metadata(at)?.permissions())?;
        }
        Ok(())
    }
}

/// Where a file is that a path leads to. The fence compares paths free of symlinks.
fn real_file(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    path.is_file().then_some(path)
}

/// The mounts of a view. `None` if there are too many.
#[cfg(target_os = "linux")]
fn view(workspace: &Path, slot: &SlotDirs, writable: &[PathBuf]) -> io::Result<Option<Launch>> {
    let mut launch = Launch::default();
    let mut add = |at: &Path| {
        let (upper, work) = slot.layer(launch.overlays.len());
        launch.overlays.push(Overlay {
            at: at.to_owned(),
            upper,
            work,
        });
    };
    add(workspace);
    let nested: Vec<PathBuf> = super::mounts::below(workspace)?
        .into_iter()
        .filter(|mount| !writable.iter().any(|root| mount.starts_with(root)))
        .collect();
    if nested.len() > MOST_NESTED {
        return Ok(None);
    }
    let mut read_only = Vec::new();
    for mount in nested {
        match fs::metadata(&mount) {
            Ok(meta) if meta.is_dir() => add(&mount),
            Ok(_) => read_only.push(mount),
            // Covered by another mount, or not readable for us: nor for the agent.
            Err(_) => {}
        }
    }
    Ok(Some(Launch {
        read_only,
        ..launch
    }))
}

#[cfg(not(target_os = "linux"))]
fn view(_: &Path, _: &SlotDirs, _: &[PathBuf]) -> io::Result<Option<Launch>> {
    Ok(None)
}

//! One run behind the fence: how it is started, and what it changed.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use super::{
    changes::{self, Changes, ReadLimits},
    deny,
    launcher::Launch,
    plan::{RunPlan, Wall},
    policy::{FenceError, FenceMode, PolicyInner, exposed},
    seatbelt,
};
use crate::{
    sandbox::{
        environment::{self, REACH_AROUND},
        process::{SpawnSpec, Start, WaitingChild},
        slot::{Rules, SlotDirs},
    },
    threads::blocking,
};

/// One run behind the fence.
#[derive(Debug)]
pub struct Enclosure {
    plan: RunPlan,
    config: PathBuf,
    tmp: PathBuf,
    wall: Wall,
    warning: Option<String>,
    /// A launcher that has set this up already.
    waiting: Option<WaitingChild>,
}

impl Enclosure {
    /// Plans a run and makes the slot ready for it. Blocking.
    pub(super) fn prepare(
        inner: &PolicyInner,
        slot: &SlotDirs,
        named: &Path,
        rules: Option<Rules>,
    ) -> Result<Self, FenceError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| FenceError::Prepare { path, source }
        };
        let mode = inner.status.mode;
        let real = named.canonicalize().map_err(failed(named))?;
        let plan = RunPlan::new(inner, named, real, rules);
        let root = inner.exposure(&plan.workspace)?;
        let warning = root
            .filter(|_| mode == FenceMode::Auto)
            .map(|root| exposed(&plan.workspace, root));
        let wall = plan.wall(inner, slot).map_err(failed(&plan.workspace))?;
        let launch = wall.launch();
        let waiting = launch.and_then(|launch| inner.warm.take(slot.root(), launch));
        if waiting.is_none() {
            wall.make_layers(slot).map_err(failed(&plan.workspace))?;
        }
        let run = Self {
            config: slot.config(),
            tmp: slot.tmp(),
            plan,
            wall,
            warning,
            waiting,
        };
        let rules = run.rules(rules);
        slot.configure(rules).map_err(failed(&run.config))?;
        Ok(run)
    }

    /// The rules in the slot's configuration, for a run that may have its own.
    fn rules(&self, own: Option<Rules>) -> Rules {
        match own {
            Some(rules) => rules,
            None if !self.plan.fenced => Rules::default(),
            None => deny::rules(self.has_view()),
        }
    }

    /// The run that a launcher waits for in the slot, if it is this one and has no fence: that it is ready is
    /// to be [seen](Self::is_ready) while the program starts, before it gets anything. Does not block.
    pub(super) fn awaited(
        inner: &PolicyInner,
        slot: &SlotDirs,
        named: &Path,
        rules: Option<Rules>,
    ) -> Option<Self> {
        let plan = RunPlan::new(inner, named, named.to_owned(), rules);
        if plan.fenced {
            return None;
        }
        let (waiting, launch) = inner.warm.take_unseen(slot.root(), &plan)?;
        Some(Self {
            config: slot.config(),
            tmp: slot.tmp(),
            plan,
            wall: Wall::Launcher {
                program: inner.config.launcher.clone(),
                launch: Box::new(launch),
            },
            warning: None,
            waiting: Some(waiting),
        })
    }

    /// Whether preparing the run would change nothing. Blocking.
    pub(super) fn is_ready(
        &self,
        inner: &PolicyInner,
        slot: &SlotDirs,
        rules: Option<Rules>,
    ) -> bool {
        let place = self.plan.named.canonicalize();
        let wall = self.plan.wall(inner, slot);
        place.is_ok_and(|place| place == self.plan.workspace)
            && wall.is_ok_and(|wall| wall == self.wall)
            && slot.is_configured(self.rules(rules))
    }

    /// The plan of another run like this one.
    pub(super) fn again(&self) -> RunPlan {
        self.plan.clone()
    }

    /// How the program is started behind the fence, with the slot's directories in its environment.
    #[must_use]
    pub fn start(&mut self, spec: SpawnSpec) -> Start {
        match self.waiting.take() {
            Some(waiting) => Start::Waiting(waiting, self.inner_spec(spec)),
            None => Start::New(self.wrap(spec)),
        }
    }

    /// The same program behind the fence, with the slot's directories in its environment. To be
    /// started by this process: the run ends with it.
    #[must_use]
    pub fn wrap(&self, spec: SpawnSpec) -> SpawnSpec {
        let spec = self.inner_spec(spec);
        match &self.wall {
            Wall::Open => spec,
            Wall::Launcher { program, launch } => launched(program, launch, spec),
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

    /// The program as it is started inside of the fence.
    fn inner_spec(&self, mut spec: SpawnSpec) -> SpawnSpec {
        let own = [("CURSOR_CONFIG_DIR", &self.config), ("TMPDIR", &self.tmp)];
        let dropped = |name: &OsString| {
            own.iter().any(|(own, _)| name == own)
                || self.plan.fenced && environment::names(&[REACH_AROUND], name)
        };
        spec.env.retain(|(name, _)| !dropped(name));
        spec.env
            .extend(own.map(|(name, path)| (name.into(), path.as_os_str().to_owned())));
        // What the name led to was looked up once, when the run was prepared.
        if spec.cwd == self.plan.named {
            spec.cwd.clone_from(&self.plan.workspace);
        }
        spec
    }

    /// The workspace, without symlinks in its path.
    #[must_use]
    pub fn workspace(&self) -> &Path {
        &self.plan.workspace
    }

    /// Whether the agent's changes go to a view.
    #[must_use]
    pub fn has_view(&self) -> bool {
        !self.wall.overlays().is_empty()
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
    pub async fn changes(&self, limits: ReadLimits) -> io::Result<Option<Changes>> {
        if !self.has_view() {
            return Ok(None);
        }
        let overlays = self.wall.overlays().to_vec();
        let changes = blocking(move || changes::read(&overlays, &limits)).await;
        changes.map(Some)
    }

    pub(super) fn has_nested_mounts(&self) -> bool {
        let mounts = |launch: &Launch| launch.overlays.len() + launch.read_only.len();
        self.wall.launch().is_some_and(|launch| mounts(launch) > 1)
    }

    /// Has the launcher report what it set up.
    pub(super) fn report(&mut self) {
        if let Wall::Launcher { launch, .. } = &mut self.wall {
            launch.report = true;
        }
    }
}

/// A program of the user's own, which nothing limits: it leaves the terminal, and it and all that it
/// starts end with this process, however that ends (Linux).
#[must_use]
pub fn attended(launcher: &Path, spec: SpawnSpec) -> SpawnSpec {
    if cfg!(target_os = "linux") {
        launched(launcher, &Launch::default(), spec)
    } else {
        spec
    }
}

/// The program of `spec`, started by the launcher.
pub(super) fn launched(launcher: &Path, launch: &Launch, spec: SpawnSpec) -> SpawnSpec {
    let launch = Launch {
        server: std::process::id(),
        cwd: spec.cwd,
        program: spec.program,
        args: spec.args,
        ..launch.clone()
    };
    SpawnSpec {
        args: launch.to_args(),
        program: launcher.to_owned(),
        env: spec.env,
        // The launcher enters the view before it enters the directory.
        cwd: PathBuf::from("/"),
    }
}

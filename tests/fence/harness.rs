//! A workspace, a fence, and a shell that plays the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use open_cursor::sandbox::fence::changes::{Change, Changes, ReadLimits};
use open_cursor::sandbox::fence::launcher::{Failure, Stage};
use open_cursor::sandbox::fence::{Enclosure, Fence, FenceConfig, FenceMode, ResourceLimits};
use open_cursor::sandbox::process::SpawnSpec;
use open_cursor::sandbox::slot::{Places, Slot, Slots};
use tempfile::TempDir;

pub const LAUNCHER: &str = env!("CARGO_BIN_EXE_open-cursor");

/// Paths below a directory, with mode and content.
pub type Tree = BTreeMap<PathBuf, String>;

pub struct Scene {
    pub root: TempDir,
    pub fence: Fence,
    pub slots: Slots,
    pub slot: Held,
}

/// A slot that can be given back.
pub struct Held(Option<Slot>);

impl std::ops::Deref for Held {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.0.as_ref().unwrap()
    }
}

impl Scene {
    pub async fn new(mode: FenceMode) -> Self {
        Self::with_slots_at(mode, "slots").await
    }

    /// `slots` is where the slots live, below the scene's root.
    pub async fn with_slots_at(mode: FenceMode, slots: &str) -> Self {
        Self::with(config(mode), slots).await
    }

    pub async fn with(config: FenceConfig, slots: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["ws", "state", "user", "outside"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        let places = places(root.path(), slots);
        let (fence, slots) = Fence::start(&config, &places, 8, None).await.unwrap();
        let slot = slots.acquire().await.unwrap();
        let slot = Held(Some(slot));
        Self {
            root,
            fence,
            slots,
            slot,
        }
    }

    /// Gives the slot back after a run, and takes it again.
    pub async fn next_run(&mut self, run: &Enclosure) {
        let mut slot = self.slot.0.take().unwrap();
        let place = slot.dirs().tmp();
        slot.when_clean(self.fence.warming(run));
        drop(slot);
        self.slots.drained().await;
        let mut others = Vec::new();
        while self.slot.0.is_none() {
            let slot = self.slots.acquire().await.unwrap();
            if slot.dirs().tmp() == place {
                self.slot = Held(Some(slot));
            } else {
                others.push(slot);
            }
        }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub async fn prepare(&self, workspace: &Path) -> Enclosure {
        self.fence
            .prepare(self.slot.dirs(), workspace)
            .await
            .unwrap()
    }

    /// From now on the workspace has no view, as if the kernel had refused it.
    pub async fn without_view(&self, workspace: &Path) -> Enclosure {
        let failure = Failure {
            stage: Stage::Overlay,
            errno: Some(22),
            message: "a test".into(),
        };
        let run = self.prepare(workspace).await;
        self.fence.fall_back(&run, failure).await.unwrap();
        let run = self.prepare(workspace).await;
        assert!(!run.has_view());
        run
    }

    /// Runs a shell script as the agent, in `cwd`, with the workspace's path as `$WS`.
    pub fn agent(&self, run: &Enclosure, cwd: &Path, script: &str) -> Output {
        execute(&run.wrap(self.spec(run, cwd, script)))
    }

    pub fn spec(&self, run: &Enclosure, cwd: &Path, script: &str) -> SpawnSpec {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let variable = |name: &str, value: OsString| (name.into(), value);
        SpawnSpec {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec![
                variable("PATH", path),
                variable("HOME", self.path("state").into()),
                variable("WS", run.workspace().into()),
                variable("OUTSIDE", self.path("outside").into()),
                variable("SSH_AUTH_SOCK", "/run/agent".into()),
            ],
            cwd: cwd.to_owned(),
        }
    }

    /// What the agent changed, by path below the workspace.
    pub async fn changes(&self, run: &Enclosure) -> Changes {
        run.changes(ReadLimits::default()).await.unwrap().unwrap()
    }
}

impl Drop for Scene {
    /// Overlayfs leaves a directory that its owner cannot list, and so do some tests.
    fn drop(&mut self) {
        let unlock = Command::new("chmod")
            .args(["-R", "u+rwX"])
            .arg(self.root.path())
            .status();
        assert!(unlock.is_ok());
    }
}

/// With our launcher and the usual limits.
pub fn config(mode: FenceMode) -> FenceConfig {
    FenceConfig {
        mode,
        launcher: LAUNCHER.into(),
        limits: ResourceLimits::default(),
    }
}

/// The places of a machine whose home is `root`.
pub fn places(root: &Path, slots: &str) -> Places {
    Places {
        slot_roots: vec![root.join(slots)],
        user_config: root.join("user"),
        state: vec![root.join("state")],
        logins: vec![root.join("cursor/auth.json")],
    }
}

pub fn execute(spec: &SpawnSpec) -> Output {
    Command::new(&spec.program)
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter().cloned())
        .current_dir(&spec.cwd)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs a command that must succeed.
pub fn sh(directory: &Path, script: &str) -> String {
    let output = Command::new("/bin/sh")
        .args(["-ec", script])
        .current_dir(directory)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Every path below a directory, with its mode and content.
pub fn snapshot(directory: &Path) -> Tree {
    let mut found = Tree::new();
    collect(directory, directory, &mut found);
    found
}

fn collect(root: &Path, directory: &Path, found: &mut Tree) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            collect(root, &path, found);
            String::new()
        } else if meta.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else {
            fs::read(&path).unwrap().escape_ascii().to_string()
        };
        let mode = meta.permissions().mode();
        let name = path.strip_prefix(root).unwrap().to_owned();
        found.insert(name, format!("{mode:o} {content}"));
    }
}

/// The paths that are not the same in both.
pub fn differing<'a>(before: &'a Tree, after: &'a Tree) -> BTreeSet<&'a Path> {
    let paths = before.keys().chain(after.keys());
    let differs = |path: &&'a PathBuf| before.get(*path) != after.get(*path);
    paths.filter(differs).map(PathBuf::as_path).collect()
}

/// `Created`, `Modified` or `Deleted`, and the path, of every change outside of `.git`.
pub fn told(changes: &Changes, workspace: &Path) -> Vec<String> {
    assert!(changes.complete);
    let line = |change: &Change| {
        let path = change.path.strip_prefix(workspace).unwrap();
        let kind = match (&change.before, &change.after) {
            (None, _) => "Created",
            (_, None) => "Deleted",
            _ => "Modified",
        };
        (!path.starts_with(".git")).then(|| format!("{kind} {}", path.display()))
    };
    changes.list.iter().filter_map(line).collect()
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

pub fn skip(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// A mount for as long as a test needs it.
pub struct Mounted(PathBuf);

impl Mounted {
    pub fn new(
        source: &Path,
        at: PathBuf,
        kind: Option<&str>,
        flags: MsFlags,
        options: Option<&str>,
    ) -> Self {
        mount(Some(source), &at, kind, flags, options).unwrap();
        Self(at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

//! What is known of the installed CLI: whether it takes tools that are served to it.
//!
//! That differs by version and can only be tried, so what was found is kept on disk, by the version
//! (the program's real path and its time of change), and forgotten after a week.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::Program;
use crate::threads::lock;

/// How long what was found holds.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// The largest file that is read. Ours has some hundred bytes.
const LARGEST: u64 = 64 * 1024;

/// What is known of one program.
#[derive(Debug)]
pub(super) struct Carrier {
    /// Where it is kept; `None` keeps it for the life of the server.
    file: Option<PathBuf>,
    version: String,
    state: Mutex<KnownCarrier>,
    /// Whether the CLI's help names the option that lets it load our server; nothing if it was not
    /// asked yet.
    has_option: OnceCell<bool>,
    /// How many runs in a row finished without a look at the tools.
    unlisted: AtomicU32,
}

/// What was found of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct KnownCarrier {
    /// Why served tools do not reach the agent, if that was seen.
    refusal: Option<String>,
    /// Whether the option `--allowed-tools` is refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_allowed_tools: bool,
    /// When that was seen, in seconds since 1970.
    since: u64,
}

impl Carrier {
    /// What was kept of the program. Blocking.
    pub fn open(file: Option<PathBuf>, program: &Path) -> Self {
        let version = version(program);
        let known = file.as_deref().and_then(read);
        let known = known.and_then(|mut all| all.remove(&version));
        let is_fresh = |known: &KnownCarrier| now().saturating_sub(known.since) < WEEK.as_secs();
        Self {
            file,
            version,
            state: Mutex::new(known.filter(is_fresh).unwrap_or_default()),
            has_option: OnceCell::new(),
            unlisted: AtomicU32::new(0),
        }
    }

    /// Why served tools do not reach the agent, as far as is known.
    pub fn refusal(&self) -> Option<String> {
        match self.has_option.get() {
            None => Some("the agent was not asked yet".to_owned()),
            Some(false) => Some("the agent has no option --approve-mcps".to_owned()),
            Some(true) => self.lock().refusal.clone(),
        }
    }

    /// Reads what the CLI prints as its help, if nobody has. Who comes meanwhile waits for that.
    pub async fn read_help(&self, help: impl Future<Output = String>) {
        let has_option = async { help.await.contains("--approve-mcps") };
        self.has_option.get_or_init(|| has_option).await;
    }

    /// Whether `--allowed-tools` may be given.
    pub fn takes_allowed_tools(&self) -> bool {
        !self.lock().no_allowed_tools
    }

    /// Served tools were seen not to reach the agent.
    pub fn refused(&self, why: &str) {
        tracing::warn!(
            "this version of the agent does not take the client's tools ({why}): each answer with \
             calls starts the agent anew. It is tried again in a week, or after an update"
        );
        self.learn(|known| known.refusal = Some(why.to_owned()));
    }

    /// A run asked for the tools.
    pub fn listed(&self) {
        self.unlisted.store(0, Ordering::Relaxed);
    }

    /// A run finished before it asked for the tools. One may have been quick; two are a rule.
    pub fn finished_unlisted(&self) {
        if self.unlisted.fetch_add(1, Ordering::Relaxed) > 0 {
            self.refused("runs finish without asking for the list of tools");
        }
    }

    /// The option was seen to be refused.
    pub fn refused_allowed_tools(&self) {
        tracing::info!("the agent has no --allowed-tools: deny rules keep its own tools off");
        self.learn(|known| known.no_allowed_tools = true);
    }

    fn learn(&self, change: impl FnOnce(&mut KnownCarrier)) {
        let mut state = self.lock();
        change(&mut state);
        state.since = now();
        let known = state.clone();
        drop(state);
        if let Some(file) = &self.file {
            let mut all = read(file).unwrap_or_default();
            all.insert(self.version.clone(), known);
            if let Err(error) = write(file, &all) {
                tracing::warn!(%error, "cannot keep what was found of the agent");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, KnownCarrier> {
        lock(&self.state)
    }
}

/// Why tools that are served do not reach a program with this help, as far as is known and was kept
/// in `file`.
pub async fn carrier_problem(
    program: &Program,
    file: Option<PathBuf>,
    help: &str,
) -> Option<String> {
    let path = program.path.clone();
    let open = move || Carrier::open(file, &path);
    let carrier = tokio::task::spawn_blocking(open).await.ok()?;
    carrier.read_help(std::future::ready(help.to_owned())).await;
    carrier.refusal()
}

/// An update of the CLI changes where its link points to, or the program itself.
fn version(program: &Path) -> String {
    let real = program
        .canonicalize()
        .unwrap_or_else(|_| program.to_owned());
    let changed = fs::metadata(&real).and_then(|meta| meta.modified()).ok();
    let changed = changed.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    format!(
        "{} {}",
        real.display(),
        changed.unwrap_or_default().as_secs()
    )
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// A file that can't be read is as good as none.
fn read(file: &Path) -> Option<BTreeMap<String, KnownCarrier>> {
    let meta = fs::metadata(file).ok()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return None;
    }
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

fn write(file: &Path, all: &BTreeMap<String, KnownCarrier>) -> std::io::Result<()> {
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    crate::file::replace(file, &serde_json::to_vec_pretty(all)?, None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::ready;

    use futures::FutureExt as _;

    use super::*;

    fn asked(carrier: &Carrier, help: &str) {
        let asked = carrier.read_help(ready(help.to_owned()));
        asked.now_or_never().unwrap();
    }

    #[test]
    fn what_was_found_is_kept_for_a_week_and_for_one_version() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("agent");
        fs::write(&program, "1").unwrap();
        let file = dir.path().join("cache/carriers.json");
        let open = || {
            let carrier = Carrier::open(Some(file.clone()), &program);
            assert!(carrier.refusal().is_some(), "nothing was asked");
            asked(
                &carrier,
                "  --approve-mcps   Automatically approve all MCP servers",
            );
            carrier
        };
        assert_eq!(open().refusal(), None);
        open().refused("it did not ask for them");
        open().refused_allowed_tools();
        let known = open();
        assert_eq!(known.refusal().as_deref(), Some("it did not ask for them"));
        assert!(!known.takes_allowed_tools());

        let other = dir.path().join("other");
        fs::write(&other, "1").unwrap();
        let other = Carrier::open(Some(file.clone()), &other);
        asked(&other, "--approve-mcps");
        assert_eq!(other.refusal(), None);
        let older = Carrier::open(None, &program);
        asked(&older, "--print");
        assert!(older.refusal().is_some());

        let mut all = read(&file).unwrap();
        all.values_mut()
            .for_each(|known| known.since -= WEEK.as_secs());
        write(&file, &all).unwrap();
        assert_eq!(open().refusal(), None, "it is old");
        fs::write(&file, "no JSON").unwrap();
        assert_eq!(open().refusal(), None);
    }
}

//! The agent that is served, and the directories that it works in.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    agent::{Agent, AgentError, Env, Serving, Setup},
    cli::render,
    engine::Turns,
    settings::ServeSettings,
};

/// The agent and where it works.
pub(in crate::cli) struct AgentSetup {
    /// The agent.
    pub agent: Agent,
    /// Where it works, absolute and without links, if that is one place.
    pub workspace: Option<PathBuf>,
}

impl AgentSetup {
    /// Finds the agent and checks the directory.
    pub async fn find(settings: &ServeSettings, carriers: Option<PathBuf>) -> anyhow::Result<Self> {
        let workspace = workspace(settings).await?;
        let agent = settings.agent.as_deref().map(OsStr::new);
        let running = settings.max_running.get();
        let setup = Setup {
            fence: settings.fence,
            limits: settings.resource_limits(),
            bridge: settings.bridge.clone(),
            slots: running,
            launcher: std::env::current_exe().context("cannot find our own executable")?,
            workspace: workspace.clone(),
            serve_tools: settings.turns.serves_tools().then(|| Serving {
                native_reads: settings.native_reads,
                ..Serving::default()
            }),
            carriers,
        };
        let agent = Agent::discover(agent, &std::env::vars_os().collect::<Env>(), setup)
            .await
            .map_err(|error| match error {
                AgentError::Missing { .. } => {
                    render::hinted(error, "`--agent replay` tries things out without Cursor")
                }
                error => error.into(),
            })?;
        let named = settings.agent.as_deref().map(Path::new);
        // The usual name is Cursor's alone, and asking a program takes half a second.
        if named.is_some_and(|name| name.file_name() != Some(OsStr::new("cursor-agent")))
            && let Some(line) = agent.foreign_version().await
        {
            return Err(render::hinted(
                format_args!("{agent} is not Cursor's agent: its version is `{line}`"),
                "name the program `cursor-agent`, or leave --agent out to find it",
            ));
        }
        check_parking(&agent, settings.turns).await?;
        Ok(Self { agent, workspace })
    }
}

/// Whether runs can wait, where the server is not to start without.
async fn check_parking(agent: &Agent, turns: Turns) -> anyhow::Result<()> {
    if matches!(turns, Turns::Auto | Turns::Respawn) {
        return Ok(());
    }
    let served = match turns.serves_tools() {
        true => {
            agent.learn_serving().await;
            agent.serving_problem()
        }
        false => Some("--turns parked:view serves none".to_owned()),
    };
    let Some(served) = served else {
        return Ok(());
    };
    let view = &agent.fence().view;
    if turns.collects_changes() && view.holds() {
        return Ok(());
    }
    let name = turns.name();
    Err(match turns.collects_changes() {
        true if turns.serves_tools() => render::hinted(
            format_args!(
                "--turns {name}: the agent can't be given the client's tools ({served}), and it has \
                 no view of the workspace ({})",
                view.sentence
            ),
            "use --turns auto",
        ),
        true => render::hinted(
            format_args!(
                "--turns {name}: the agent has no view of the workspace: {}",
                view.sentence
            ),
            "use --turns auto",
        ),
        false => render::hinted(
            format_args!("--turns {name}: the agent can't be given the client's tools: {served}"),
            "use --turns auto",
        ),
    })
}

/// Where the agent works, absolute and without links, if that is one place.
pub(in crate::cli) async fn workspace(settings: &ServeSettings) -> anyhow::Result<Option<PathBuf>> {
    let Some(dir) = &settings.workspace else {
        return Ok(None);
    };
    let real = directory("--workspace", dir).await?;
    if real.parent().is_none() {
        return Err(render::usage(
            format_args!(
                "--workspace {}: is the root of the file system",
                dir.display()
            ),
            "name the directory of a project",
        ));
    }
    Ok(Some(real))
}

/// An existing directory, without symlinks in its path.
async fn directory(flag: &str, dir: &Path) -> anyhow::Result<PathBuf> {
    let wrong = |why: &dyn std::fmt::Display| {
        render::usage(
            format_args!("{flag} {}: {why}", dir.display()),
            "name a directory that exists",
        )
    };
    let found = async {
        let real = tokio::fs::canonicalize(dir).await?;
        let is_dir = tokio::fs::metadata(&real).await?.is_dir();
        Ok::<_, std::io::Error>(is_dir.then_some(real))
    };
    let real = found.await.map_err(|error| wrong(&error))?;
    real.ok_or_else(|| wrong(&"is not a directory"))
}

/// The directories below which requests may name one.
pub(super) async fn bases(settings: &ServeSettings) -> anyhow::Result<Vec<PathBuf>> {
    let mut bases = Vec::new();
    for dir in &settings.workspace_base.0 {
        bases.push(directory("--workspace-base", dir).await?);
    }
    if bases.is_empty() {
        let usual = std::env::home_dir()
            .into_iter()
            .chain(std::env::current_dir());
        for dir in usual {
            // A service's are often missing, or the root directory, which would let in everything.
            let dir = tokio::fs::canonicalize(dir).await.ok();
            bases.extend(dir.filter(|dir| dir.parent().is_some()));
        }
    }
    Ok(bases)
}

//! The agent that is served, and the directories that it works in.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    agent::{Agent, AgentError, Serving, Setup},
    cli::{process_env, render},
    engine::Turns,
    settings::ServeSettings,
};

/// Finds the agent, which works in the `workspace` if that is one place.
pub(super) async fn agent(
    settings: &ServeSettings,
    workspace: Option<PathBuf>,
    carriers: Option<PathBuf>,
) -> anyhow::Result<Agent> {
    let named = settings.agent.as_deref();
    let setup = Setup {
        fence: settings.fence,
        limits: settings.resource_limits(),
        bridge: settings.bridge.clone(),
        slots: settings.max_running.get(),
        launcher: std::env::current_exe().context("cannot find our own executable")?,
        workspace,
        probed: None,
        serve_tools: settings.turns.serves_tools().then(|| Serving {
            native_reads: settings.native_reads,
            ..Serving::default()
        }),
        carriers,
    };
    let agent = Agent::discover(named.map(OsStr::new), &process_env(), setup).await;
    let agent = agent.map_err(|error| match error {
        AgentError::Missing { .. } => {
            render::hinted(error, "`--agent replay` tries things out without Cursor")
        }
        error => error.into(),
    })?;
    // The usual name is Cursor's alone, and asking a program takes half a second.
    let usual = Some(OsStr::new("cursor-agent"));
    if named.is_some_and(|name| Path::new(name).file_name() != usual)
        && let Some(line) = agent.foreign_version().await
    {
        return Err(render::hinted(
            format_args!("{agent} is not Cursor's agent: its version is `{line}`"),
            "name the program `cursor-agent`, or leave --agent out to find it",
        ));
    }
    check_parking(&agent, settings.turns).await?;
    Ok(agent)
}

/// Whether runs can wait, where the server is not to start without.
async fn check_parking(agent: &Agent, turns: Turns) -> anyhow::Result<()> {
    if matches!(turns, Turns::Auto | Turns::Respawn) {
        return Ok(());
    }
    let mut lacks = Vec::new();
    if turns.serves_tools() {
        agent.learn_serving().await;
        let Some(problem) = agent.serving_problem() else {
            return Ok(());
        };
        lacks.push(format!("can't be given the client's tools: {problem}"));
    }
    if turns.collects_changes() {
        let view = &agent.fence().view;
        if view.holds() {
            return Ok(());
        }
        lacks.push(format!("has no view of the workspace: {}", view.sentence));
    }
    let (name, lacks) = (turns.name(), lacks.join(", and it "));
    Err(render::hinted(
        format_args!("--turns {name}: the agent {lacks}"),
        "use --turns auto",
    ))
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

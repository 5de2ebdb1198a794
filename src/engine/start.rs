//! Starts a run of the agent for a turn: model, files, tools, prompt.

use std::{path::PathBuf, sync::atomic::Ordering};

use super::{
    Shared,
    admission::Permit,
    attachments,
    failure::{turn_error, unknown_model},
    progress::{Phase, TurnProgress},
    run::Run,
};
use crate::{
    agent::{RunRequest, Tap},
    boundary::{self, Fact, Translator},
    dump::{Dump, DumpPart},
    models, prompt,
    turn::{ToolChoice, Turn, TurnError},
};

/// What a run begins with, beside its turn.
pub(super) struct Beginning<'a> {
    pub workspace: Option<PathBuf>,
    /// Whether the agent is served the turn's tools.
    pub served: bool,
    /// Whether the agent works on after a change in its view.
    pub collects: bool,
    /// What the model should know beside the turn.
    pub note: Option<&'a str>,
    pub dump: Option<&'a Dump>,
    pub permit: Permit,
    pub progress: &'a TurnProgress,
}

/// Starts a run for the turn.
///
/// # Errors
/// Why there is none: the model, the agent, or its directories.
pub(super) async fn start(
    shared: &Shared,
    mut turn: Turn,
    beginning: Beginning<'_>,
) -> Result<Run, TurnError> {
    let Beginning {
        workspace,
        served,
        collects,
        note,
        dump,
        permit,
        progress,
    } = beginning;
    let config = &shared.config;
    let requested = models::ModelRequest {
        model: Some(&turn.model),
        cursor_model: turn.cursor_model.as_deref(),
        reasoning_effort: turn.reasoning_effort.as_deref(),
    };
    let model = shared.resolve(turn.key.as_ref(), requested).await;
    let model = model.map_err(unknown_model)?;
    progress.asks_for(&model);
    let hint = boundary::hint(&turn, config.boundary.max_repeat);
    let offered = turn.tools.iter().filter(|tool| match &turn.tool_choice {
        ToolChoice::None => false,
        ToolChoice::Named(names) => names.contains(&tool.name),
        ToolChoice::Auto | ToolChoice::Required => true,
    });
    let has_directory = workspace.is_some();
    let request = RunRequest {
        model: model.clone(),
        workspace,
        files: attachments::list(&turn),
        tools: if served {
            offered.cloned().collect()
        } else {
            Vec::new()
        },
        tap: dump
            .cloned()
            .map(|dump| Tap::new(move |line| dump.line(DumpPart::Events, line))),
        key: turn.key.clone(),
    };
    shared.counters.starts.fetch_add(1, Ordering::Relaxed);
    let started = shared.agent.start(request, |site| {
        progress.reach(Phase::Placed);
        attachments::place(&mut turn, &site.files);
        let hints: Vec<String> = note.map(str::to_owned).into_iter().chain(hint).collect();
        let hints = hints.as_slice();
        let served = site.served.as_ref().map(|served| prompt::ServedNames {
            server: &served.server,
            names: &served.names,
            workspace: &site.workspace,
            native_reads: served.native_reads,
        });
        let prompt = prompt::render(&turn, served.as_ref(), hints);
        if let Some(dump) = dump {
            dump.write(DumpPart::Prompt, prompt.as_bytes());
        }
        prompt
    });
    let (agent, site) = started.await.map_err(|error| turn_error(error, &model))?;
    progress.reach(Phase::Spawned);
    let translator = Translator::new(&turn, &site.workspace, &config.boundary);
    let mut run = Run::new(agent, translator, &model, permit, collects);
    if let Some(dir) = site.files.first().and_then(|file| file.parent()) {
        run.tell(Fact::PrivateDir(dir.to_owned()));
    }
    if !has_directory {
        run.tell(Fact::OwnDirectory);
    }
    Ok(run)
}

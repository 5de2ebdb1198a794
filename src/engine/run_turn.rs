//! One turn, from the prompt to its end.

use std::sync::Arc;

use super::{
    Shared,
    failure::{shutting_down, turn_error, unknown_model},
    relay::Answer,
    stream::Sender,
};
use crate::{
    agent::{RunRequest, Tap},
    boundary::{self, Boundary},
    dump::{Dump, Part},
    models, prompt,
    turn::{Turn, TurnEnd, TurnEvent},
};

/// Runs the turn, unless the client hangs up or the server stops meanwhile.
pub(super) async fn run_turn(shared: Arc<Shared>, turn: Turn, dump: Option<Dump>, events: Sender) {
    tokio::select! {
        biased;
        () = events.closed() => tracing::debug!("the client hung up"),
        () = shared.stop.cancelled() => {
            // The client gets what is left of the grace to take this.
            send_end(&events, TurnEnd::failed(shutting_down())).await;
        }
        () = answer(&shared, turn, dump, &events) => {}
    }
}

async fn send_end(events: &Sender, end: TurnEnd) {
    // If the receiver is gone, so is the reason to tell it.
    let _ = events.send(vec![TurnEvent::End(end)]).await;
}

async fn answer(shared: &Shared, turn: Turn, dump: Option<Dump>, events: &Sender) {
    let workspace = match shared.config.workspaces.of(&turn).await {
        Ok(workspace) => workspace,
        Err(error) => return send_end(events, TurnEnd::failed(error)).await,
    };
    let _permit = match shared.admission.admit().await {
        Ok(permit) => permit,
        Err(error) => return send_end(events, TurnEnd::failed(error)).await,
    };
    let config = &shared.config;
    let requested = models::Request {
        model: Some(&turn.model),
        cursor_model: turn.cursor_model.as_deref(),
        reasoning_effort: turn.reasoning_effort.as_deref(),
    };
    let model = match shared.models.resolve(requested).await {
        Ok(model) => model,
        Err(unknown) => return send_end(events, TurnEnd::failed(unknown_model(unknown))).await,
    };
    let slot = match shared.agent.slot().await {
        Ok(slot) => slot,
        Err(error) => return send_end(events, TurnEnd::failed(turn_error(error, &model))).await,
    };
    let workspace = workspace.unwrap_or_else(|| slot.dirs().workspace());
    let mut boundary = Boundary::new(&turn, &workspace, &config.boundary);
    let hint = boundary::hint(&turn, config.boundary.max_repeat);
    let request = RunRequest {
        prompt: prompt::render(&turn, hint.as_slice()).into(),
        model: model.clone(),
        workspace,
        resume: None,
        tap: dump
            .clone()
            .map(|dump| Tap::new(move |line| dump.line(Part::Events, line))),
    };
    if let Some(dump) = &dump {
        dump.write(Part::Prompt, request.prompt.as_bytes());
    }
    // A request can be megabytes, and nothing below needs it.
    drop(turn);
    let mut run = match shared.agent.start(request, slot).await {
        Ok(run) => run,
        Err(error) => return send_end(events, TurnEnd::failed(turn_error(error, &model))).await,
    };
    if !run.has_view() {
        boundary.without_view();
    }
    let mut answer = Answer::new(&mut boundary, &model);
    answer.relay(&mut run, config.budgets, events).await;
}

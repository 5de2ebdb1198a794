//! One turn, from the prompt to its end.

use std::sync::Arc;

use super::{
    Shared,
    failure::{shutting_down, turn_error, unknown_model},
    relay::Answer,
    shape::Shaper,
    stream::Sender,
};
use crate::{
    agent::{AgentError, RunRequest},
    boundary::{self, Boundary},
    models, prompt,
    turn::{Turn, TurnEnd, TurnEvent},
};

/// Runs the turn, unless the client hangs up or the server stops meanwhile.
pub(super) async fn run_turn(shared: Arc<Shared>, turn: Turn, events: Sender) {
    tokio::select! {
        biased;
        () = events.closed() => tracing::debug!("the client hung up"),
        () = shared.stop.cancelled() => {
            // The client gets what is left of the grace to take this.
            send_end(&events, TurnEnd::failed(shutting_down())).await;
        }
        () = answer(&shared, turn, &events) => {}
    }
}

async fn send_end(events: &Sender, end: TurnEnd) {
    // If the receiver is gone, so is the reason to tell it.
    let _ = events.send(vec![TurnEvent::End(end)]).await;
}

async fn answer(shared: &Shared, mut turn: Turn, events: &Sender) {
    let _permit = match shared.admission.admit().await {
        Ok(permit) => permit,
        Err(error) => return send_end(events, TurnEnd::failed(error)).await,
    };
    let requested = models::Request {
        model: Some(&turn.model),
        cursor_model: turn.cursor_model.as_deref(),
        reasoning_effort: turn.reasoning_effort.as_deref(),
    };
    let model = match shared.models.resolve(requested).await {
        Ok(model) => model,
        Err(unknown) => return send_end(events, TurnEnd::failed(unknown_model(unknown))).await,
    };
    if !shared.config.client_tools {
        turn.tools.clear();
    }
    let mut shaper = match Shaper::new(&turn) {
        Ok(shaper) => shaper,
        Err(error) => return send_end(events, TurnEnd::failed(error)).await,
    };
    let mut next = Some(turn);
    while let Some(turn) = next.take() {
        match run(shared, turn, &model, &mut shaper, events).await {
            Ok(again) => next = again,
            Err(error) => {
                send_end(events, TurnEnd::failed(turn_error(error, &model))).await;
            }
        }
    }
}

/// One run of the agent. Returns the turn for another run, if the answer takes one.
async fn run(
    shared: &Shared,
    turn: Turn,
    model: &str,
    shaper: &mut Shaper,
    events: &Sender,
) -> Result<Option<Turn>, AgentError> {
    let config = &shared.config;
    let mut boundary = Boundary::new(&turn, &config.workspace, &config.boundary);
    let hint = boundary::hint(&turn, config.boundary.max_repeat);
    let request = RunRequest {
        prompt: prompt::render(&turn, hint.as_slice()).into(),
        model: model.to_owned(),
        workspace: config.workspace.clone(),
        resume: None,
    };
    // A request can be megabytes, and little below needs it.
    let kept = shaper.may_repeat().then_some(turn);
    let mut run = shared.agent.start(request).await?;
    if !run.has_view() {
        boundary.without_view();
    }
    let mut answer = Answer::new(&mut boundary, shaper, model);
    let again = answer.relay(&mut run, config.budgets, events).await;
    Ok(kept.zip(again).map(|(mut turn, messages)| {
        turn.messages.extend(messages);
        turn
    }))
}

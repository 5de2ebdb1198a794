//! One turn, from the prompt to its end.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Shared, attachments,
    chat::Chat,
    failure::{shutting_down, turn_error, unknown_model},
    output::Shaper,
    relay::{After, Answer},
    sessions::Resumed,
    stream::Sender,
};
use crate::{
    agent::{RunRequest, Tap},
    boundary::{self, Translator},
    dump::{Dump, Part},
    models, prompt,
    sandbox::slot::Slot,
    turn::{Turn, TurnEnd, TurnError, TurnEvent},
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
        answered = answer(&shared, turn, dump, &events) => {
            if let Err(error) = answered {
                send_end(&events, TurnEnd::failed(error)).await;
            }
        }
    }
}

async fn send_end(events: &Sender, end: TurnEnd) {
    // If the receiver is gone, so is the reason to tell it.
    let _ = events.send(vec![TurnEvent::End(end)]).await;
}

/// Answers the turn.
///
/// # Errors
/// Why an agent did not even start. Everything else has been sent.
async fn answer(
    shared: &Shared,
    mut turn: Turn,
    dump: Option<Dump>,
    events: &Sender,
) -> Result<(), TurnError> {
    attachments::check(&turn)?;
    let workspace = shared.config.workspaces.of(&turn).await?;
    let _permit = shared.admission.admit().await?;
    let requested = models::Request {
        model: Some(&turn.model),
        cursor_model: turn.cursor_model.as_deref(),
        reasoning_effort: turn.reasoning_effort.as_deref(),
    };
    let model = shared.models.resolve(requested).await;
    let model = model.map_err(unknown_model)?;
    if !shared.config.client_tools {
        turn.tools.clear();
    }
    let mut shaper = Shaper::new(&turn)?;
    let runs = Runs {
        shared,
        model: &model,
        workspace: workspace.as_deref(),
        dump: dump.as_ref(),
        events,
    };
    // The client will not see what a repeated run is told.
    let chats = if shaper.may_repeat() {
        Chats::Ignore
    } else {
        Chats::Use
    };
    let mut next = Some((turn, chats));
    while let Some((turn, chats)) = next.take() {
        next = runs.run(turn, chats, &mut shaper).await?;
    }
    Ok(())
}

/// What a run has to do with Cursor's chats.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chats {
    /// It may go on with one.
    Use,
    /// It makes one that may be gone on with.
    Make,
    /// Nothing.
    Ignore,
}

/// What the runs of one answer share.
struct Runs<'a> {
    shared: &'a Shared,
    model: &'a str,
    /// Where the agent works; `None` is a directory of its slot.
    workspace: Option<&'a Path>,
    dump: Option<&'a Dump>,
    events: &'a Sender,
}

impl Runs<'_> {
    /// One run of the agent. Returns the turn for another run, if the answer takes one.
    async fn run(
        &self,
        mut turn: Turn,
        chats: Chats,
        shaper: &mut Shaper,
    ) -> Result<Option<(Turn, Chats)>, TurnError> {
        let config = &self.shared.config;
        let failed = |error| turn_error(error, self.model);
        // Whatever lies in it is removed with the run.
        let slot = self.shared.agent.slot().await.map_err(failed)?;
        let workspace = match self.workspace {
            Some(dir) => dir.to_owned(),
            None => slot.dirs().workspace(),
        };
        let resumed = match chats {
            Chats::Use => self.chat(&turn, &workspace, &slot).await,
            _ => None,
        };
        let sessions = &self.shared.sessions;
        let note = match chats {
            Chats::Ignore => None,
            _ => sessions.note(&turn, &workspace, self.model),
        };
        let kept = (shaper.may_repeat() || resumed.is_some()).then(|| turn.clone());
        let files = attachments::write(&mut turn, &slot.dirs().tmp()).await?;
        let mut boundary = Translator::new(&turn, &workspace, &config.boundary);
        if let Some(files) = files {
            boundary.reads_itself(files);
        }
        let hint = boundary::hint(&turn, config.boundary.max_repeat);
        let prompt = match &resumed {
            Some(resumed) => prompt::render_rest(&turn, resumed.messages, hint.as_slice()),
            None => prompt::render(&turn, hint.as_slice()),
        };
        let expected = resumed.map(|resumed| resumed.chat);
        let request = RunRequest {
            prompt: prompt.into(),
            model: self.model.to_owned(),
            workspace,
            resume: expected.clone(),
            tap: self
                .dump
                .cloned()
                .map(|dump| Tap::new(move |line| dump.line(Part::Events, line))),
        };
        if let Some(dump) = self.dump {
            dump.write(Part::Prompt, request.prompt.as_bytes());
        }
        let meter = self.shared.estimates.meter(&turn);
        // A request can be megabytes, and nothing below needs it.
        drop(turn);
        let agent = &self.shared.agent;
        let mut run = agent.start(request, slot).await.map_err(failed)?;
        if !run.has_view() {
            boundary.without_view();
        }
        let chat = Chat::new(expected, note);
        let mut answer = Answer::new(&mut boundary, shaper, meter, self.model, chat);
        let after = answer.relay(&mut run, config.budgets, self.events).await;
        let recovered = &self.shared.recovered;
        recovered.fetch_add(boundary.recovered(), Ordering::Relaxed);
        Ok(match after {
            After::End => None,
            After::Chat { id, note } => {
                let sessions = Arc::clone(sessions);
                run.leave(move || sessions.learn(id, note));
                None
            }
            After::Again(messages) => kept.map(|mut turn| {
                turn.messages.extend(messages);
                (turn, Chats::Ignore)
            }),
            After::Afresh => {
                tracing::info!("Cursor did not go on with its chat: a new one is told everything");
                kept.map(|turn| (turn, Chats::Make))
            }
        })
    }

    /// The chat that can be gone on with.
    async fn chat(&self, turn: &Turn, workspace: &Path, slot: &Slot) -> Option<Resumed> {
        let resumed = self.shared.sessions.take(turn, workspace, self.model)?;
        // Cursor takes an id that it does not know for a new chat's, without a word.
        let is_there = self.shared.agent.has_chat(&resumed.chat, slot).await;
        if !is_there {
            tracing::info!("Cursor has no such chat any more: a new one is told everything");
        }
        is_there.then_some(resumed)
    }
}

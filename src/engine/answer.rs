//! One request: from the turn to the end of its answer.
//!
//! This is the whole story. A request resumes a run that waits for what it brings, or starts one;
//! it borrows the run until that asks for the client's tools, and then either executes them here
//! ([`Hands::Server`](super::Hands)) or ends and leaves the run to wait for the client.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{
    Counters, Shared,
    admission::Permit,
    attachments,
    continuation::{Continuation, Fingerprint},
    failure::{over_time, shutting_down, turn_error, unknown_model},
    feed::Feed,
    hands::Hands,
    losses::{LossReason, Losses},
    output::{Next, Shaper},
    progress::{Phase, RunOrigin, TurnProgress},
    run::{Pause, Run},
    runs::{Claim, Terms},
    stream::Sender,
    usage::{self, Estimates, Meter},
};
use crate::{
    agent::{RunRequest, Tap},
    boundary::{self, Fact, Source, Translator},
    dump::{Dump, DumpPart},
    models, prompt,
    turn::{
        Activity, CallerKey, Delta, ErrorKind, FinishReason, Message, ToolCall, ToolChoice, Turn,
        TurnEnd, TurnError, TurnEvent, Usage,
    },
};

/// How long a run has for its last word when the server stops.
const LAST_WORD: Duration = Duration::from_millis(100);

/// Answers the turn, unless the client hangs up or the server stops meanwhile.
pub(super) async fn answer(shared: Arc<Shared>, turn: Turn, dump: Option<Dump>, sender: Sender) {
    let (feed, resume) = match shared.runs.claim(&turn, sender.clone()) {
        Claim::Replayed => return,
        Claim::Resume(id, continuation, feed) => (feed, Some((id, continuation))),
        Claim::Fresh(feed) => (feed, None),
    };
    tokio::select! {
        biased;
        () = feed.closed() => tracing::debug!("the client hung up"),
        () = stopped(&shared) => {
            // The client gets what is left of the grace to take this.
            fail(&shared, &feed, shutting_down()).await;
        }
        answered = story(&shared, turn, resume, dump, &feed, &sender) => {
            if let Err(error) = answered {
                fail(&shared, &feed, error).await;
            }
        }
    }
}

/// Waits until the server stops, and a moment longer: a run that is being relayed ends its answer
/// with what it still has.
async fn stopped(shared: &Shared) {
    shared.stop.cancelled().await;
    tokio::time::sleep(LAST_WORD).await;
}

async fn fail(shared: &Shared, feed: &Feed, error: TurnError) {
    shared.runs.forget(feed);
    feed.send(vec![TurnEvent::End(TurnEnd::failed(error))])
        .await;
}

/// Answers the turn.
///
/// # Errors
/// Why an agent did not even start. Everything else has been sent.
async fn story(
    shared: &Arc<Shared>,
    mut turn: Turn,
    resume: Option<(u64, Continuation)>,
    dump: Option<Dump>,
    feed: &Feed,
    sender: &Sender,
) -> Result<(), TurnError> {
    let config = &shared.config;
    attachments::check(&turn)?;
    let workspace = config.workspaces.of(&turn).await?;
    if let Some(workspace) = &workspace {
        sender.progress().works_in(workspace);
    }
    let terms = Terms::of(&turn);
    let fingerprint = Fingerprint::of(&turn);
    let owner = turn.owner.clone();
    shared.rounds.restore(owner.as_deref(), &mut turn.messages);
    let mut hands = Hands::of(config, &mut turn, workspace.clone()).await?;
    let parallel = turn.parallel_tool_calls;
    let key = turn.key.clone();
    let caller = shared.caller(key.as_ref());
    let mut permit = Some(shared.admit(caller.as_ref()).await?);
    sender.progress().reach(Phase::Admitted);
    let begun = Instant::now();
    let mut answer = Answer::new(&shared.counters, &shared.estimates, &turn, feed)?;
    let mut served = shared.serves(&turn);
    // What another run would need; else a request of megabytes would be kept for nothing.
    let mut kept = None;
    let mut next = None;
    if let Some((id, continuation)) = resume
        && let Some(mut run) = shared.runs.take(id).await
        && let Some(permit) = permit.take()
    {
        sender.origin(RunOrigin::Resumed);
        sender.progress().asks_for(run.model());
        sender.progress().was_parked(run.parked());
        let hint = boundary::hint(&turn, config.boundary.max_repeat);
        let notes: Vec<String> = hint
            .into_iter()
            .chain(
                continuation
                    .words
                    .iter()
                    .map(|words| prompt::beside_results(words)),
            )
            .collect();
        run.resume(&turn, continuation.results, &notes, permit);
        let due = run.calls_due(parallel);
        if !due.is_empty() {
            answer.started();
            answer.calls(due);
            answer.end(Ok(FinishReason::ToolCalls), None);
            run.report(answer.usage);
            shared.runs.park(run, terms, fingerprint);
            answer.flush().await;
            return Ok(());
        }
        next = Some(run);
    }
    sender.origin(RunOrigin::Fresh);
    loop {
        let mut run = match next.take() {
            Some(run) => run,
            None => {
                let permit = match permit.take() {
                    Some(permit) => permit,
                    None => shared.admit(caller.as_ref()).await?,
                };
                if served || answer.may_repeat() || !turn.fallback_models.is_empty() {
                    kept = Some(turn.clone());
                }
                let asked = std::mem::take(&mut turn);
                let beginning = Beginning {
                    workspace: workspace.clone(),
                    served,
                    note: hands.note(),
                    dump: dump.as_ref(),
                    permit,
                    progress: sender.progress(),
                };
                match start(shared, asked, beginning).await {
                    Ok(run) => run,
                    Err(error) => match answer.fall_back(&error, &mut kept, sender.progress()) {
                        Some(again) => {
                            turn = again;
                            continue;
                        }
                        None => return Err(hidden(key.as_ref(), error)),
                    },
                }
            }
        };
        match run
            .drive(&mut answer, config.budgets, begun, &shared.stop)
            .await
        {
            Pause::Calls(calls) => {
                let recovered = calls.iter().filter(|c| c.source == Source::Text).count();
                shared
                    .counters
                    .recovered
                    .fetch_add(recovered as u64, Ordering::Relaxed);
                let waits = run.waits_for(&calls);
                let calls = match waits {
                    true => run.new_calls(),
                    false => calls.into_iter().map(|ready| ready.call).collect(),
                };
                let (ours, theirs) = hands.split(calls);
                let mut run = Some(run);
                if let Hands::Server(work) = &mut hands
                    && !ours.is_empty()
                {
                    if let Some(why) = work.limit() {
                        answer.explain(&why);
                        answer.end(Ok(FinishReason::Stop), None);
                        answer.flush().await;
                        return Ok(());
                    }
                    if !waits {
                        // Nothing of it continues, so its agent need not live on either.
                        permit = run.take().and_then(|mut run| run.release_permit());
                    }
                    let deadline = config.budgets.deadline(begun);
                    let done = match timeout_at(deadline, work.execute(ours, &mut answer)).await {
                        Ok(Some(done)) => done,
                        Ok(None) => return Ok(()),
                        Err(_) => {
                            shared.runs.forget(feed);
                            answer.end(Err(over_time(begun.elapsed())), None);
                            answer.flush().await;
                            return Ok(());
                        }
                    };
                    if let Some(run) = &mut run {
                        run.answer(work.turn(), done, work.hint().as_slice());
                    }
                    if theirs.is_empty() {
                        if run.is_none() {
                            turn = work.turn().clone();
                            answer.another_run(&turn);
                        }
                        next = run;
                        continue;
                    }
                    shared.rounds.keep(owner, &theirs, work.rounds());
                }
                let usage = run
                    .as_ref()
                    .and_then(|run| usage::rest(run.usage(), run.reported));
                let mut waiting = run.filter(|_| waits);
                answer.calls(match &mut waiting {
                    Some(run) => run.calls_due(parallel),
                    None => theirs,
                });
                answer.end(Ok(FinishReason::ToolCalls), usage);
                // Before the client can come back.
                if let Some(mut run) = waiting {
                    run.report(answer.usage);
                    shared.runs.park(run, terms, fingerprint);
                }
                answer.flush().await;
                return Ok(());
            }
            Pause::Finished => {
                let usage = usage::rest(run.usage(), run.reported);
                if run.stopped_by_guard() {
                    shared.counters.guard_stops.fetch_add(1, Ordering::Relaxed);
                    sender.progress().guard_stopped();
                }
                drop(run);
                let again = answer.end(Ok(FinishReason::Stop), usage);
                answer.flush().await;
                match again {
                    None => return Ok(()),
                    Some(messages) => {
                        let so_far = match &hands {
                            Hands::Server(work) => Some(work.turn().clone()),
                            Hands::Client => kept.take(),
                        };
                        let Some(mut again) = so_far else {
                            return Ok(());
                        };
                        again.messages.extend(messages);
                        answer.restart(&again);
                        turn = again;
                    }
                }
            }
            Pause::Cut(reason) => {
                answer.end(Ok(reason), None);
                answer.flush().await;
                return Ok(());
            }
            Pause::NotServed => {
                drop(run);
                served = false;
                let Some(again) = kept.take() else {
                    return Ok(());
                };
                turn = again;
            }
            Pause::Failed(error) => {
                drop(run);
                if let Some(again) = answer.fall_back(&error, &mut kept, sender.progress()) {
                    answer.restart(&again);
                    turn = again;
                    continue;
                }
                shared.runs.forget(feed);
                answer.end(Err(hidden(key.as_ref(), error)), None);
                answer.flush().await;
                return Ok(());
            }
            Pause::Gone => return Ok(()),
        }
    }
}

/// The error without the caller's key, which an agent may repeat.
fn hidden(key: Option<&CallerKey>, error: TurnError) -> TurnError {
    match key {
        Some(key) => TurnError {
            message: key.hidden_in(error.message),
            ..error
        },
        None => error,
    }
}

/// What a run begins with, beside its turn.
struct Beginning<'a> {
    workspace: Option<PathBuf>,
    served: bool,
    note: Option<&'a str>,
    dump: Option<&'a Dump>,
    permit: Permit,
    progress: &'a TurnProgress,
}

/// Starts a run for the turn.
async fn start(
    shared: &Shared,
    mut turn: Turn,
    beginning: Beginning<'_>,
) -> Result<Run, TurnError> {
    let Beginning {
        workspace,
        served,
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
        let prompt = match &site.served {
            None => prompt::render(&turn, hints),
            Some(served) => {
                let served = prompt::ServedNames {
                    server: &served.server,
                    names: &served.names,
                    workspace: &site.workspace,
                };
                prompt::render_served(&turn, &served, hints)
            }
        };
        if let Some(dump) = dump {
            dump.write(DumpPart::Prompt, prompt.as_bytes());
        }
        prompt
    });
    let (agent, site) = started.await.map_err(|error| turn_error(error, &model))?;
    progress.reach(Phase::Spawned);
    let translator = Translator::new(&turn, &site.workspace, &config.boundary);
    let mut run = Run::new(agent, translator, &model, permit);
    if let Some(dir) = site.files.first().and_then(|file| file.parent()) {
        run.tell(Fact::PrivateDir(dir.to_owned()));
    }
    Ok(run)
}

/// Whether a client could not unsee it.
fn is_shown(event: &TurnEvent) -> bool {
    matches!(event, TurnEvent::Delta(Delta::Text(_) | Delta::ToolCall(_)))
}

/// What lives as long as the request: the rules of its output, its meter, and where it goes.
pub(super) struct Answer<'a> {
    counters: &'a Counters,
    estimates: &'a Estimates,
    shaper: Shaper,
    meter: Meter<'a>,
    feed: &'a Feed,
    deltas: Vec<Delta>,
    batch: Vec<TurnEvent>,
    /// What the model wrote since the run began, or since its last calls that were executed here.
    said: String,
    /// Whether the client has text or calls of it.
    shown: bool,
    /// Whether the answer's text ends within a paragraph.
    open: bool,
    /// Whether what comes next is a new one.
    paragraph: bool,
    /// What earlier runs of the answer cost.
    spent: Option<Usage>,
    /// What the client was told that the answer cost, once it has ended.
    usage: Option<Usage>,
    losses: Losses,
}

impl<'a> Answer<'a> {
    /// # Errors
    /// A demanded schema that is not valid.
    pub fn new(
        counters: &'a Counters,
        estimates: &'a Estimates,
        turn: &Turn,
        feed: &'a Feed,
    ) -> Result<Self, TurnError> {
        Ok(Self {
            counters,
            estimates,
            shaper: Shaper::new(turn)?,
            meter: estimates.meter(turn),
            feed,
            deltas: Vec::new(),
            batch: Vec::new(),
            said: String::new(),
            shown: false,
            open: false,
            paragraph: false,
            spent: None,
            usage: None,
            losses: Losses::default(),
        })
    }

    /// Whether another run may be needed.
    fn may_repeat(&self) -> bool {
        self.shaper.may_repeat()
    }

    /// The turn for the next of its fallback models, if the last one's limit is reached and the client
    /// has seen nothing of it.
    fn fall_back(
        &self,
        error: &TurnError,
        kept: &mut Option<Turn>,
        progress: &TurnProgress,
    ) -> Option<Turn> {
        if error.kind != ErrorKind::UsageLimit || self.shown || !progress.may_change() {
            return None;
        }
        let mut turn = kept
            .take()
            .filter(|turn| !turn.fallback_models.is_empty())?;
        let next = turn.fallback_models.remove(0);
        tracing::warn!(
            limited = progress.model(),
            next,
            "the limit of a model is reached: the turn goes on with another"
        );
        turn.cursor_model = Some(next);
        Some(turn)
    }

    /// Another run begins, on this turn.
    fn restart(&mut self, turn: &Turn) {
        self.meter = self.estimates.meter(turn);
    }

    /// Another run continues with the answer, on this turn; the last one was stopped for calls.
    fn another_run(&mut self, turn: &Turn) {
        let mut end = TurnEnd::finished(FinishReason::ToolCalls, None);
        self.meter.end(&mut end);
        self.spent = sum(self.spent, end.usage);
        self.restart(turn);
    }

    /// Calls were executed here, and the model continues. What it wrote before them.
    pub fn executed(&mut self) -> String {
        self.shaper.executed(&mut self.batch);
        self.paragraph = self.open;
        std::mem::take(&mut self.said)
    }

    /// A tool ran here.
    pub fn activity(&mut self, activity: Activity) {
        self.deltas.push(Delta::Activity(activity));
        // It has no text.
        let _ = self.take_deltas();
    }

    /// Says why the answer ends, in a paragraph of its own.
    fn explain(&mut self, why: &str) {
        self.paragraph = self.open;
        self.deltas.push(Delta::Text(why.to_owned()));
    }

    /// The agent has begun to work.
    pub fn started(&mut self) {
        self.batch.push(TurnEvent::Started);
    }

    /// The agent came to its own end.
    pub fn finished(&mut self) {
        self.meter.finished();
    }

    /// Where the translator puts what the client is to see.
    pub fn deltas(&mut self) -> &mut Vec<Delta> {
        &mut self.deltas
    }

    /// Takes what the translator put there. `Some` if the answer must end with that.
    pub fn take_deltas(&mut self) -> Option<FinishReason> {
        let mut deltas = self.deltas.drain(..);
        // What follows an early end is dropped with the iterator.
        deltas.find_map(|mut delta| {
            match &mut delta {
                Delta::Activity(Activity { tool, outcome }) => {
                    tracing::debug!(tool, outcome, "a tool ran without the client");
                }
                Delta::Text(text) if !text.is_empty() => {
                    self.said.push_str(text);
                    if std::mem::take(&mut self.paragraph) {
                        text.insert_str(0, "\n\n");
                    }
                    self.open = !text.ends_with('\n');
                }
                _ => {}
            }
            self.meter.delta(&delta);
            self.shaper.delta(delta, &mut self.batch)
        })
    }

    /// Gives the client calls.
    fn calls(&mut self, calls: Vec<ToolCall>) {
        self.say_losses();
        self.deltas.extend(calls.into_iter().map(Delta::ToolCall));
        // No stop sequence is in a call.
        let _ = self.take_deltas();
    }

    /// The agent changed a file and no call can carry that: the model believes that it was done, so
    /// the user has to know.
    pub fn lost_change(&mut self, path: &str, reason: LossReason) {
        if self.losses.add(path, reason) {
            tracing::warn!(path, "a change of the agent is lost: {reason}");
            self.counters.lost_changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says what is lost as text of the answer, unless that is for a program.
    fn say_losses(&mut self) {
        if let Some(note) = self.losses.note()
            && !self.shaper.is_for_a_program()
        {
            self.batch.push(TurnEvent::Delta(Delta::Text(note)));
        }
    }

    /// The agent used a tool of its own that it was not to use.
    pub fn breach(&mut self, tool: &str) {
        tracing::warn!(
            tool,
            "the agent changed something by itself in a run that serves the client's tools"
        );
        self.counters.breaches.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends what is there. False if nobody listens any more.
    pub async fn flush(&mut self) -> bool {
        self.shown |= self.batch.iter().any(is_shown);
        self.batch.is_empty() || self.feed.send(std::mem::take(&mut self.batch)).await
    }

    /// Ends the answer with all that is left, to be [flushed](Self::flush). `Some` if it takes another
    /// run instead, with these messages added to the conversation.
    fn end(
        &mut self,
        outcome: Result<FinishReason, TurnError>,
        usage: Option<Usage>,
    ) -> Option<[Message; 2]> {
        let mut end = TurnEnd {
            outcome,
            usage,
            lost_changes: self.losses.files(),
        };
        // What the translator still had may be too long.
        if let Some(reason) = self.take_deltas() {
            end.outcome = Ok(reason);
        }
        self.meter.end(&mut end);
        end.usage = sum(self.spent.take(), end.usage);
        match self.shaper.end(end, &mut self.batch) {
            Next::Again(messages) => Some(messages),
            Next::End(end) => {
                self.say_losses();
                self.usage = end.usage;
                self.batch.push(TurnEvent::End(end));
                None
            }
        }
    }
}

fn sum(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}

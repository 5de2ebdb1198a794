//! Results of calls that come without a request (`POST /v1/tool_results`).
//!
//! The results go to the runs that wait for them. A run that has all of its results continues at
//! once; its answer is kept until the next request of the conversation reads it, unless the client
//! asks for it right away.

use std::{collections::HashSet, sync::Arc};

use tracing::Instrument as _;

use super::{
    Engine,
    answering::answer_to,
    continuation::Continuation,
    feed::{Feed, Recording},
    runs::{Order, Parked, Runs},
    stream::{Sender, TurnStream},
};
use crate::{
    dump::Dump,
    turn::{AnswerForm, ErrorKind, Message, Turn, TurnError},
};

/// A run that has all of its results.
struct Complete {
    run: u64,
    turn: Turn,
    results: Continuation,
    recording: Arc<Recording>,
}

/// The answer that continues after posted results.
pub struct PostedAnswer {
    /// Its events.
    pub stream: TurnStream,
    /// How the client wants it written.
    pub form: Option<AnswerForm>,
}

impl Engine {
    /// Gives results, each a message of its own, to the runs that wait for them.
    ///
    /// # Errors
    /// `NotFound` for a call that nobody waits for, or not for this owner; `TooLarge` if a
    /// conversation is too long to continue without its request. Nothing was given then.
    pub fn post(&self, owner: Option<&str>, results: Vec<Message>) -> Result<(), TurnError> {
        for complete in self.shared.runs.post(owner, results, false)? {
            let (sender, _) = TurnStream::channel();
            self.continue_with(complete, None, sender);
        }
        Ok(())
    }

    /// The same, for a client that wants the answer at once.
    ///
    /// # Errors
    /// As for [`post`](Self::post); `InvalidRequest` unless one run has all of its results then.
    pub fn post_and_read(
        &self,
        owner: Option<&str>,
        results: Vec<Message>,
        dump: Option<Dump>,
    ) -> Result<PostedAnswer, TurnError> {
        let mut complete = self.shared.runs.post(owner, results, true)?;
        let complete = complete.pop().ok_or_else(unread)?;
        let form = complete.turn.form.clone();
        let (sender, stream) = TurnStream::channel();
        complete.recording.join(sender.clone());
        self.continue_with(complete, dump, sender);
        Ok(PostedAnswer { stream, form })
    }

    fn continue_with(&self, complete: Complete, dump: Option<Dump>, sender: Sender) {
        let Complete {
            run,
            turn,
            results,
            recording,
        } = complete;
        let shared = Arc::clone(&self.shared);
        let feed = Feed::Recorded(recording);
        let answered = answer_to(shared, turn, Some((run, results)), dump, feed, sender);
        self.shared.turns.spawn(answered.in_current_span());
    }
}

impl Runs {
    /// Hands results to the runs that wait for them; those that wait for no more are returned. With
    /// `read`, their answer is read at once.
    fn post(
        &self,
        owner: Option<&str>,
        results: Vec<Message>,
        read: bool,
    ) -> Result<Vec<Complete>, TurnError> {
        let mut locked = self.lock();
        let state = &mut *locked;
        let mut places = Vec::with_capacity(results.len());
        let mut seen = HashSet::new();
        for id in results.iter().flat_map(ids) {
            let waits = |parked: &Parked| parked.terms.owner() == owner && parked.open.contains(id);
            let place = state.parked.iter().position(waits);
            let place = place.ok_or_else(|| nobody_waits(id))?;
            if state.parked[place].turn.is_none() {
                return Err(too_long(id));
            }
            if !seen.insert(id) {
                return Err(twice(id));
            }
            places.push(place);
        }
        if read {
            let first = places.first().map(|place| &state.parked[*place]);
            let whole = first.is_some_and(|parked| parked.open.len() == places.len());
            if !whole || places.windows(2).any(|pair| pair[0] != pair[1]) {
                return Err(unread());
            }
        }
        let mut given: Vec<(usize, Vec<Message>)> = Vec::new();
        for (place, message) in places.into_iter().zip(results) {
            match given.iter_mut().find(|(at, _)| *at == place) {
                Some((_, messages)) => messages.push(message),
                None => given.push((place, vec![message])),
            }
        }
        let mut complete = Vec::new();
        for (place, messages) in given {
            let parked = &mut state.parked[place];
            for id in messages.iter().flat_map(ids) {
                parked.open.remove(id);
                parked.posted.insert(id.to_owned());
            }
            let results = Continuation::from(&messages).unwrap_or_default();
            if let Some(turn) = &mut parked.turn {
                turn.messages.extend(messages);
            }
            if parked.open.is_empty() {
                complete.extend(parked.turn.take().map(|turn| (place, turn, results)));
            } else {
                // The task may just have ended: then the run is gone, as it may be at any time.
                let _ = parked.orders.send(Order::Give(results.results));
            }
        }
        let timeout = self.timeout;
        let complete = complete.into_iter().map(|(place, turn, results)| {
            let recording = Arc::new(Recording::unread(timeout));
            let parked = &state.parked[place];
            state.replays.keep_posted(parked, &recording, read, timeout);
            Complete {
                run: parked.id,
                turn,
                results,
                recording,
            }
        });
        Ok(complete.collect())
    }
}

/// The ids of the calls that a message has results of.
fn ids(message: &Message) -> impl Iterator<Item = &str> {
    message.tool_results().map(|result| result.call_id.as_str())
}

fn nobody_waits(id: &str) -> TurnError {
    let message = format!(
        "no call `{id}` waits for a result: it has one already, its run has ended, or it was made \
         for another client; send the conversation with the result to continue"
    );
    failed(ErrorKind::NotFound, message)
}

fn too_long(id: &str) -> TurnError {
    let message = format!(
        "the conversation of call `{id}` is too long to continue without its request; send the \
         conversation with the result"
    );
    failed(ErrorKind::TooLarge, message)
}

fn twice(id: &str) -> TurnError {
    let message = format!("there are two results for call `{id}`");
    failed(ErrorKind::InvalidRequest, message)
}

fn unread() -> TurnError {
    let message = "`stream` needs the results of all calls that one answer made: the model \
                   continues when it has them";
    TurnError::invalid("stream", message)
}

fn failed(kind: ErrorKind, message: String) -> TurnError {
    TurnError {
        param: Some("tool_call_id".to_owned()),
        ..TurnError::new(kind, message)
    }
}

//! Answers that can be given again, or are waited for.
//!
//! A tool result is never given to an agent twice. So the answer to a request with results is kept
//! for a while, and a retry gets it again. The same holds for an answer that nobody has asked for
//! yet: its results were posted, and the next request of the conversation reads it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    continuation::{Continuation, Fingerprint, last_calls},
    feed::{Feed, Recording},
    progress::RunOrigin,
    runs::{Parked, Terms},
    stream::Sender,
};
use crate::turn::Turn;

/// How long an answer to a request with results can be given again.
const REPLAY: Duration = Duration::from_secs(600);

/// How many answers are kept.
const MOST: usize = 64;

/// The answers, the oldest first.
#[derive(Default)]
pub(super) struct Replays(Vec<KeptAnswer>);

struct KeptAnswer {
    terms: Terms,
    until: Instant,
    to: Answered,
    recording: Arc<Recording>,
}

/// What an answer answers.
enum Answered {
    /// The request with these results and words.
    Request(u128),
    /// Results that came without a request.
    Posted {
        /// The calls that they are results of.
        calls: HashSet<String>,
        /// The request that was answered with the calls.
        asked: Fingerprint,
        /// Whether a request has read it.
        read: bool,
    },
}

impl Replays {
    /// Joins a request to the answer that was or is being given to it. `brings` is what the request
    /// brings, with its digest. False if there is no such answer.
    pub fn join(
        &mut self,
        turn: &Turn,
        brings: Option<(&Continuation, u128)>,
        terms: &Terms,
        sender: &Sender,
    ) -> bool {
        let now = Instant::now();
        self.0.retain(|replay| now < replay.until);
        let fits = |replay: &KeptAnswer| replay.terms.serve(terms) && replay.recording.is_whole();
        let asks = |replay: &KeptAnswer| fits(replay) && replay.asks(turn, brings);
        let is_next = |replay: &KeptAnswer| fits(replay) && replay.is_next_to(turn);
        let found = self.0.iter().position(asks);
        let found = found.or_else(|| self.0.iter().position(is_next));
        let Some(at) = found else {
            self.give_up(turn, terms);
            return false;
        };
        let replay = &mut self.0[at];
        sender.origin(RunOrigin::Replayed);
        replay.recording.join(sender.clone());
        if let Answered::Posted { read, .. } = &mut replay.to {
            *read = true;
        }
        if replay.recording.has_failed() {
            // A retry deserves a new attempt.
            self.0.remove(at);
        }
        true
    }

    /// Ends answers that nobody will read: their conversation continues in another way.
    fn give_up(&mut self, turn: &Turn, terms: &Terms) {
        let ids = last_calls(turn);
        self.0.retain(|replay| {
            let Answered::Posted { calls, .. } = &replay.to else {
                return true;
            };
            let given_up = replay.terms.owner() == terms.owner()
                && calls.iter().any(|id| ids.contains(id.as_str()));
            if given_up {
                replay.recording.give_up();
            }
            !given_up
        });
    }

    /// Keeps the answer to a request with these results.
    pub fn keep(&mut self, terms: Terms, digest: u128, recording: &Arc<Recording>) {
        self.push(KeptAnswer {
            terms,
            until: Instant::now() + REPLAY,
            to: Answered::Request(digest),
            recording: Arc::clone(recording),
        });
    }

    /// Keeps the answer to posted results of a run's calls, as long as a run waits for its client.
    pub fn keep_posted(
        &mut self,
        parked: &Parked,
        recording: &Arc<Recording>,
        read: bool,
        timeout: Duration,
    ) {
        self.push(KeptAnswer {
            terms: parked.terms.clone(),
            until: Instant::now() + timeout,
            to: Answered::Posted {
                calls: parked.posted.clone(),
                asked: parked.fingerprint.clone(),
                read,
            },
            recording: Arc::clone(recording),
        });
    }

    fn push(&mut self, replay: KeptAnswer) {
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(replay);
    }

    /// An answer that failed is not given again, unless nobody knows of its failure yet.
    pub fn forget(&mut self, feed: &Feed) {
        if let Feed::Recorded(recording) = feed {
            self.0.retain(|replay| {
                !Arc::ptr_eq(&replay.recording, recording)
                    || matches!(replay.to, Answered::Posted { read: false, .. })
            });
        }
    }

    /// Ends answers that nobody reads: the server stops.
    pub fn end_unread(&mut self) {
        for replay in &self.0 {
            if matches!(replay.to, Answered::Posted { read: false, .. }) {
                replay.recording.give_up();
            }
        }
    }
}

impl KeptAnswer {
    /// Whether the turn asks for this answer by what it brings.
    fn asks(&self, turn: &Turn, brings: Option<(&Continuation, u128)>) -> bool {
        match (&self.to, brings) {
            (Answered::Request(digest), brings) => brings.is_some_and(|(_, it)| it == *digest),
            (Answered::Posted { calls, .. }, Some((brings, _))) => {
                let mut ids = brings.results.iter().map(|it| &it.result.call_id);
                brings.words.is_empty() && ids.all(|id| calls.contains(id))
            }
            (Answered::Posted { calls, .. }, None) => {
                let ids = last_calls(turn);
                !ids.is_empty() && ids.iter().all(|id| calls.contains(*id))
            }
        }
    }

    /// Whether this is what follows the answer to a request that is sent again.
    fn is_next_to(&self, turn: &Turn) -> bool {
        match &self.to {
            Answered::Posted { asked, read, .. } => !read && asked.is_of(turn),
            Answered::Request(_) => false,
        }
    }
}

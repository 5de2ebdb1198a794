//! The calls of one run: which are open, who holds them, which results wait.
//!
//! A call is *held* while a request of the agent waits for it: the `tools/call` itself, later an
//! `await_result`. Between those nobody holds it; a result that arrives then is kept. The call ends
//! when its result is handed over, when the agent gives the first request up, or with the offer.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Map, Value};
use tokio::sync::{Notify, oneshot};

use super::hold::Hold;
use crate::threads::lock;

/// The most calls that one run may have open. Models make a few at once; more is a runaway loop.
const MOST_OPEN: usize = 128;

/// A call of one [`super::Offer`]. Keys of different offers may be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(pub u64);

/// Something the agent did.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It asked for the list of tools. Reported once.
    Listed,
    /// It calls a tool and waits.
    Called(Called),
    /// It no longer waits for this call: it gave up, or its connection ended. A result would not
    /// reach the model. Calls that the engine has not seen yet are not reported.
    Cancelled(CallKey),
}

/// A call of one of the client's tools.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// What [`super::Offer::reply`] needs.
    pub key: CallKey,
    /// The client's name of the tool.
    pub name: String,
    /// The arguments as the model wrote them; the schema was not applied.
    pub arguments: Map<String, Value>,
}

/// How waiting for a call ended.
#[derive(Debug)]
pub(super) enum WaitOutcome {
    /// The result of `tools/call`.
    Result(Value),
    /// The agent cancelled the request: no answer is sent.
    Cancelled,
    /// A later `await_result` waits for this call instead.
    Replaced,
    /// The offer is gone.
    Ended,
}

/// Why a request does not wait.
#[derive(Debug)]
pub(super) enum NotHeld {
    /// The offer is gone.
    Ended,
    /// [`MOST_OPEN`] calls are open.
    TooMany,
    /// No such call is open; those that are, by id.
    Unknown(Vec<String>),
}

/// The calls of one run; shared by its offer and the requests of its agent.
#[derive(Default)]
pub(super) struct RunCalls {
    state: Mutex<CallsState>,
    news: Notify,
}

#[derive(Default)]
struct CallsState {
    ended: bool,
    listed: bool,
    /// The key of the newest call, and the number of the newest holder.
    keys: u64,
    holders: u64,
    open: HashMap<CallKey, WaitingCall>,
    /// What the engine has not seen yet.
    events: VecDeque<Event>,
}

#[derive(Default)]
struct WaitingCall {
    holder: Option<Holder>,
    /// A result that arrived while nobody held the call.
    result: Option<Value>,
}

struct Holder {
    number: u64,
    /// The JSON-RPC id of the request that waits.
    request: Value,
    answer: oneshot::Sender<WaitOutcome>,
}

impl CallKey {
    fn parse(id: &str) -> Option<Self> {
        let number = id.trim();
        let number = number.strip_prefix("call-").unwrap_or(number);
        Some(Self(number.parse().ok()?))
    }
}

impl fmt::Display for CallKey {
    /// What the model calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call-{}", self.0)
    }
}

impl RunCalls {
    fn lock(&self) -> MutexGuard<'_, CallsState> {
        lock(&self.state)
    }

    /// The next event; `None` once the offer has ended. Cancel safe.
    pub(super) async fn next(&self) -> Option<Event> {
        loop {
            {
                let mut state = self.lock();
                if state.ended {
                    return None;
                }
                if let Some(event) = state.events.pop_front() {
                    return Some(event);
                }
            }
            self.news.notified().await;
        }
    }

    /// The agent read the list of tools.
    pub(super) fn listed(&self) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.listed, true) {
            state.events.push_back(Event::Listed);
            self.news.notify_one();
        }
    }

    /// A new call, held by the request that makes it.
    pub(super) fn open(
        self: &Arc<Self>,
        request: &Value,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<Hold, NotHeld> {
        let mut state = self.lock();
        if state.ended {
            return Err(NotHeld::Ended);
        }
        if state.open.len() >= MOST_OPEN {
            return Err(NotHeld::TooMany);
        }
        state.keys += 1;
        let key = CallKey(state.keys);
        state.events.push_back(Event::Called(Called {
            key,
            name: name.to_owned(),
            arguments,
        }));
        self.news.notify_one();
        Ok(self.hold(&mut state, key, request, true))
    }

    /// An `await_result`: the request holds an open call from now on.
    pub(super) fn resume(self: &Arc<Self>, request: &Value, id: &str) -> Result<Hold, NotHeld> {
        let mut state = self.lock();
        if state.ended {
            return Err(NotHeld::Ended);
        }
        match CallKey::parse(id).filter(|key| state.open.contains_key(key)) {
            Some(key) => Ok(self.hold(&mut state, key, request, false)),
            None => {
                let mut keys: Vec<CallKey> = state.open.keys().copied().collect();
                keys.sort_unstable();
                Err(NotHeld::Unknown(
                    keys.iter().map(CallKey::to_string).collect(),
                ))
            }
        }
    }

    fn hold(
        self: &Arc<Self>,
        state: &mut CallsState,
        key: CallKey,
        request: &Value,
        first: bool,
    ) -> Hold {
        state.holders += 1;
        let number = state.holders;
        let (answer, outcome) = oneshot::channel();
        let call = state.open.entry(key).or_default();
        if let Some(result) = call.result.take() {
            let _ = answer.send(WaitOutcome::Result(result));
            state.open.remove(&key);
        } else {
            let holder = Holder {
                number,
                request: request.clone(),
                answer,
            };
            if let Some(earlier) = call.holder.replace(holder) {
                let _ = earlier.answer.send(WaitOutcome::Replaced);
            }
        }
        Hold {
            calls: Arc::clone(self),
            key,
            number,
            first,
            outcome,
            waiting: true,
        }
    }

    /// Hands a result over, or keeps it for the next `await_result`. Returns whether a request took
    /// it.
    pub(super) fn reply(&self, key: CallKey, result: Value) -> bool {
        let mut state = self.lock();
        let Some(call) = state.open.get_mut(&key) else {
            return false;
        };
        let Some(holder) = call.holder.take() else {
            call.result.get_or_insert(result);
            return false;
        };
        state.open.remove(&key);
        holder.answer.send(WaitOutcome::Result(result)).is_ok()
    }

    /// The agent cancelled the request with this JSON-RPC id.
    pub(super) fn cancel(&self, request: &Value) {
        let mut state = self.lock();
        // A restarted client counts from the beginning again: the newest request was meant.
        let held = state.open.iter().filter_map(|(key, call)| {
            let holder = call.holder.as_ref()?;
            (holder.request == *request).then_some((holder.number, *key))
        });
        let Some((_, key)) = held.max() else { return };
        let holder = state.open.get_mut(&key).and_then(|call| call.holder.take());
        if let Some(holder) = holder {
            // Its `Hold` reports what that means for the call.
            let _ = holder.answer.send(WaitOutcome::Cancelled);
        }
    }

    /// A holder stops waiting. Returns false if its answer is on the way.
    pub(super) fn let_go(&self, key: CallKey, number: u64) -> bool {
        let mut state = self.lock();
        let Some(call) = state.open.get_mut(&key) else {
            return false;
        };
        call.holder
            .take_if(|holder| holder.number == number)
            .is_some()
    }

    /// Nobody will ask for the result any more: the model got an error for its call, and no id.
    pub(super) fn lose(&self, key: CallKey) {
        let mut state = self.lock();
        if state.open.remove(&key).is_none() {
            return;
        }
        let unseen = |event: &Event| matches!(event, Event::Called(called) if called.key == key);
        match state.events.iter().position(unseen) {
            Some(at) => drop(state.events.remove(at)),
            None => state.events.push_back(Event::Cancelled(key)),
        }
        self.news.notify_one();
    }

    /// The end of the offer: whoever waits gets an error, and nobody can wait again.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.events.clear();
        for (_, call) in state.open.drain() {
            if let Some(holder) = call.holder {
                let _ = holder.answer.send(WaitOutcome::Ended);
            }
        }
        self.news.notify_one();
    }
}

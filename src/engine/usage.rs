//! What a run cost that we stopped before the agent could say so.
//!
//! Clients decide by these numbers when to compact a conversation, and almost every run that calls
//! a tool is stopped. So such a run gets an estimate, marked as one: the conversation's last real
//! count, plus what was added since, by its length. A run that the agent ended itself without a
//! count gets none.

use std::{hash::Hash as _, str::FromStr, sync::Mutex};

use xxhash_rust::xxh3::Xxh3;

use crate::{
    threads::lock,
    turn::{BYTES_PER_TOKEN, Delta, Part, Role, Turn, TurnEnd, Usage, estimate_tokens},
};

/// How many conversations are remembered.
const REMEMBERED: usize = 256;

/// Which runs get an estimate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EstimateUsage {
    /// Those that we stopped.
    #[default]
    Auto,
    /// All that have no real count.
    On,
    /// None.
    Off,
}

impl FromStr for EstimateUsage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(format!("`{text}` is not one of auto, on, off")),
        }
    }
}

/// What is known of conversations.
pub(super) struct Estimates {
    mode: EstimateUsage,
    /// The most recent last.
    known: Mutex<Vec<KnownUsage>>,
}

/// The last real count of a conversation.
#[derive(Debug, Clone, Copy)]
struct KnownUsage {
    conversation: u64,
    /// What its request was by our own reckoning.
    reckoned: u64,
    /// What it was really, cache included, and with what Cursor adds.
    input: u64,
}

impl Estimates {
    pub fn new(mode: EstimateUsage) -> Self {
        Self {
            mode,
            known: Mutex::default(),
        }
    }

    /// Begins to count a run.
    pub fn meter(&self, turn: &Turn) -> Meter<'_> {
        Meter {
            estimates: self,
            conversation: conversation(turn),
            reckoned: estimate_tokens(turn),
            written: 0,
            finished: false,
        }
    }

    fn learn(&self, new: KnownUsage) {
        let mut known = lock(&self.known);
        known.retain(|old| old.conversation != new.conversation);
        if known.len() >= REMEMBERED {
            known.remove(0);
        }
        known.push(new);
    }

    fn last(&self, conversation: u64) -> Option<KnownUsage> {
        let known = lock(&self.known);
        let mut known = known.iter();
        known.find(|old| old.conversation == conversation).copied()
    }
}

/// Counts one run.
pub(super) struct Meter<'a> {
    estimates: &'a Estimates,
    conversation: u64,
    reckoned: u64,
    /// What the model wrote, in bytes.
    written: usize,
    finished: bool,
}

impl Meter<'_> {
    /// About how many tokens the request has.
    pub fn reckoned(&self) -> u64 {
        self.reckoned
    }

    /// The agent came to its own end.
    pub fn finished(&mut self) {
        self.finished = true;
    }

    /// Counts what the model wrote.
    pub fn delta(&mut self, delta: &Delta) {
        self.written += match delta {
            Delta::Text(text) | Delta::Reasoning(text) => text.len(),
            Delta::ToolCall(call) => call.name.len() + call.arguments.len(),
            Delta::Activity(_) => 0,
        };
    }

    /// Learns from the real count, or puts an estimate in its place.
    pub fn end(&self, end: &mut TurnEnd) {
        if let Some(real) = end.usage.filter(|usage| !usage.estimated) {
            self.estimates.learn(KnownUsage {
                conversation: self.conversation,
                reckoned: self.reckoned,
                input: real.input + real.cache_read.unwrap_or(0) + real.cache_write.unwrap_or(0),
            });
        } else if end.usage.is_none() && end.outcome.is_ok() && self.is_due() {
            end.usage = Some(self.estimate());
        }
    }

    fn is_due(&self) -> bool {
        match self.estimates.mode {
            EstimateUsage::Auto => !self.finished,
            EstimateUsage::On => true,
            EstimateUsage::Off => false,
        }
    }

    fn estimate(&self) -> Usage {
        let last = self.estimates.last(self.conversation);
        Usage {
            input: last.map_or(self.reckoned, |last| {
                // Less if the client has compacted the conversation.
                (last.input + self.reckoned).saturating_sub(last.reckoned)
            }),
            output: (self.written as u64).div_ceil(BYTES_PER_TOKEN),
            estimated: true,
            ..Usage::default()
        }
    }
}

/// What the last answer of a run cost, of which the earlier ones have `reported` their estimates:
/// the agent counts a run as a whole, and clients add their answers up. `None` if it did not count.
pub(super) fn rest(run: Option<Usage>, reported: Option<Usage>) -> Option<Usage> {
    let whole = run?;
    let Some(reported) = reported else {
        return Some(whole);
    };
    // Most of what an earlier model request read was in the cache for the next one.
    let mut input = reported.input;
    let mut less = |count: u64| {
        let left = count.saturating_sub(input);
        input -= count - left;
        left
    };
    Some(Usage {
        cache_read: whole.cache_read.map(&mut less),
        cache_write: whole.cache_write.map(&mut less),
        input: less(whole.input),
        output: whole.output.saturating_sub(reported.output),
        estimated: true,
        ..whole
    })
}

/// The same for all requests of a conversation, and for no others that matter: a wrong guess makes
/// an estimate worse and nothing else.
fn conversation(turn: &Turn) -> u64 {
    let mut hasher = Xxh3::new();
    let first = turn.messages.iter().position(|m| m.role == Role::User);
    let opening = turn
        .messages
        .iter()
        .enumerate()
        .filter(|(at, message)| message.role == Role::System || Some(*at) == first);
    for part in opening.flat_map(|(_, message)| &message.parts) {
        if let Part::Text(text) = part {
            text.hash(&mut hasher);
        }
    }
    hasher.digest()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::turn::{ErrorKind, FinishReason, Message, TurnError};

    fn turn(texts: &[&str]) -> Turn {
        Turn {
            messages: texts
                .iter()
                .map(|text| Message::text(Role::User, *text))
                .collect(),
            ..Turn::default()
        }
    }

    fn real(input: u64, cache_read: u64) -> Option<Usage> {
        Some(Usage {
            input,
            output: 5,
            cache_read: Some(cache_read),
            ..Usage::default()
        })
    }

    /// The usage of a run on these texts that wrote 8 bytes.
    fn run(
        estimates: &Estimates,
        texts: &[&str],
        finished: bool,
        usage: Option<Usage>,
    ) -> Option<Usage> {
        let mut meter = estimates.meter(&turn(texts));
        meter.delta(&Delta::Text("12345678".to_owned()));
        if finished {
            meter.finished();
        }
        let mut end = TurnEnd::finished(FinishReason::Stop, usage);
        meter.end(&mut end);
        end.usage
    }

    #[test]
    fn an_estimate_goes_on_from_the_last_real_count() {
        let estimates = Estimates::new(EstimateUsage::Auto);
        let first = run(&estimates, &["12345678"], false, None).unwrap();
        assert_eq!((first.input, first.output, first.estimated), (2, 2, true));
        let counted = run(&estimates, &["12345678"], true, real(1000, 9000));
        assert_eq!(counted, real(1000, 9000), "a real count stays");
        let next = run(&estimates, &["12345678", "1234"], false, None).unwrap();
        assert_eq!((next.input, next.cache_read), (10_001, None));
        let other = run(&estimates, &["another one"], false, None).unwrap();
        assert_eq!(other.input, 3);
    }

    #[test]
    fn only_what_we_stopped_is_estimated_unless_told_otherwise() {
        for (mode, stopped, finished) in [
            (EstimateUsage::Auto, true, false),
            (EstimateUsage::On, true, true),
            (EstimateUsage::Off, false, false),
        ] {
            let estimates = Estimates::new(mode);
            let usage = |finished| run(&estimates, &["a"], finished, None);
            assert_eq!(usage(false).is_some(), stopped, "{mode:?}");
            assert_eq!(usage(true).is_some(), finished, "{mode:?}");
        }
        let estimates = Estimates::new(EstimateUsage::On);
        let error = TurnError::new(ErrorKind::AgentFailed, "no");
        let mut end = TurnEnd::failed(error);
        estimates.meter(&turn(&["a"])).end(&mut end);
        assert_eq!(end.usage, None, "a failure has none");
    }

    #[test]
    fn the_answers_of_a_run_add_up_to_its_count() {
        let run = Usage {
            input: 100,
            output: 50,
            cache_read: Some(900),
            ..Usage::default()
        };
        assert_eq!(rest(None, None), None);
        let whole = rest(Some(run), None).unwrap();
        assert_eq!(
            (whole.input, whole.cache_read, whole.estimated),
            (100, Some(900), false)
        );
        let reported = |input| Usage {
            input,
            output: 20,
            estimated: true,
            ..Usage::default()
        };
        let last = rest(Some(run), Some(reported(600))).unwrap();
        assert_eq!(
            (last.input, last.cache_read, last.output),
            (100, Some(300), 30)
        );
        assert!(last.estimated);
        let last = rest(Some(run), Some(reported(950))).unwrap();
        assert_eq!((last.input, last.cache_read), (50, Some(0)));
        let last = rest(Some(run), Some(reported(5000))).unwrap();
        assert_eq!(
            (last.input, last.cache_read),
            (0, Some(0)),
            "never less than nothing"
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let estimates = Estimates::new(EstimateUsage::Auto);
        for n in 0..2 * REMEMBERED {
            run(&estimates, &[&n.to_string()], true, real(7, 0));
        }
        assert_eq!(estimates.known.lock().unwrap().len(), REMEMBERED);
        let last = (2 * REMEMBERED - 1).to_string();
        assert_eq!(run(&estimates, &[&last], false, None).unwrap().input, 7);
    }
}

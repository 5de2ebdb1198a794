//! Guards against calls that lead nowhere, rebuilt from the request's own history.
//!
//! A loop is the same round of calls with the same arguments and the same outcome, several times
//! in a row and nothing else in between. Another call, another outcome or the user's next word is
//! progress. First the model gets a hint in its prompt; if it continues, the turn ends with a plain
//! explanation. A call with different arguments is never stopped.

mod outcome;

use serde_json::{Map, Value};

pub(super) use outcome::{Outcome, classify};

use super::alias::{families, fold, has};
use super::catalog::ClientCall;
use super::compat;
use super::history::{History, Past};
use crate::turn::{ToolResult, Turn};

/// Looking again is cheap and may wait for something: it may happen this many times as often.
const PATIENCE: usize = 5;

/// Families that only look.
const LOOKS: &str = "read list glob grep codesearch lints todoread webfetch websearch stat";

/// Whether a call failed, as far as its result tells.
#[must_use]
pub fn is_failure(result: &ToolResult) -> bool {
    classify(result).is_failure()
}

/// What to tell the model in the next prompt, if its last calls led nowhere.
///
/// `max_repeat` is how often in a row the same calls may have the same outcome.
#[must_use]
pub fn hint(turn: &Turn, max_repeat: u32) -> Option<String> {
    let history = History::new(turn);
    if let Some((name, times)) = invalid_streak(&history).filter(|(_, times)| *times > 1) {
        return Some(format!(
            "The last {times} calls of `{name}` were refused because their arguments did not fit \
             its schema. Check the names, types and required arguments of `{name}` before calling \
             it again."
        ));
    }
    let (round, times) = repeated(&history)?;
    (times >= limit(&round, max_repeat)).then(|| {
        format!(
            "The last {times} calls of {} had the same arguments and the same outcome{}. Calling \
             again will change nothing: take another way, or say what is missing.",
            names(round.iter().map(|past| past.name.as_str())),
            round[0].outcome.describe(),
        )
    })
}

/// Why these calls, about to go out together, must not: they repeat what has just led nowhere.
pub(super) fn stop(history: &History, calls: &[&ClientCall], max_repeat: u32) -> Option<String> {
    let invalid = |made: &ClientCall| !made.problems.is_empty();
    if let ([made], Some((name, times))) = (calls, invalid_streak(history))
        && invalid(made)
        && made.name == name
        && times >= max_repeat as usize
    {
        return Some(format!(
            "Stopped: `{name}` was called {} times in a row with arguments that do not fit its \
             schema ({}).",
            times + 1,
            made.problems.join("; ")
        ));
    }
    let (round, times) = repeated(history)?;
    let is_same_call = |a: &ClientCall, b: &ClientCall| {
        a.name == b.name && is_same_args(&a.name, &a.arguments, &b.arguments)
    };
    let same = round.len() == distinct(calls.iter().copied(), is_same_call).len()
        && calls.iter().all(|made| {
            round.iter().any(|past| {
                past.name == made.name && is_same_args(&made.name, &past.args, &made.arguments)
            })
        });
    (same && times >= limit(&round, max_repeat)).then(|| {
        format!(
            "Stopped: {} was about to be called again with the same arguments, after {times} times \
             with the same outcome{}.",
            names(round.iter().map(|past| past.name.as_str())),
            round[0].outcome.describe(),
        )
    })
}

/// The last round and how many times in a row it has happened, with the same outcome each time.
fn repeated(history: &History) -> Option<(Vec<&Past>, usize)> {
    let mut rounds = history
        .recent()
        .iter()
        .rev()
        .map(|round| distinct(round, is_same));
    let last = rounds.next()?;
    let times = 1 + rounds
        .take_while(|round| {
            round.len() == last.len()
                && round
                    .iter()
                    .all(|past| last.iter().any(|other| is_same(past, other)))
        })
        .count();
    Some((last, times))
}

/// The tool whose calls alone made up the last rounds and were all refused as invalid, and how
/// many rounds that is.
fn invalid_streak(history: &History) -> Option<(&str, usize)> {
    let mut rounds = history.recent().iter().rev();
    let name = &rounds.clone().next()?.first()?.name;
    let times = rounds
        .by_ref()
        .take_while(|round| {
            round
                .iter()
                .all(|past| past.name == *name && past.outcome == Outcome::Validation)
        })
        .count();
    (times > 0).then_some((name.as_str(), times))
}

/// How often a round may happen in a row.
fn limit(round: &[&Past], max_repeat: u32) -> usize {
    let looks = round.iter().all(|past| {
        past.outcome == Outcome::Success
            && families(&fold(&past.name)).any(|family| has(LOOKS, family))
    });
    max_repeat.max(1) as usize * if looks { PATIENCE } else { 1 }
}

/// A round without calls that it makes twice.
fn distinct<'a, T>(
    round: impl IntoIterator<Item = &'a T>,
    is_same: impl Fn(&T, &T) -> bool,
) -> Vec<&'a T> {
    let mut distinct: Vec<&T> = Vec::new();
    for call in round {
        if !distinct.iter().any(|known| is_same(known, call)) {
            distinct.push(call);
        }
    }
    distinct
}

/// The same call with the same outcome. Failures are the same if they are of one class; successes
/// if they answered the same.
fn is_same(a: &Past, b: &Past) -> bool {
    a.name == b.name
        && a.outcome == b.outcome
        && is_same_args(&a.name, &a.args, &b.args)
        && (a.outcome.is_failure() || a.content == b.content)
}

/// Clients send arguments back with other white space and key order; maps compare by content. What
/// a command is said to be for changes nothing about what it does.
fn is_same_args(tool: &str, a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    if !families(&fold(tool)).any(|family| family == "bash") {
        return a == b;
    }
    let does = |args: &Map<String, Value>| {
        let said = |key: &str| compat::is_description(&fold(key));
        let does = args.iter().filter(|(key, _)| !said(key));
        does.map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Map<_, _>>()
    };
    does(a) == does(b)
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

//! What a failed run means, told by the agent's own words.
//!
//! The exit code says nothing (FACTS 3.2), so the sentences decide, wherever they were printed.
//! The last one that is known counts: earlier ones may be of attempts that were repeated.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use super::AgentError;
use crate::sandbox::redact::redact;

/// What is known of a run that ended without a result. The texts are free of secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ending<'a> {
    /// The exit status, if the agent ended by itself.
    pub status: Option<ExitStatus>,
    /// The lines on stdout that were not JSON.
    pub notes: &'a str,
    /// The end of stderr.
    pub stderr: &'a str,
    /// How many lines were too long to be read.
    pub skipped: u64,
}

/// What the kernel sends to a process that writes more to a file than is allowed.
const SIGXFSZ: i32 = nix::libc::SIGXFSZ;

/// Words are quoted up to this length, in bytes.
const QUOTE: usize = 2000;

/// Why a run ended without a result.
#[must_use]
pub fn ending(ending: Ending<'_>) -> AgentError {
    let lines: Vec<&str> = [ending.notes, ending.stderr]
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !is_noise(line))
        .collect();
    if let Some(error) = known(&lines) {
        return error;
    }
    let how = how_it_ended(ending);
    let words = quote(&lines);
    AgentError::Failed(if words.is_empty() {
        format!("{how}; its stderr is empty")
    } else {
        format!("{how}: {words}")
    })
}

/// The same for a `result` event that says it is an error, by its text.
#[must_use]
pub fn error_result(text: &str) -> AgentError {
    let text = redact(text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    known(&lines).unwrap_or_else(|| {
        AgentError::Failed(if lines.is_empty() {
            "the agent reported an error without saying which".to_owned()
        } else {
            quote(&lines)
        })
    })
}

fn how_it_ended(ending: Ending<'_>) -> String {
    let mut how = match ending.status {
        Some(status) if status.success() => "the agent ended without a result".to_owned(),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("the agent ended with exit status {code} and no result"),
            (_, Some(SIGXFSZ)) => {
                "the agent was ended: a file that it wrote became too long (--agent-disk)"
                    .to_owned()
            }
            (_, Some(signal)) => format!("the agent was killed by signal {signal}"),
            _ => format!("the agent ended with {status}"),
        },
        None => "the agent closed its output without a result".to_owned(),
    };
    if ending.skipped > 0 {
        how += &format!(" ({} of its lines were too long to read)", ending.skipped);
    }
    how
}

/// Lines that explain nothing: JSON (some versions may mirror stdout on stderr), notices, stack
/// frames.
fn is_noise(line: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || ["{", "Using worktree:", "at "]
            .iter()
            .any(|start| line.starts_with(start))
}

fn quote(lines: &[&str]) -> String {
    let mut words = lines.join("\n").trim().to_owned();
    if words.len() > QUOTE {
        let end = (0..=QUOTE).rev().find(|at| words.is_char_boundary(*at));
        words.truncate(end.unwrap_or_default());
        words.push('…');
    }
    words
}

/// The error that the last telling line stands for. Its message begins there.
fn known(lines: &[&str]) -> Option<AgentError> {
    (0..lines.len()).rev().find_map(|at| {
        let line = lines[at].to_ascii_lowercase();
        if let Some(error) = unknown_model(lines[at], &line) {
            return Some(error);
        }
        let (error, _) = PHRASES
            .iter()
            .find(|(_, phrases)| phrases.iter().any(|phrase| line.contains(phrase)))?;
        Some(error(quote(&lines[at..])))
    })
}

fn rate_limited(message: String) -> AgentError {
    AgentError::RateLimited {
        retry_after: retry_after(&message.to_ascii_lowercase()),
        message,
    }
}

/// Makes the error of its words.
type Class = fn(String) -> AgentError;

/// What is looked for in a line, in lower case, and the error that it stands for; the first that
/// matches counts. `[…]` are Connect codes. Numbers are looked for with their context, never alone.
/// The phrases of [`AgentError::Failed`] are here to overrule what stands before them.
const PHRASES: &[(Class, &[&str])] = &[
    (
        AgentError::UsageLimit,
        &[
            "actionrequirederror",
            "usage limit",
            "spend limit",
            "free plan",
            "named models unavailable",
            "upgrade your plan",
            "insufficient_quota",
        ],
    ),
    (
        AgentError::NotLoggedIn,
        &[
            "authentication required",
            "not logged in",
            "api key is invalid",
            "invalid api key",
            "[unauthenticated]",
            "401 unauthorized",
            "token has expired",
            "token expired",
            "status 401",
            "status code 401",
            "secitemcopymatching failed", // the macOS keychain is out of reach
        ],
    ),
    (
        rate_limited,
        &[
            "resource_exhausted",
            "too many requests",
            "rate limit",
            "rate-limit",
            "status 429",
            "status code 429",
            "http 429",
        ],
    ),
    (
        AgentError::ContextTooLong,
        &[
            "context_length_exceeded",
            "context length",
            "context window",
            "prompt is too long",
            "input is too long",
        ],
    ),
    (
        AgentError::Refused,
        &[
            "workspace trust required",
            "workspace directory does not exist",
            "error: unknown option",
            "is already in use",
            "invalid --allowed-tools",
            "no previous chats found",
            "can only be used with agent-cli-local",
            "[permission_denied]",
        ],
    ),
    (
        AgentError::Failed,
        &[
            "[unavailable]",
            "[deadline_exceeded]",
            "[internal]",
            "[aborted]",
            "[unknown]",
            "[invalid_argument]",
            "[failed_precondition]",
        ],
    ),
];

/// `Cannot use this model: X. Available models: a, b` (FACTS 3.2).
fn unknown_model(line: &str, lower: &str) -> Option<AgentError> {
    const REFUSAL: &str = "cannot use this model:";
    const LIST: &str = "available models:";
    let start = lower.find(REFUSAL)? + REFUSAL.len();
    let (model, available) = match lower[start..].find(LIST) {
        Some(at) => (&line[start..start + at], &line[start + at + LIST.len()..]),
        None => (&line[start..], ""),
    };
    let ids = available
        .split(',')
        .map(|id| id.trim().trim_end_matches('.'));
    Some(AgentError::UnknownModel {
        model: model.trim().trim_end_matches('.').to_owned(),
        available: ids.filter(|id| !id.is_empty()).map(str::to_owned).collect(),
    })
}

/// `retry after 30 seconds`, `try again in 2 minutes`, `retry-after: 5`; in lower case.
fn retry_after(text: &str) -> Option<Duration> {
    let rest = ["retry after", "retry-after", "try again in"]
        .iter()
        .find_map(|phrase| Some(&text[text.find(phrase)? + phrase.len()..]))?;
    let rest = rest.trim_start_matches([':', ' ']);
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = rest[..digits].parse().ok()?;
    let unit = rest[digits..].trim_start();
    let seconds = match () {
        () if unit.starts_with("ms") || unit.starts_with("milli") => number.div_ceil(1000),
        () if unit.starts_with('m') => number.saturating_mul(60),
        () if unit.starts_with('h') => number.saturating_mul(3600),
        () => number,
    };
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

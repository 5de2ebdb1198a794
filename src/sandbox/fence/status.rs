//! Which layers of the fence hold on this machine, for people and for `/health`.

use serde::Serialize;

use super::{FenceMode, Reason};

/// The state of every layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FenceStatus {
    /// What was asked for.
    pub mode: FenceMode,
    /// The copy-on-write view of the workspace.
    pub view: Layer,
    /// The limit on where the agent can write at all, and on files' modes and times.
    pub writes: Layer,
    /// The end of every process of a run with the run, and their separation from all others.
    pub processes: Layer,
    /// The separation from programs that listen on UNIX sockets.
    pub sockets: Layer,
    /// The limits on what a run may use up.
    pub limits: Layer,
    /// The rules in Cursor's own configuration.
    pub deny_rules: Layer,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Whether it holds.
    pub state: State,
    /// Why it does not, or not fully.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What holds and what does not, in words; with a reason, what to do about it.
    pub sentence: String,
}

/// Whether a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was tried and it holds.
    Enforced,
    /// It holds with the gap that the sentence names.
    Partial,
    /// It cannot be had here.
    Unavailable,
    /// It was not asked for.
    Off,
}

impl Layer {
    pub(super) fn enforced(sentence: impl Into<String>) -> Self {
        Self {
            state: State::Enforced,
            reason: None,
            sentence: sentence.into(),
        }
    }

    pub(super) fn partial(reason: Option<Reason>, sentence: impl Into<String>) -> Self {
        Self {
            state: State::Partial,
            reason,
            sentence: sentence.into(),
        }
    }

    pub(super) fn unavailable(reason: Reason, sentence: impl Into<String>) -> Self {
        Self {
            state: State::Unavailable,
            reason: Some(reason),
            sentence: sentence.into(),
        }
    }

    /// Whether the layer is in use.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self.state, State::Enforced | State::Partial)
    }
}

impl FenceStatus {
    /// The status where no fence is wanted; the sentence says why.
    #[must_use]
    pub fn not_needed(mode: FenceMode, sentence: &str) -> Self {
        let layer = Layer {
            state: State::Off,
            reason: None,
            sentence: sentence.to_owned(),
        };
        Self {
            mode,
            view: layer.clone(),
            writes: layer.clone(),
            processes: layer.clone(),
            sockets: layer.clone(),
            limits: layer.clone(),
            deny_rules: layer,
        }
    }

    /// The first of the promises of `--fence require` that does not hold. A limit of memory is one
    /// if it was asked for.
    pub(super) fn broken_promise(&self) -> Option<&Layer> {
        let limits = Some(&self.limits).filter(|layer| layer.reason == Some(Reason::NoCgroup));
        let promised = [&self.writes, &self.processes, &self.sockets];
        let broken = |layer: &&Layer| layer.state != State::Enforced;
        promised.into_iter().chain(limits).find(broken)
    }
}

//! A run of any kind of agent: one prompt in, events out.

use std::{fmt, path::PathBuf, sync::Arc};

use bytes::Bytes;

use super::{AgentError, AgentEvent, CallKey, bridge::BridgeRun, print::PrintRun};
use crate::turn::{Attachment, CallerKey, ToolResult, ToolSpec};

/// What to ask the agent. The prompt is not in it: it depends on the [`Site`].
#[derive(Debug, Clone, Default)]
pub struct RunRequest {
    /// The model's id as Cursor knows it.
    pub model: String,
    /// The directory that the client works in; absolute. Without one the agent gets an empty one.
    pub workspace: Option<PathBuf>,
    /// Files that came with the request: the ends of their names, and what they hold.
    pub files: Vec<(&'static str, Bytes)>,
    /// The tools to serve to the agent, so that the run can wait for their results. Empty if it is
    /// to ask for tools in its text.
    pub tools: Vec<ToolSpec>,
    /// Gets each line of the agent's stdout before it is read.
    pub tap: Option<Tap>,
    /// The key that this run uses; without one, the agent's own login or key.
    pub key: Option<CallerKey>,
}

/// Where a run takes place: what a prompt must know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// The directory that relative paths of the client mean; absolute.
    pub workspace: PathBuf,
    /// Where the files of the request lie, in their order.
    pub files: Vec<PathBuf>,
    /// How the agent sees the served tools; `None` if there are none.
    pub served: Option<ServedTools>,
}

/// Tools that are served to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedTools {
    /// The name of the server that has them.
    pub server: String,
    /// The client's name of each tool, and the agent's.
    pub names: Vec<(String, String)>,
    /// Whether the agent reads and searches by its own tools.
    pub native_reads: bool,
}

/// What is known of calls that are made together with those that the agent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Siblings {
    /// Not all that have come were announced, so others may come unannounced, too.
    Unknown,
    /// More are announced.
    Announced,
    /// All that are announced have come.
    Complete,
}

/// What the agent changed in its view of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewChange {
    /// A text file: what it held, and what it holds; `None` where there is no file.
    Text {
        /// Absolute.
        path: String,
        /// Before the run.
        before: Option<String>,
        /// Now.
        after: Option<String>,
    },
    /// A file that is not text, or too large.
    Opaque {
        /// Absolute; lossy where it is not UTF-8.
        path: String,
    },
    /// More than is listed here: too much, or it can't be read.
    Unread {
        /// The workspace.
        directory: String,
    },
}

/// Takes lines, as they came.
#[derive(Clone)]
pub struct Tap(Arc<TapFn>);

type TapFn = dyn Fn(&[u8]) + Send + Sync;

impl Tap {
    /// A tap that hands them on.
    pub fn new(take: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    pub(super) fn take(&self, line: &[u8]) {
        (self.0)(line);
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

/// A running agent of one kind. Dropping it cancels the run: everything of it is ended and removed,
/// in the background.
#[derive(Debug)]
pub enum AgentRun {
    /// Cursor's CLI in print mode: a child of its own.
    Print(Box<PrintRun>),
    /// Cursor's SDK bridge: one of many agents in a shared process.
    Bridge(Box<BridgeRun>),
}

impl AgentRun {
    /// Waits for events and appends them, at least one. Safe to cancel and call again. After
    /// [`AgentEvent::Finished`] the run is to be dropped.
    ///
    /// # Errors
    /// Why there is no result. All events have been delivered then.
    pub async fn next(&mut self, events: &mut Vec<AgentEvent>) -> Result<(), AgentError> {
        match self {
            Self::Print(run) => run.next(events).await,
            Self::Bridge(run) => run.next(events).await,
        }
    }

    /// Ends what is left of a finished run: nothing more is asked of it.
    pub fn end(&mut self) {
        match self {
            Self::Print(run) => run.end(),
            // Only what made a view is kept beyond its end.
            Self::Bridge(_) => {}
        }
    }

    /// Answers a call that the agent waits for, with the files that belong to the result.
    pub fn reply(&mut self, key: CallKey, result: &ToolResult, files: &[Attachment]) {
        match self {
            Self::Print(run) => run.reply(key, result, files),
            Self::Bridge(run) => run.reply(key, result, files),
        }
    }

    /// Whether the agent calls the client's tools as its own and waits for their results.
    #[must_use]
    pub fn can_wait(&self) -> bool {
        match self {
            Self::Print(run) => run.can_wait(),
            Self::Bridge(run) => run.can_wait(),
        }
    }

    /// The place of a call that waits among those that the model has made, as far as the agent tells:
    /// parallel calls come in any order.
    #[must_use]
    pub fn place(&self, key: CallKey) -> Option<usize> {
        match self {
            Self::Print(run) => run.place(key),
            Self::Bridge(run) => run.place(key),
        }
    }

    /// Whether more calls are to come beside those that the agent waits for.
    #[must_use]
    pub fn siblings(&self) -> Siblings {
        match self {
            Self::Print(run) => run.siblings(),
            Self::Bridge(run) => run.siblings(),
        }
    }

    /// Whether the agent's changes to the workspace go to a view of its own.
    #[must_use]
    pub fn has_view(&self) -> bool {
        match self {
            Self::Print(run) => run.has_view(),
            Self::Bridge(_) => false,
        }
    }

    /// What the agent has changed in its view up to now; nothing without a view.
    pub async fn changes(&self) -> Vec<ViewChange> {
        match self {
            Self::Print(run) => run.changes().await,
            Self::Bridge(_) => Vec::new(),
        }
    }

    /// The kind, as settings and logs name it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Print(_) => "print",
            Self::Bridge(_) => "bridge",
        }
    }

    /// The process that belongs to this run alone, if there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Print(run) => run.pid(),
            Self::Bridge(_) => None,
        }
    }
}

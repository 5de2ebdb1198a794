//! Who executes the calls that a run asks for: the client, or the server by tools of its own.
//!
//! ```text
//! request ─> loop_of (setting, header) ─> selection (which tools of ours) ─> Hands
//! Pause::Calls ─> split ─┬─> ours: Work::execute ─> the run continues, or another one begins
//!                        └─> the client's: the answer ends with them
//! ```
//!
//! In one answer there may be many rounds of our calls. The client sees none of them, so the
//! conversation that it sends back lacks them; `rounds` keeps those that came before its own calls.

mod rounds;
mod selection;
mod work;

use std::{collections::HashSet, num::NonZeroU32, path::PathBuf, str::FromStr};

pub use selection::ExecTools;

pub(super) use rounds::Rounds;
pub(super) use selection::needs_confirmation;
pub(super) use work::Work;

use super::EngineConfig;
use crate::{
    hands::Toolbox,
    turn::{ServerTools, ToolCall, Turn, TurnError},
};

/// Who executes tools (`--tool-loop-mode`). Each allows what comes before it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ToolLoop {
    /// The agent, by its own tools; the client's are not called.
    Off,
    /// The client.
    Client,
    /// The server, by its own; what a client offers besides, the client executes.
    Server,
}

impl ToolLoop {
    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Client => "opencode",
            Self::Server => "proxy-exec",
        }
    }
}

impl FromStr for ToolLoop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Client, Self::Server, Self::Off];
        let found = all.into_iter().find(|mode| mode.name() == text);
        found.ok_or_else(|| format!("`{text}` is not one of opencode, proxy-exec, off"))
    }
}

/// What a server that executes tools has.
#[derive(Debug, Clone)]
pub struct Exec {
    /// The tools.
    pub toolbox: Toolbox,
    /// Those that a request has to allow by name.
    pub confirm: Vec<String>,
    /// How many rounds of calls there may be in one answer.
    pub max_steps: NonZeroU32,
}

/// Who executes the calls of one answer.
pub(super) enum Hands<'a> {
    /// The client: an answer ends with the calls, and the results come with another request.
    Client,
    /// The server, except those of tools that the client offers.
    Server(Box<Work<'a>>),
}

impl<'a> Hands<'a> {
    /// Finds out for a turn, and adds the server's tools to those that it offers.
    ///
    /// # Errors
    /// `InvalidRequest` that names what the request asks for and can't have.
    pub async fn of(
        config: &'a EngineConfig,
        turn: &mut Turn,
        workspace: Option<PathBuf>,
    ) -> Result<Self, TurnError> {
        let mode = loop_of(config, turn)?;
        if mode == ToolLoop::Off {
            turn.tools.clear();
        }
        let Some(exec) = config.exec.as_ref().filter(|_| mode == ToolLoop::Server) else {
            if turn.server_tools != ServerTools::Usual {
                return Err(TurnError::invalid(
                    "tools",
                    "`tools` names tools of the server's, but it executes none for this request \
                     (--tool-loop-mode proxy-exec)",
                ));
            }
            return Ok(Self::Client);
        };
        let clients: HashSet<String> = turn.tools.iter().map(|tool| tool.name.clone()).collect();
        let mut ours = selection::select(exec, turn, workspace.is_some()).await?;
        ours.retain(|tool| !clients.contains(&tool.spec.name));
        turn.tools.extend(ours.iter().map(|tool| tool.spec.clone()));
        let work = Work::new(exec, config, ours, clients, workspace, turn);
        Ok(Self::Server(Box::new(work)))
    }

    /// The calls that are ours, and those of the client's.
    pub fn split(&self, calls: Vec<ToolCall>) -> (Vec<ToolCall>, Vec<ToolCall>) {
        match self {
            Self::Client => (Vec::new(), calls),
            Self::Server(work) => calls.into_iter().partition(|call| work.is_ours(call)),
        }
    }

    /// What the model should know of our tools.
    pub fn note(&self) -> Option<&'static str> {
        match self {
            Self::Client => None,
            Self::Server(work) => work.note(),
        }
    }
}

/// Who executes tools for this request: the setting, or less if the request wants that.
fn loop_of(config: &EngineConfig, turn: &Turn) -> Result<ToolLoop, TurnError> {
    const HEADER: &str = "x-cursor-tool-loop";
    let most = match config.exec {
        Some(_) => ToolLoop::Server,
        None if config.client_tools => ToolLoop::Client,
        None => ToolLoop::Off,
    };
    let Some(wish) = &turn.tool_loop else {
        return Ok(most);
    };
    let wish: ToolLoop = wish
        .trim()
        .parse()
        .map_err(|error| TurnError::invalid(HEADER, format!("the header {HEADER}: {error}")))?;
    if wish > most {
        let (wish, most) = (wish.name(), most.name());
        let message = format!(
            "the header {HEADER} asks for `{wish}`, but this server runs with --tool-loop-mode {most}"
        );
        return Err(TurnError::invalid(HEADER, message));
    }
    Ok(wish)
}

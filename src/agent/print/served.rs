//! The client's tools, served to a child: what it is started with, and whether it takes them.
//!
//! A run that is served tools works in the slot's own empty directory, which holds only the
//! `mcp.json` that names our endpoint: no server of the user's project is approved along, and
//! nothing of the project can be changed there. Whether a version of the CLI loads the server is
//! known when it asks for the list of tools, so nothing is delivered before that.

use std::{
    cmp::Ordering, ffi::OsString, fs, io, os::unix::fs::DirBuilderExt as _, path::Path,
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::files::write_new;
use crate::{
    agent::{AgentEvent, CallKey, NativeCall, ServedTools, Siblings},
    mcp::{Event, Offer},
    sandbox::slot::Rules,
    turn::{Attachment, ToolResult, relocate},
};

/// The tools of Cursor's that calling ours needs (recordings/stderr/allowed-tools-invalid.txt).
const ALLOWED_TOOLS: &str = "mcp_tool_call,get_mcp_tools_tool_call";

/// The same, with those that read and search.
const ALLOWED_WITH_READS: &str = "mcp_tool_call,get_mcp_tools_tool_call,read_tool_call,\
                                  grep_tool_call,glob_tool_call,ls_tool_call";

/// The tools that a child may use, for `--allowed-tools`.
pub(super) fn allowed_tools(native_reads: bool) -> &'static str {
    match native_reads {
        true => ALLOWED_WITH_READS,
        false => ALLOWED_TOOLS,
    }
}

/// Calls of our server's tools need no approval; Cursor's own are not to be used.
pub(super) const RULES: Rules = Rules {
    allow: &["Mcp(oc:*)"],
    deny: &["Shell(**)", "WebFetch(*)", "Write(**)"],
};

/// The tools of one child.
#[derive(Debug)]
pub(super) struct ServedRun {
    offer: Offer,
    /// Whether the child reads and searches by its own tools.
    native_reads: bool,
    listed: bool,
    /// When the child must have asked for them.
    deadline: Option<Instant>,
    /// Announced calls of ours that are not over, in the order of the model.
    announced: Vec<AnnouncedCall>,
    /// The calls that wait for their results, as they came.
    waiting: Vec<UnansweredCall>,
    /// The agent's directory and the client's: paths of the one in arguments mean the other.
    places: Option<(String, String)>,
}

/// A call that the stream tells of.
#[derive(Debug)]
struct AnnouncedCall {
    /// Cursor's id.
    id: String,
    tool: Option<Value>,
    arguments: Option<Value>,
}

/// A call that has come by MCP, which has no id of Cursor's.
#[derive(Debug)]
struct UnansweredCall {
    key: CallKey,
    tool: String,
    arguments: Map<String, Value>,
}

impl AnnouncedCall {
    fn of(call: NativeCall) -> Self {
        let args = call.args.as_ref();
        let get = |key: &str| args.and_then(|args| args.get(key)).cloned();
        Self {
            tool: get("toolName"),
            arguments: get("args"),
            id: call.call_id,
        }
    }

    /// Whether the call that has come may be this one.
    fn is(&self, call: &UnansweredCall) -> bool {
        self.tool.as_ref().is_none_or(|tool| *tool == call.tool)
            && self.arguments.as_ref().is_none_or(|arguments| {
                arguments
                    .as_object()
                    .is_some_and(|it| *it == call.arguments)
            })
    }
}

impl ServedRun {
    pub fn new(offer: Offer, native_reads: bool) -> Self {
        Self {
            offer,
            native_reads,
            listed: false,
            deadline: None,
            announced: Vec::new(),
            waiting: Vec::new(),
            places: None,
        }
    }

    /// The agent works in `own`, and its calls are about `clients`. Models name files by the
    /// directory that Cursor tells them.
    pub fn relocate(&mut self, own: &Path, clients: &Path) {
        let texts = own.to_str().zip(clients.to_str());
        self.places = texts
            .filter(|(own, clients)| own != clients)
            .map(|(own, clients)| (own.to_owned(), clients.to_owned()));
    }

    /// How the child sees them.
    pub fn names(&self) -> ServedTools {
        ServedTools {
            server: self.offer.server_name().to_owned(),
            names: self.offer.names().to_vec(),
            native_reads: self.native_reads,
        }
    }

    /// Writes what tells the child of them into its directory. Blocking.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn configure(&self, workspace: &Path) -> io::Result<()> {
        let dir = workspace.join(".cursor");
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        let config = self.offer.config().to_string();
        write_new(&dir.join("mcp.json"), config.as_bytes())
    }

    /// Whether the child has asked for the list of tools.
    pub fn listed(&self) -> bool {
        self.listed
    }

    /// When it must have asked.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.listed)
    }

    /// The child has printed its first event.
    pub fn began(&mut self, listed_within: Duration) {
        self.deadline
            .get_or_insert_with(|| Instant::now() + listed_within);
    }

    /// Waits for what the child does with the tools; `None` if that is nothing for the run, or the
    /// endpoint is closed, which ends the run in its own way. Cancel safe.
    pub async fn next(&mut self) -> Option<AgentEvent> {
        let Some(event) = self.offer.next().await else {
            return std::future::pending().await;
        };
        match event {
            Event::Listed => {
                self.listed = true;
                None
            }
            Event::Called(mut call) => {
                let mut names = self.offer.names().iter();
                let name = names.find(|(clients, _)| *clients == call.name);
                self.waiting.push(UnansweredCall {
                    key: call.key,
                    tool: name.map_or_else(|| call.name.clone(), |(_, agents)| agents.clone()),
                    arguments: call.arguments.clone(),
                });
                if let Some((own, clients)) = &self.places {
                    let values = call.arguments.values_mut();
                    values.for_each(|value| relocate(value, own, clients));
                }
                Some(AgentEvent::ToolRequested {
                    key: call.key,
                    name: call.name,
                    arguments: Box::new(call.arguments),
                })
            }
            Event::Cancelled(key) => {
                self.waiting.retain(|call| call.key != key);
                Some(AgentEvent::CallGivenUp(key))
            }
        }
    }

    pub fn reply(&mut self, key: CallKey, result: &ToolResult, files: &[Attachment]) {
        self.waiting.retain(|call| call.key != key);
        self.offer.reply(key, result, files);
    }

    /// Whether more calls are to come, by how many were announced.
    pub fn siblings(&self) -> Siblings {
        match self.announced.len().cmp(&self.waiting.len()) {
            Ordering::Less => Siblings::Unknown,
            Ordering::Equal => Siblings::Complete,
            Ordering::Greater => Siblings::Announced,
        }
    }

    /// The place of a waiting call among those that the model has made.
    pub fn place(&self, key: CallKey) -> Option<usize> {
        let mut taken = vec![false; self.announced.len()];
        for call in &self.waiting {
            let mut free = self.announced.iter().zip(&taken);
            let place = free.position(|(announced, taken)| !taken && announced.is(call));
            if call.key == key {
                return place;
            }
            if let Some(place) = place {
                taken[place] = true;
            }
        }
        None
    }

    /// An event of the child in place of one about our own tools, whose calls come another way.
    pub fn filter(&mut self, event: AgentEvent) -> AgentEvent {
        match event {
            AgentEvent::ToolStarted(call) if self.is_ours(&call) => {
                if call.kind == "mcp" {
                    // It may be announced more than once.
                    self.announced.retain(|it| it.id != call.call_id);
                    self.announced.push(AnnouncedCall::of(*call));
                }
                AgentEvent::ServedTool
            }
            AgentEvent::ToolCompleted(call) if self.is_ours(&call) => {
                self.announced.retain(|it| it.id != call.call_id);
                let refused = ["rejected", "permissionDenied"];
                if call
                    .outcome
                    .is_some_and(|outcome| refused.contains(&&*outcome.name))
                {
                    tracing::warn!(
                        "Cursor refused the agent a call of the client's tools; a deny rule `Mcp(…)` \
                         in your Cursor configuration does that. Remove it, or use --turns respawn"
                    );
                }
                AgentEvent::ServedTool
            }
            event => event,
        }
    }

    /// Whether it is a call of our server, or Cursor's look at a server's tools.
    fn is_ours(&self, call: &NativeCall) -> bool {
        let is_server = |name: &Value| name == self.offer.server_name();
        match call.kind.as_str() {
            "getMcpTools" => true,
            "mcp" => call.args.as_ref().is_none_or(|args| {
                ["providerIdentifier", "serverIdentifier"]
                    .iter()
                    .any(|key| args.get(*key).is_some_and(is_server))
            }),
            _ => false,
        }
    }
}

/// The environment of a child that must reach us on loopback, and must not find the user's own MCP
/// servers: its data directory is below `private`.
pub(super) fn environment(env: &mut Vec<(OsString, OsString)>, private: &Path) {
    for name in ["NO_PROXY", "no_proxy"] {
        let users = env.iter().position(|(known, _)| known == name);
        let mut value = users.map_or_else(OsString::new, |at| env.remove(at).1);
        if !value.is_empty() {
            value.push(",");
        }
        value.push("127.0.0.1");
        env.push((name.into(), value));
    }
    env.retain(|(name, _)| name != "CURSOR_DATA_DIR");
    env.push(("CURSOR_DATA_DIR".into(), private.join("cursor-data").into()));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_whatever_proxies_there_are() {
        let mut env: Vec<(OsString, OsString)> = vec![
            ("NO_PROXY".into(), "corp.example".into()),
            ("CURSOR_DATA_DIR".into(), "/home/me/data".into()),
            ("HOME".into(), "/home/me".into()),
        ];
        environment(&mut env, Path::new("/slot/tmp"));
        let get = |name: &str| {
            let mut found = env.iter().filter(|(known, _)| known == name);
            let value = found.next().unwrap().1.to_str().unwrap();
            assert!(found.next().is_none(), "{name} is there twice");
            value
        };
        assert_eq!(get("NO_PROXY"), "corp.example,127.0.0.1");
        assert_eq!(get("no_proxy"), "127.0.0.1");
        assert_eq!(get("CURSOR_DATA_DIR"), "/slot/tmp/cursor-data");
        assert_eq!(get("HOME"), "/home/me");
    }
}

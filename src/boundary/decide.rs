//! From one announced call to the client's calls: whose tool is it, and is it ready?

mod edit;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::alias::{families, fold};
use super::catalog::{ClientCall, ToolCatalog};
use super::change::{self, FileChange};
use super::history::History;
use super::native::{self, Effect, Intent};
use super::{BoundaryOptions, Mode};
use crate::{agent::NativeCall, turn::Turn};

/// What is to be done about an announced call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// The client has no tool for it, or Cursor may do it: it runs on.
    LeaveToAgent,
    /// Its exact change is known when it is complete.
    AwaitChange,
    /// The client's calls; never empty.
    Call(Vec<ClientCall>),
}

/// Decides on calls, by the tools, the transcript and the settings of one turn.
#[derive(Debug)]
pub(super) struct Decider {
    catalog: ToolCatalog,
    pub(super) history: History,
    pub(super) options: BoundaryOptions,
    /// Whether the client takes several calls at a time.
    pub(super) parallel: bool,
    /// Files that were looked for and do not exist.
    pub(super) absent: HashSet<PathBuf>,
    /// Whether the agent's edits go to a view of its own.
    pub(super) view: bool,
    /// Where the agent reads for itself: files that the client does not know.
    pub(super) private: Option<PathBuf>,
    /// Whether native calls are left to the agent.
    pub(super) leaves_native: bool,
    /// Whether the agent makes its edits itself, in its view, and works on after a change.
    pub(super) collects: bool,
}

impl Decider {
    /// For a turn whose client works in `workspace`.
    pub(super) fn new(turn: &Turn, workspace: &Path, options: &BoundaryOptions) -> Self {
        Self {
            catalog: ToolCatalog::new(turn, workspace),
            history: History::new(turn),
            options: options.clone(),
            parallel: turn.parallel_tool_calls,
            absent: HashSet::new(),
            view: true,
            private: None,
            leaves_native: false,
            collects: false,
        }
    }

    /// The file on whose existence it depends what an edit means, or how it is made: its event carries
    /// a text, but not what the text replaces.
    pub(super) fn asks_about(&self, call: &NativeCall) -> Option<PathBuf> {
        let args = call.args.as_ref()?;
        let is_open = native::effect(&call.kind) == Effect::Edit
            && self.has_tools()
            && !self.leaves_native
            && !self.collects
            && edit::TEXTS
                .iter()
                .any(|key| args.get(*key).is_some_and(Value::is_string));
        let path = args.get("path")?.as_str().filter(|path| !path.is_empty())?;
        is_open.then(|| self.catalog.workspace().join(path))
    }

    /// What relative paths mean.
    pub(super) fn workspace(&self) -> &Path {
        self.catalog.workspace()
    }

    /// Whether there is anything to call.
    pub(super) fn has_tools(&self) -> bool {
        !self.catalog.is_empty()
    }

    /// What to do about a native call that carries its arguments.
    pub(super) fn native(&self, call: &NativeCall) -> Decision {
        let effect = native::effect(&call.kind);
        // What a change in the view is, is known when it is made; even if nothing can carry it.
        let otherwise = || match effect {
            Effect::Edit if self.view && !self.leaves_native => Decision::AwaitChange,
            _ => Decision::LeaveToAgent,
        };
        if self.catalog.is_empty() || self.leaves_native || self.is_private(call) {
            return otherwise();
        }
        if self.options.mode == Mode::Legacy {
            let made = self.legacy(call);
            return made.map_or_else(otherwise, |made| Decision::Call(vec![made]));
        }
        if effect == Effect::Edit && self.collects {
            return Decision::AwaitChange;
        }
        if effect == Effect::Read && self.options.native_reads {
            return Decision::LeaveToAgent;
        }
        let Some(mut asked) = native::asked(call) else {
            return Decision::LeaveToAgent;
        };
        let one = |made| vec![made];
        let calls = match call.kind.as_str() {
            "ls" | "piLs" => self.list(&asked).map(one),
            "delete" => self.delete(&asked),
            _ if effect == Effect::Edit => self.edit(&asked),
            kind => {
                if kind == "updateTodos" && asked.args.get("merge") == Some(&Value::Bool(true)) {
                    self.history.merge_todos(&mut asked.args);
                }
                self.catalog.make(&asked).map(one)
            }
        };
        calls.map_or_else(otherwise, Decision::Call)
    }

    fn is_private(&self, call: &NativeCall) -> bool {
        let path = || call.args.as_ref()?.get("path")?.as_str();
        native::effect(&call.kind) == Effect::Read
            && self
                .private
                .as_ref()
                .is_some_and(|dir| path().is_some_and(|path| Path::new(path).starts_with(dir)))
    }

    /// The client's call for one that the model wrote out in its text; `None` if there is no such
    /// tool.
    pub(super) fn text(&self, name: &str, args: &Map<String, Value>) -> Option<ClientCall> {
        if self.options.mode == Mode::Legacy {
            let tool = self.catalog.exact(name)?;
            return Some(untouched(&tool.name, args));
        }
        let written = Intent {
            names: vec![name.to_owned()],
            args: args.clone(),
            native: false,
            aliases: true,
        };
        let lists = || families(&fold(name)).any(|family| family == "list");
        let made = self.catalog.make(&written);
        made.or_else(|| lists().then(|| self.list(&written))?)
    }

    /// The client's call for one of a tool that is served to the agent under the client's own name.
    pub(super) fn served(&self, name: &str, args: &Map<String, Value>) -> ClientCall {
        self.text(name, args)
            .unwrap_or_else(|| untouched(name, args))
    }

    /// The one tool that the answer must call.
    pub(super) fn forced(&self) -> Option<&str> {
        self.catalog.forced()
    }

    /// Whether the client offers a tool under this name, or one that does the same.
    pub(super) fn offers(&self, name: &str) -> bool {
        match self.options.mode {
            Mode::Legacy => self.catalog.exact(name).is_some(),
            Mode::V1 => self.text(name, &Map::new()).is_some(),
        }
    }

    /// The client's calls that make the changes, and the files of those that no call can make.
    pub(super) fn changes(&self, changes: &[FileChange]) -> (Vec<ClientCall>, Vec<String>) {
        // An agent that asks for each call by itself has had the file read.
        let unread = |path: &str| self.collects && !self.history.has_read(path, self.workspace());
        change::calls(&self.catalog, changes, !self.parallel, unread)
    }

    /// Where no tool lists a directory, one reads it, or finds what is in it.
    fn list(&self, list: &Intent) -> Option<ClientCall> {
        let path = list.args.get("path").cloned().unwrap_or(json!("."));
        let reads_directories = self.catalog.of("read").is_some_and(|tool| {
            let words = format!("{} {}", tool.description, tool.schema.root());
            words.contains("directory")
        });
        let read = || self.catalog.call("read", json!({ "path": path }));
        let find = || {
            let args = json!({ "pattern": "*", "path": path });
            self.catalog.call("glob", args)
        };
        let made = self.catalog.make(list);
        made.or_else(|| read().filter(|_| reads_directories))
            .or_else(find)
    }

    fn delete(&self, delete: &Intent) -> Option<Vec<ClientCall>> {
        let change = FileChange {
            path: delete.args.get("path")?.as_str()?.to_owned(),
            before: None,
            after: None,
        };
        let (calls, _) = self.changes(&[change]);
        Some(calls).filter(|calls| !calls.is_empty())
    }

    fn legacy(&self, call: &NativeCall) -> Option<ClientCall> {
        let args = call.args.as_ref()?;
        if call.kind == "mcp" {
            let asked = native::asked(call)?;
            let tool = asked
                .names
                .iter()
                .find_map(|name| self.catalog.exact(name))?;
            return Some(untouched(&tool.name, &asked.args));
        }
        let tool = self.catalog.exact(&call.kind)?;
        Some(untouched(&tool.name, args))
    }
}

fn untouched(name: &str, args: &Map<String, Value>) -> ClientCall {
    ClientCall {
        name: name.to_owned(),
        arguments: args.clone(),
        problems: Vec::new(),
    }
}

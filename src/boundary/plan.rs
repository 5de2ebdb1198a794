//! From one announced call to the client's call: whose tool is it, and is it ready?

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::catalog::{Catalog, Tool};
use super::change::FileChange;
use super::compat::Arguments;
use super::native::{self, Asked, Effect};
use super::{Mode, Options};
use crate::agent::NativeCall;

/// What is to be done about an announced call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    /// The client has no tool for it, or Cursor may do it: it runs on.
    RunOn,
    /// Its exact change is known when it is complete.
    Await,
    /// The client's call, with valid arguments or (`problems`) ones that can't be made valid.
    Call {
        name: String,
        arguments: Map<String, Value>,
        problems: Vec<String>,
    },
}

impl Plan {
    fn call(tool: &Tool, arguments: Arguments) -> Self {
        Self::Call {
            name: tool.name.clone(),
            arguments: arguments.map,
            problems: arguments.problems,
        }
    }
}

/// Decides on calls, by the tools and settings of one turn.
#[derive(Debug)]
pub(super) struct Planner {
    catalog: Catalog,
    workspace: PathBuf,
    mode: Mode,
    native_reads: bool,
    /// Files that are known not to exist.
    absent: HashSet<PathBuf>,
}

impl Planner {
    pub(super) fn new(catalog: Catalog, workspace: &Path, options: &Options) -> Self {
        Self {
            catalog,
            workspace: workspace.to_path_buf(),
            mode: options.mode,
            native_reads: options.native_reads,
            absent: HashSet::new(),
        }
    }

    /// The file on whose existence the meaning of an edit depends: its event carries a text, but
    /// not what the text replaces, so that it is a whole new file or a fragment of an old one.
    pub(super) fn asks_about(&self, call: &NativeCall) -> Option<PathBuf> {
        let args = call.args.as_ref()?;
        let is_open = native::effect(&call.kind) == Effect::Edit
            && !self.catalog.is_empty()
            && args.get("streamContent").is_some_and(Value::is_string)
            && replacement(args).is_none();
        let path = args.get("path")?.as_str().filter(|path| !path.is_empty())?;
        is_open.then(|| self.workspace.join(path))
    }

    /// Notes that a file does not exist.
    pub(super) fn is_absent(&mut self, file: PathBuf) {
        self.absent.insert(file);
    }

    /// What to do about a native call that carries its arguments.
    pub(super) fn native(&self, call: &NativeCall) -> Plan {
        if self.catalog.is_empty() {
            return Plan::RunOn;
        }
        if self.mode == Mode::Legacy {
            return self.legacy(call);
        }
        let effect = native::effect(&call.kind);
        if effect == Effect::Read && self.native_reads {
            return Plan::RunOn;
        }
        let Some(asked) = native::asked(call) else {
            return Plan::RunOn;
        };
        match effect {
            Effect::Edit => self.edit(&asked),
            _ => self.resolve(&asked).unwrap_or(Plan::RunOn),
        }
    }

    /// The client's calls that make a change.
    pub(super) fn change(&self, change: &FileChange) -> Vec<Plan> {
        let Some(after) = &change.after else {
            return Vec::new();
        };
        let asked = Asked {
            names: vec!["write".to_owned()],
            args: Map::from_iter([
                ("path".to_owned(), json!(change.path)),
                ("content".to_owned(), json!(after)),
            ]),
            native: true,
            aliases: true,
        };
        self.resolve(&asked).into_iter().collect()
    }

    fn resolve(&self, asked: &Asked) -> Option<Plan> {
        if let Some((tool, arguments)) = self.catalog.resolve(asked, &self.workspace) {
            return Some(Plan::call(tool, arguments));
        }
        self.substitute(asked)
    }

    /// Another tool that can do the same, where the client lacks the one asked for.
    fn substitute(&self, asked: &Asked) -> Option<Plan> {
        let is_list = matches!(asked.names.as_slice(), [name] if name == "ls" || name == "piLs");
        if !is_list {
            return None;
        }
        let path = asked.args.get("path").cloned().unwrap_or(json!("."));
        let reads_directories = |tool: &Tool| {
            let text = tool.schema.root().to_string() + &tool.description;
            text.contains("directory")
        };
        let (name, args) = match self.catalog.of("read") {
            Some(tool) if reads_directories(tool) => ("read", json!({ "path": path })),
            _ => ("glob", json!({ "pattern": "*", "path": path })),
        };
        let asked = Asked {
            names: vec![name.to_owned()],
            args: args.as_object().cloned().unwrap_or_default(),
            ..asked.clone()
        };
        let (tool, arguments) = self.catalog.resolve(&asked, &self.workspace)?;
        Some(Plan::call(tool, arguments))
    }

    /// Edits need their change. The event of an edit holds only the new fragment, so that a call
    /// is made at once only from the arguments that are exact by themselves: a whole file to
    /// write, or old text with its replacement.
    fn edit(&self, asked: &Asked) -> Plan {
        let offers = ["edit", "multiedit", "write", "apply_patch"]
            .iter()
            .any(|family| self.catalog.of(family).is_some());
        let exact = match asked.names.first().map(String::as_str) {
            Some("edit" | "piEdit") => replacement(&asked.args)
                .map(|args| Asked {
                    args,
                    ..asked.clone()
                })
                .or_else(|| self.creation(asked)),
            _ => Some(asked.clone()),
        };
        match exact.and_then(|asked| self.resolve(&asked)) {
            Some(plan) => plan,
            None if offers => Plan::Await,
            None => Plan::RunOn,
        }
    }

    /// A new file: the fragment is the whole of it.
    fn creation(&self, asked: &Asked) -> Option<Asked> {
        let path = asked.args.get("path")?.as_str()?;
        let content = asked.args.get("streamContent")?.as_str()?;
        let is_new = self.absent.contains(&self.workspace.join(path));
        is_new.then(|| Asked {
            names: vec!["write".to_owned()],
            args: Map::from_iter([
                ("path".to_owned(), json!(path)),
                ("content".to_owned(), json!(content)),
            ]),
            ..asked.clone()
        })
    }

    fn legacy(&self, call: &NativeCall) -> Plan {
        let Some(args) = &call.args else {
            return Plan::RunOn;
        };
        let (names, args) = match native::asked(call) {
            Some(asked) if call.kind == "mcp" => (asked.names, asked.args),
            _ => (vec![call.kind.clone()], args.clone()),
        };
        match names.iter().find_map(|name| self.catalog.exact(name)) {
            Some(tool) => Plan::Call {
                name: tool.name.clone(),
                arguments: args,
                problems: Vec::new(),
            },
            None => Plan::RunOn,
        }
    }
}

/// The arguments of an edit that names its old text: `{path, oldText, newText, replaceAll?}`.
fn replacement(args: &Map<String, Value>) -> Option<Map<String, Value>> {
    let source = match args.get("strReplace") {
        Some(Value::Object(inner)) => inner,
        _ => args,
    };
    let old = source
        .get("oldText")?
        .as_str()
        .filter(|old| !old.is_empty())?;
    let mut exact = Map::new();
    exact.insert("path".to_owned(), args.get("path")?.clone());
    exact.insert("oldText".to_owned(), json!(old));
    exact.insert("newText".to_owned(), source.get("newText")?.clone());
    if source.get("replaceAll") == Some(&Value::Bool(true)) {
        exact.insert("replaceAll".to_owned(), json!(true));
    }
    Some(exact)
}

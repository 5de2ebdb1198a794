//! Cursor's tool calls, in neutral terms.
//!
//! Reads a [`NativeCall`] (SCHEMA 3) and says what is asked for: under which names to look for the
//! client's tool, with which arguments, and whether the call changes anything. Cursor's plumbing
//! (`toolCallId`, `parsingResult`, ...) is left behind. It knows nothing of the client's tools.

use std::time::Duration;

use serde_json::{Map, Value};

use self::Effect::{Act, Edit, Read};
use crate::agent::NativeCall;

/// What a call of this kind does, which decides who may execute it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Looks at the workspace; harmless wherever it runs.
    Read,
    /// Changes files, and tells the exact change only when it is complete.
    Edit,
    /// Does anything else that the client wants to decide on.
    Act,
    /// Cursor's own business; never a call for the client.
    Internal,
}

/// A call that a client's tool may answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Intent {
    /// The names to look for among the client's tools, best first.
    pub names: Vec<String>,
    /// The arguments.
    pub args: Map<String, Value>,
    /// Whether the arguments are Cursor's (true), or the model wrote them for this very tool.
    pub native: bool,
    /// Whether a tool of another name but the same family will do.
    pub aliases: bool,
}

/// Cursor's kinds, and which of their arguments say what is wanted. Kinds that are not here are
/// looked up by their own name, with all their arguments.
const KINDS: &[(&str, Effect, &str)] = &[
    (
        "shell",
        Act,
        "command workingDirectory timeout description isBackground",
    ),
    ("piBash", Act, "command timeout"),
    ("read", Read, "path offset limit"),
    ("piRead", Read, "path offset limit"),
    (
        "grep",
        Read,
        "\
        pattern path glob outputMode contextBefore contextAfter context caseInsensitive \
        type headLimit multiline",
    ),
    ("piGrep", Read, "pattern path glob"),
    ("glob", Read, "globPattern targetDirectory"),
    ("piFind", Read, "pattern path"),
    ("ls", Read, "path ignore"),
    ("piLs", Read, "path"),
    ("semSearch", Read, "query targetDirectories"),
    ("readLints", Read, "paths"),
    ("readTodos", Act, ""),
    ("updateTodos", Act, "todos merge"),
    // `content`: older versions, the whole file.
    (
        "edit",
        Edit,
        "path streamContent strReplace multiStrReplace applyPatch content",
    ),
    ("piEdit", Edit, "path oldText newText edits"),
    ("write", Edit, "path fileText content"),
    ("piWrite", Edit, "path content"),
    ("delete", Edit, "path"),
    ("task", Act, "description prompt subagentType resume"),
    ("webSearch", Act, "searchTerm"),
    ("webFetch", Act, "url"),
    ("fetch", Act, "url"),
    ("askQuestion", Act, "title questions"),
    ("createPlan", Act, "plan name overview"),
    (
        "generateImage",
        Act,
        "description filePath referenceImagePaths",
    ),
];

/// Kinds that belong to Cursor's editor, cloud and bookkeeping.
const INTERNAL: &str = "\
    adopt aiAttribution applyAgentDiff await blameByFilePath communicateUpdate computerUse \
    connectScm createAgent createGoal editPrLabels fetchCloudAgentData getAgentStatus \
    getMcpTools getPrCodeTour listMcpResources mcpAuth prManagement readAgentTranscript \
    readCanvas readMcpResource recordCiInvestigationFindings recordScreen reflect \
    replaceEnv reportBug reportBugfixResults searchConversations sendFinalSummary \
    sendMessage sendToAgent sendToUser setActiveBranch setupVmEnvironment \
    startGrindExecution startGrindPlanning stopAgent switchMode truncated updateGoal \
    updatePrCodeTour writeCanvas writeShellStdin";

/// What a call of this kind does.
pub(super) fn effect(kind: &str) -> Effect {
    if let Some((_, effect, _)) = KINDS.iter().find(|(name, ..)| *name == kind) {
        *effect
    } else if INTERNAL.split_whitespace().any(|name| name == kind) {
        Effect::Internal
    } else {
        Effect::Act
    }
}

/// Whether a completed call of the agent's own changed a file or ran a command.
#[must_use]
pub fn changed_something(call: &NativeCall) -> bool {
    let changes = effect(&call.kind) == Effect::Edit || call.kind == "shell";
    changes
        && call
            .outcome
            .as_ref()
            .is_some_and(|outcome| outcome.is_success())
}

/// The call in neutral terms; `None` for calls without arguments and for Cursor's own business.
pub(super) fn asked(call: &NativeCall) -> Option<Intent> {
    let args = call.args.as_ref()?;
    if call.kind == "mcp" {
        return mcp(args);
    }
    if effect(&call.kind) == Effect::Internal {
        return None;
    }
    let wanted = KINDS.iter().find(|(name, ..)| *name == call.kind);
    let args = match wanted {
        Some((_, _, keys)) => keys
            .split_whitespace()
            .filter_map(|key| Some((key.to_owned(), args.get(key)?.clone())))
            .filter(|(_, value)| !is_unset(value))
            .collect(),
        None => args
            .iter()
            .filter(|(key, _)| *key != "toolCallId")
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    };
    Some(Intent {
        names: vec![call.kind.clone()],
        args,
        native: wanted.is_some(),
        aliases: true,
    })
}

/// The file that a call changes, where its arguments name it.
pub(super) fn edited_file(call: &NativeCall) -> Option<&str> {
    let path = call.args.as_ref()?.get("path")?.as_str()?;
    (effect(&call.kind) == Effect::Edit).then_some(path)
}

/// How long the agent lets a call take (SCHEMA 3: milliseconds).
pub(super) fn timeout(call: &NativeCall) -> Option<Duration> {
    let args = call.args.as_ref()?;
    ["timeout", "blockUntilMs"]
        .iter()
        .find_map(|key| args.get(*key)?.as_u64())
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
}

/// An MCP call: the client knows the tool by its own name, or by one made of server and tool.
fn mcp(args: &Map<String, Value>) -> Option<Intent> {
    let text = |key: &str| {
        args.get(key)
            .and_then(Value::as_str)
            .filter(|s| !s.is_empty())
    };
    let mut names = Vec::new();
    if let (Some(server), Some(tool)) = (
        text("providerIdentifier").or_else(|| text("serverIdentifier")),
        text("toolName"),
    ) {
        names.extend([
            format!("{server}_{tool}"),
            format!("mcp__{server}__{tool}"),
            tool.to_owned(),
        ]);
    }
    names.extend(text("name").map(str::to_owned));
    let args = match args.get("args") {
        Some(Value::Object(inner)) => inner.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).ok()?,
        _ => Map::new(),
    };
    (!names.is_empty()).then_some(Intent {
        names,
        args,
        native: false,
        aliases: false,
    })
}

/// Protobuf's ways of leaving a field out: null, an empty text or an empty list.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

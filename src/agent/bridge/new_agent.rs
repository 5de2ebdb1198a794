//! What the bridge is asked to make for one run: an agent of its own, and the message to it.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{decode::CUSTOM_TOOLS, models::Selection, server::BridgeProcess};
use crate::{
    agent::{RunRequest, ServedTools, uuid},
    mcp::{ToolNames, image_type},
};

/// Cursor leaves out a tool whose server and tool name are longer than this together (parked.md 4.2).
const LONGEST_PAIR: usize = 60;

/// An agent that is to be made.
pub(super) struct NewAgent {
    pub id: String,
    pub workspace: PathBuf,
    /// What the agent calls the client's tools.
    pub names: ToolNames,
}

impl NewAgent {
    pub fn new(request: &RunRequest, server: &BridgeProcess) -> Self {
        let workspace = request.workspace.clone();
        let longest = LONGEST_PAIR - CUSTOM_TOOLS.len() - 1;
        Self {
            id: uuid(),
            workspace: workspace.unwrap_or_else(|| server.workspace.clone()),
            names: ToolNames::new(&request.tools, longest),
        }
    }

    /// How the agent finds the client's tools, if there are any.
    pub fn served(&self) -> Option<ServedTools> {
        let names = self.names.pairs();
        (!names.is_empty()).then(|| ServedTools {
            server: CUSTOM_TOOLS.to_owned(),
            names: names.to_vec(),
            native_reads: false,
        })
    }

    /// A `CreateAgentRequest`: no settings of the user's or the project's, and no tool of Cursor's
    /// own.
    pub fn options(&self, request: &RunRequest, key: &str, model: &Selection) -> Value {
        let tools = request.tools.iter().zip(self.names.pairs());
        let tools = tools.map(|(tool, (_, name))| {
            let definition = json!({"description": tool.description, "inputSchema": &*tool.schema});
            (name.clone(), definition)
        });
        let offered: &[&str] = if request.tools.is_empty() {
            &[]
        } else {
            &["mcp"]
        };
        json!({"options": {
            "agentId": self.id,
            "apiKey": key,
            "model": model,
            "local": {
                "cwd": [self.workspace],
                "customTools": tools.collect::<Map<_, _>>(),
            },
            "tools": {"names": offered},
            // Sub-agents would get the custom tools too, and Cursor's own.
            "disallowedTools": ["task"],
        }})
    }

    /// A `SendRequest`. Text files are in the prompt: the agent has nothing to read files with.
    pub fn message(&self, prompt: &str, request: &RunRequest) -> Value {
        let images = request.files.iter().filter_map(|(extension, bytes)| {
            let mime = image_type(extension)?;
            Some(json!({"data": {"data": STANDARD.encode(bytes), "mimeType": mime}}))
        });
        json!({
            "agentId": self.id,
            "message": {"text": prompt, "images": images.collect::<Vec<_>>()},
            "options": {"enableDeltas": true},
        })
    }
}

//! What the bridge is asked to make for one run: an agent of its own, and the message to it.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{decode::CUSTOM_TOOLS, models::Selection, server::BridgeProcess};
use crate::{
    agent::{AgentError, RunRequest, ServedTools},
    mcp::ToolNames,
};

/// Cursor leaves out a tool whose server and tool name are longer than this together (parked.md 4.2).
const LONGEST_PAIR: usize = 60;

/// An agent that is to be made.
pub(super) struct NewAgent {
    pub id: String,
    pub workspace: PathBuf,
    names: ToolNames,
}

impl NewAgent {
    pub fn new(request: &RunRequest, server: &BridgeProcess) -> Result<Self, AgentError> {
        let id = agent_id().map_err(|error| AgentError::Failed {
            message: format!("no random numbers: {error}"),
        })?;
        let workspace = request.workspace.clone();
        let longest = LONGEST_PAIR - CUSTOM_TOOLS.len() - 1;
        Ok(Self {
            id,
            workspace: workspace.unwrap_or_else(|| server.workspace.clone()),
            names: ToolNames::new(&request.tools, longest),
        })
    }

    /// What the agent calls the client's tools.
    pub fn names(&self) -> &ToolNames {
        &self.names
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
            let mime = match *extension {
                "png" => "image/png",
                "jpg" => "image/jpeg",
                "gif" => "image/gif",
                "webp" => "image/webp",
                _ => return None,
            };
            Some(json!({"data": {"data": STANDARD.encode(bytes), "mimeType": mime}}))
        });
        json!({
            "agentId": self.id,
            "message": {"text": prompt, "images": images.collect::<Vec<_>>()},
            "options": {"enableDeltas": true},
        })
    }
}

/// 128 random bits in the form of a UUID.
fn agent_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    Ok(format!("{a}-{b}-{c}-{d}-{e}"))
}

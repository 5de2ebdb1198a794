//! The tools of one run, offered to its agent.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    calls::{CallKey, Event, RunCalls},
    content,
    endpoint::Endpoint,
    tools::Tools,
};
use crate::turn::{Attachment, ToolResult, ToolSpec};

/// The server's name in the agent's configuration. Short, since it counts into the names of tools.
const SERVER: &str = "oc";

/// What the requests of one agent need.
pub(super) struct OfferSession {
    /// 256 random bits.
    pub(super) bearer: String,
    pub(super) tools: Tools,
    pub(super) calls: Arc<RunCalls>,
}

impl OfferSession {
    pub(super) fn new(secret: [u8; 32], tools: &[ToolSpec]) -> Self {
        Self {
            bearer: URL_SAFE_NO_PAD.encode(secret),
            tools: Tools::new(tools),
            calls: Arc::default(),
        }
    }
}

/// The tools of one run. Dropping it answers all held calls with an error; later requests find
/// nothing.
pub struct Offer {
    pub(super) endpoint: Endpoint,
    pub(super) session: Arc<OfferSession>,
}

impl Offer {
    /// The server's name in [`Offer::config`].
    #[must_use]
    pub fn server_name(&self) -> &'static str {
        SERVER
    }

    /// The content of an `mcp.json` for this run's agent. Holds the bearer: for its owner's eyes
    /// only.
    #[must_use]
    pub fn config(&self) -> Value {
        let authorization = format!("Bearer {}", self.session.bearer);
        json!({"mcpServers": {SERVER: {
            "url": self.endpoint.url(),
            "headers": {"Authorization": authorization},
        }}})
    }

    /// For each tool the client's name and the name that the agent sees.
    pub fn names(&self) -> &[(String, String)] {
        self.session.tools.names().pairs()
    }

    /// The next thing that the agent does; `None` once the endpoint is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.session.calls.next().await
    }

    /// Answers a call with the client's result and the files that came with it.
    ///
    /// Returns whether a request of the agent waited for it. If none does because the call was
    /// answered with "still running", the result is kept for `await_result`, once.
    pub fn reply(&self, key: CallKey, result: &ToolResult, files: &[Attachment]) -> bool {
        let result = content::of_result(result, files);
        self.session.calls.reply(key, result)
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.endpoint.withdraw(&self.session);
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offer")
    }
}

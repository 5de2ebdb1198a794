//! The error for a path that is not served.

use std::sync::Arc;

use crate::{
    dialect::{Dialect, unversioned},
    turn::{ErrorKind, TurnError},
};

/// Parts of OpenAI's and Anthropic's APIs for which Cursor's CLI has nothing, by the beginning of
/// their paths.
const KNOWN: &[(&str, &str)] = &[
    ("/assistants", "stored assistants"),
    ("/audio", "speech"),
    ("/batches", "batches"),
    ("/chat/completions/", "stored completions"),
    ("/complete", "completions in Anthropic's old form"),
    ("/containers", "containers"),
    ("/conversations", "stored conversations"),
    ("/embeddings", "embeddings"),
    ("/evals", "evaluations"),
    ("/files", "stored files"),
    ("/fine_tuning", "fine-tuning"),
    ("/images", "images"),
    ("/messages/batches", "batches"),
    ("/moderations", "moderation"),
    ("/realtime", "realtime sessions"),
    ("/responses/", "looking up or changing stored responses"),
    ("/skills", "stored skills"),
    ("/threads", "stored threads"),
    ("/uploads", "stored files"),
    ("/vector_stores", "vector stores"),
    ("/videos", "videos"),
];

/// The error; it explains the parts of other APIs that can't be served.
pub fn error(path: &str, dialects: &[Arc<dyn Dialect>]) -> TurnError {
    let inner = unversioned(path);
    let lacking = KNOWN
        .iter()
        .find(|(beginning, _)| begins_with(inner, beginning))
        .map_or_else(String::new, |(_, what)| {
            format!(
                ": open-cursor answers by running Cursor's agent, which has nothing to offer for {what}"
            )
        });
    let served: Vec<&str> = dialects.iter().map(|dialect| dialect.path()).collect();
    TurnError::new(
        ErrorKind::NotFound,
        format!(
            "unknown path {path}{lacking}; available: {}, /v1/models, /v1/parameters, /health",
            served.join(", ")
        ),
    )
}

/// `/complete` matches the whole segment; `/responses/` matches paths below it.
fn begins_with(path: &str, beginning: &str) -> bool {
    path.strip_prefix(beginning).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('/') || (beginning.ends_with('/') && !rest.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(path: &str) -> TurnError {
        super::error(path, &crate::dialect::all(0))
    }

    #[test]
    fn what_is_known_is_explained() {
        for (path, said) in [
            ("/v1/embeddings", "embeddings"),
            ("/images/generations", "images"),
            ("/v1/responses/resp_1", "stored responses"),
            ("/v1/complete", "old form"),
        ] {
            let message = error(path).message;
            assert!(
                message.contains(said) && message.contains("/v1/messages"),
                "{message}"
            );
        }
        for path in ["/v1/nothing", "/", "/v1/embeddingss", "/v1/completed"] {
            assert!(!error(path).message.contains("nothing to offer"), "{path}");
        }
    }
}

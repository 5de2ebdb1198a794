//! Models in the shape of Google's `Model`.

use serde_json::{Value, json};

use crate::models::{Entry, Listing};

/// All models on one page.
pub fn list(listing: &Listing) -> Value {
    let models: Vec<Value> = listing.entries().map(|entry| one(&entry)).collect();
    json!({ "models": models })
}

/// One model.
pub fn one(model: &Entry) -> Value {
    let mut object = json!({
        "name": format!("models/{}", model.id),
        "displayName": model.name,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    });
    if let Some(limit) = model.context_length {
        object["inputTokenLimit"] = limit.into();
    }
    if let Some(limit) = model.max_output_tokens {
        object["outputTokenLimit"] = limit.into();
    }
    object
}

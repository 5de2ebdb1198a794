//! Models in the shape of Anthropic's `ModelInfo`.

use serde_json::{Value, json};

use crate::models::{Entry, Listing};

/// All models on one page.
pub fn list(listing: &Listing) -> Value {
    let models: Vec<Entry> = listing.entries().collect();
    json!({
        "data": models.iter().map(one).collect::<Vec<_>>(),
        "first_id": models.first().map(|model| &model.id),
        "last_id": models.last().map(|model| &model.id),
        "has_more": false,
    })
}

/// One model. Cursor publishes no dates, and the types demand one.
pub fn one(model: &Entry) -> Value {
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": model.context_length,
        "max_tokens": model.max_output_tokens,
        "lifecycle": "active",
        "deprecated_at": null,
        "retires_at": null,
        "line": null,
        "capabilities": null,
    })
}

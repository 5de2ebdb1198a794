//! What we add to every format: the member `x_cursor`, beside those that clients know.

use serde_json::{Value, json};

use crate::turn::Usage;

/// Adds what a client should know of an answer and no format has a place for: that the usage is an
/// estimate (`usage_estimated`), and the files whose change reached no tool call (`lost_changes`).
pub fn note(object: &mut Value, usage: Option<&Usage>, lost_changes: &[String]) {
    if usage.is_some_and(|usage| usage.estimated) {
        object["x_cursor"]["usage_estimated"] = true.into();
    }
    if !lost_changes.is_empty() {
        object["x_cursor"]["lost_changes"] = json!(lost_changes);
    }
}

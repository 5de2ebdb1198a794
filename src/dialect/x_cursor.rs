//! What we add to every format: `x_cursor`, beside the fields that clients know.

use serde_json::{Value, json};

use crate::turn::Usage;

/// Says beside the usage that it is an estimate, if it is.
pub fn mark_estimate(object: &mut Value, usage: &Usage) {
    if usage.estimated {
        object["x_cursor"] = json!({"usage_estimated": true});
    }
}

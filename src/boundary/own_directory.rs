//! The agent's own directory, where the client's is not known: the client must not be sent there.

use serde_json::Value;

use super::catalog::ClientCall;

/// Makes the call one about the client's working directory, wherever that is. Models name files, also
/// in commands, by the directory that Cursor tells them.
pub(super) fn leave(call: &mut ClientCall, own: &str) {
    call.arguments
        .values_mut()
        .for_each(|value| relocate(value, own));
}

/// The same path in the client's working directory.
pub(super) fn relative(path: &str, own: &str) -> String {
    path.replace(own, ".")
}

fn relocate(value: &mut Value, own: &str) {
    match value {
        Value::String(text) if text.contains(own) => *text = relative(text, own),
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, own)),
        Value::Object(map) => map.values_mut().for_each(|item| relocate(item, own)),
        _ => {}
    }
}

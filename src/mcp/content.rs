//! What a tool answered, as the result of `tools/call`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::turn::{Attachment, ToolResult};

/// The client's result, with the files that came with it: `{content, isError}`.
#[must_use]
pub fn of_result(result: &ToolResult, files: &[Attachment]) -> Value {
    let mut content = Vec::new();
    if !result.content.is_empty() || files.is_empty() {
        content.push(text(&result.content));
    }
    content.extend(files.iter().map(of_file));
    json!({"content": content, "isError": result.is_error})
}

/// An error that the model can read and act on.
pub(super) fn error(message: &str) -> Value {
    json!({"content": [text(message)], "isError": true})
}

/// The answer of a call whose tool is still running.
pub(super) fn still_running(id: &str, await_result: &str) -> Value {
    let status = json!({
        "status": "still running",
        "id": id,
        "next_step": format!(
            "Call the tool `{await_result}` with {{\"id\": \"{id}\"}} to wait for the result. \
             Do not start the same work again."
        ),
    });
    json!({"content": [text(&status.to_string())], "isError": false})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn of_file(file: &Attachment) -> Value {
    match image_type(file.extension) {
        Some(mime) => {
            json!({"type": "image", "data": STANDARD.encode(&file.bytes), "mimeType": mime})
        }
        None => text(&String::from_utf8_lossy(&file.bytes)),
    }
}

/// The media type of an image whose name ends so.
#[must_use]
pub fn image_type(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "png" => "image/png",
        "jpg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        _ => return None,
    })
}

//! What a server answers, as texts and pictures within our bounds.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    hands::{local::Clip, protocol::picture_kind},
    turn::Attachment,
};

/// The most pictures of one answer.
const PICTURES: usize = 8;

/// The largest picture.
const LARGEST: usize = 4 << 20;

/// The text of an answer, its pictures, and whether it is an error.
pub(super) fn read(result: &Value) -> (String, Vec<Attachment>, bool) {
    let mut text = Clip::default();
    let mut pictures = Vec::new();
    let mut any = false;
    for part in result["content"].as_array().into_iter().flatten() {
        let words = match part["type"].as_str().unwrap_or_default() {
            "text" => part["text"].as_str().unwrap_or_default().to_owned(),
            "image" => match picture(part).filter(|_| pictures.len() < PICTURES) {
                Some(picture) => {
                    pictures.push(picture);
                    continue;
                }
                None => {
                    "[a picture is left out: its form is unknown, or it is too large]".to_owned()
                }
            },
            "resource" => match part["resource"]["text"].as_str() {
                Some(text) => text.to_owned(),
                None => format!(
                    "[{}: no text]",
                    part["resource"]["uri"].as_str().unwrap_or("?")
                ),
            },
            "resource_link" => format!("[{}]", part["uri"].as_str().unwrap_or("?")),
            other => format!("[a part of the type {other:?} is left out]"),
        };
        if any {
            text.push(b"\n");
        }
        any = true;
        text.push(words.as_bytes());
    }
    let structured = result
        .get("structuredContent")
        .filter(|value| !value.is_null());
    if let Some(structured) = structured.filter(|_| !any && pictures.is_empty()) {
        text.push(structured.to_string().as_bytes());
    }
    (text.text(), pictures, result["isError"] == true)
}

fn picture(part: &Value) -> Option<Attachment> {
    let extension = picture_kind(part["mimeType"].as_str()?.strip_prefix("image/")?)?;
    let bytes = STANDARD.decode(part["data"].as_str()?).ok()?;
    (bytes.len() <= LARGEST).then(|| Attachment {
        extension,
        bytes: bytes.into(),
        file: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_pictures_and_the_rest() {
        let (text, pictures, is_error) = read(&json!({"isError": true, "content": [
            {"type": "text", "text": "one"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "image", "data": "AAAA", "mimeType": "image/tiff"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "two"}},
            {"type": "resource", "resource": {"uri": "file:///b", "blob": "AA"}},
            {"type": "audio", "data": "AAAA"},
            {"lies": 1},
        ]}));
        assert!(is_error);
        assert_eq!(pictures.len(), 1);
        assert_eq!((pictures[0].extension, pictures[0].bytes.len()), ("png", 3));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "one");
        assert!(lines[1].contains("a picture is left out"));
        assert_eq!(lines[2..4], ["two", "[file:///b: no text]"]);
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn a_structure_stands_for_a_missing_text() {
        let (text, _, is_error) = read(&json!({"structuredContent": {"a": 1}}));
        assert_eq!((text.as_str(), is_error), (r#"{"a":1}"#, false));
        assert_eq!(read(&json!({"content": "no list"})).0, "");
    }

    #[test]
    fn a_flood_is_cut() {
        let long = "line\n".repeat(1_000_000);
        let (text, ..) = read(&json!({"content": [{"type": "text", "text": long}]}));
        assert!(text.len() < 210_000 && text.contains("left out here"));
    }
}

//! Images and text files in message content, in every form that clients send them.
//!
//! What a client declares is not believed: an image is what its first bytes say.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::field::Field;
use crate::turn::{Attachment, TurnError};

/// The largest one, in bytes.
const LARGEST: usize = 20 << 20;

/// Padding or not: both are sent.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Reads the part if it is an attachment, `None` if it is something else.
///
/// | form | |
/// |---|---|
/// | OpenAI chat | `{"type": "image_url", "image_url": {"url": "data:…"}}`, `{"type": "file", "file": {"file_data": "data:…"}}` |
/// | OpenAI Responses | `{"type": "input_image", "image_url": "data:…"}`, `{"type": "input_file", "file_data": "data:…"}` |
/// | Claude | `{"type": "image" \| "document", "source": {"type": "base64", "data": …}}` |
/// | Gemini | `{"inlineData": {"mimeType", "data": …}}` |
/// | MCP, AI SDK | `{"type": "image", "data" \| "image": …}` |
///
/// # Errors
/// A remote address, a broken encoding, a type or a size that can't be passed on.
pub fn read(item: &Field<'_>) -> Result<Option<Attachment>, TurnError> {
    if let Some(inline) = item.get_any(&["inlineData", "inline_data"]) {
        return decode(&inline.require("data")?).map(Some);
    }
    if let Some(file) = item.get_any(&["fileData", "file_data"])
        && let Some(uri) = file.get_any(&["fileUri", "file_uri"])
    {
        return Err(remote(&uri));
    }
    let place = match item.opt_str("type")? {
        Some("image_url" | "input_image") => {
            let url = item.member("image_url").get("url");
            url.map_or_else(|| content(item, &["image_url"]), Ok)?
        }
        Some("file" | "input_file") => {
            let file = item.get("file").unwrap_or(*item);
            content(&file, &["file_data", "data", "file_url"])?
        }
        Some("image" | "document") => match item.get("source") {
            // The text is in the request itself.
            Some(source) if matches!(source.opt_str("type")?, Some("text" | "content")) => {
                return Ok(None);
            }
            Some(source) => content(&source, &["data", "url"])?,
            None => item
                .get_any(&["data", "image", "url"])
                .map_or_else(|| item.require("source"), Ok)?,
        },
        _ => return Ok(None),
    };
    decode(&place).map(Some)
}

/// The first of `keys`; what has a `file_id` in their place is with the vendor.
fn content<'a>(holder: &Field<'a>, keys: &[&str]) -> Result<Field<'a>, TurnError> {
    match (holder.get_any(keys), holder.get("file_id")) {
        (None, Some(id)) => Err(remote(&id)),
        _ => holder.require_any(keys),
    }
}

/// Reads a data URL or bare base64.
fn decode(place: &Field<'_>) -> Result<Attachment, TurnError> {
    let text = place.str()?.trim();
    let encoded = match text.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("data") => {
            let (head, data) = rest.split_once(',').unwrap_or((rest, ""));
            if !head.to_ascii_lowercase().ends_with(";base64") {
                return Err(place.fail("must be encoded in base64"));
            }
            data
        }
        Some(_) => return Err(remote(place)),
        None => text,
    };
    if encoded.len() / 4 * 3 > LARGEST {
        return Err(place.fail(format_args!("is larger than {} MiB", LARGEST >> 20)));
    }
    let bytes = bytes_of(encoded).ok_or_else(|| place.fail("is not valid base64"))?;
    let extension = kind(&bytes).ok_or_else(|| {
        place.fail(
            "is neither a PNG, JPEG, GIF or WebP image nor a text in UTF-8; send one of those",
        )
    })?;
    Ok(Attachment {
        extension,
        bytes: bytes.into(),
        file: None,
    })
}

fn remote(place: &Field<'_>) -> TurnError {
    place.fail(
        "is not in the request, and open-cursor fetches nothing; \
         send the content itself as a data: URL in base64",
    )
}

/// Both alphabets, with or without padding and line breaks.
fn bytes_of(encoded: &str) -> Option<Vec<u8>> {
    let has_breaks = encoded.bytes().any(|byte| byte.is_ascii_whitespace());
    let joined: String;
    let encoded = if has_breaks {
        joined = encoded.split_ascii_whitespace().collect();
        &joined
    } else {
        encoded
    };
    let alphabet = match encoded.bytes().any(|byte| matches!(byte, b'-' | b'_')) {
        true => &alphabet::URL_SAFE,
        false => &alphabet::STANDARD,
    };
    GeneralPurpose::new(alphabet, LENIENT).decode(encoded).ok()
}

/// The extension of the file that these bytes make.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], Option<&str>); 5] = [
        (b"\x89PNG\r\n\x1a\n", Some("png")),
        (b"\xff\xd8\xff", Some("jpg")),
        (b"GIF87a", Some("gif")),
        (b"GIF89a", Some("gif")),
        (b"%PDF-", None),
    ];
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(it, _)| bytes.starts_with(it)) {
        return *kind;
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP".as_slice()) {
        return Some("webp");
    }
    let is_text = !bytes.is_empty() && !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok();
    is_text.then_some("txt")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A PNG's beginning, then bytes that the two alphabets write differently.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\xff\xef\xbe";
    const DATA: &str = "iVBORw0KGgr/774=";

    fn attachment(item: &Value) -> Result<Option<Attachment>, TurnError> {
        read(&Field::root(&item.into()))
    }

    #[test]
    fn every_form_is_the_same_file() {
        let url = format!("data:image/png;base64,{DATA}");
        for item in [
            json!({"type": "image_url", "image_url": {"url": url, "detail": "high"}}),
            json!({"type": "image_url", "image_url": url}),
            json!({"type": "input_image", "image_url": url}),
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}),
            json!({"type": "document", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}),
            json!({"inlineData": {"mimeType": "image/png", "data": DATA}}),
            json!({"inline_data": {"mime_type": "image/png", "data": DATA}}),
            json!({"type": "image", "data": DATA, "mimeType": "image/png"}),
            json!({"type": "image", "image": url}),
            json!({"type": "file", "file": {"filename": "a.png", "file_data": url}}),
            json!({"type": "input_file", "filename": "a.png", "file_data": url}),
            json!({"type": "image_url", "image_url": "DATA:;BASE64,iVBORw0K\nGgr_774"}),
            json!({"type": "image_url", "image_url": "data:image/jpeg;name=a.jpg;base64,iVBORw0KGgr/774"}),
        ] {
            let found = attachment(&item).unwrap().unwrap();
            assert_eq!((found.extension, &found.bytes[..]), ("png", PNG), "{item}");
        }
        assert_eq!(attachment(&json!({"type": "text"})).unwrap(), None);
        assert_eq!(attachment(&json!({"text": "a"})).unwrap(), None);
    }

    #[test]
    fn kinds_by_their_first_bytes() {
        for (bytes, extension) in [
            (&b"\xff\xd8\xff\xe0"[..], Some("jpg")),
            (b"GIF89a", Some("gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("webp")),
            ("plain t\u{e4}xt".as_bytes(), Some("txt")),
            (b"<svg/>", Some("txt")),
            (b"%PDF-1.7", None),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"\xff\xfb", None),
            (b"\0", None),
            (b"", None),
        ] {
            assert_eq!(kind(bytes), extension, "{bytes:?}");
        }
    }

    #[test]
    fn what_can_not_be_passed_on_is_refused_with_the_reason() {
        let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
        for (item, path, reason) in [
            (
                image("https://host.example/a.png"),
                "image_url.url",
                "fetches nothing",
            ),
            (
                image("file:///etc/passwd"),
                "image_url.url",
                "fetches nothing",
            ),
            (
                image("data:image/svg+xml,<svg/>"),
                "image_url.url",
                "base64",
            ),
            (
                image("data:image/png;base64,!!"),
                "image_url.url",
                "not valid base64",
            ),
            (
                image("data:image/png;base64,"),
                "image_url.url",
                "neither a PNG",
            ),
            (
                image("data:application/pdf;base64,JVBERi0xLjc="),
                "image_url.url",
                "neither a PNG",
            ),
            (
                image(&"A".repeat(28 << 20)),
                "image_url.url",
                "larger than 20 MiB",
            ),
            (json!({"type": "image_url"}), "image_url", "required"),
            (
                json!({"type": "image_url", "image_url": 5}),
                "image_url",
                "must be a string",
            ),
            (
                json!({"type": "input_image", "file_id": "file-1"}),
                "file_id",
                "fetches nothing",
            ),
            (
                json!({"type": "image", "source": {"type": "url", "url": "https://a"}}),
                "source.url",
                "fetches nothing",
            ),
            (
                json!({"type": "image", "source": {"type": "file", "file_id": "f"}}),
                "source.file_id",
                "fetches nothing",
            ),
            (
                json!({"fileData": {"fileUri": "gs://a/b"}}),
                "fileData.fileUri",
                "fetches nothing",
            ),
            (json!({"inlineData": {}}), "inlineData.data", "required"),
        ] {
            let error = attachment(&item).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(path));
            assert!(error.message.contains(reason), "{}", error.message);
            assert!(error.message.len() < 300);
        }
    }
}

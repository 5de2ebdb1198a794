//! A configuration for one process of OpenCode, in its environment (`OPENCODE_CONFIG_CONTENT`).
//!
//! OpenCode merges it over its files (seen in opencode-ai 1.18.33), so it holds the provider and, as
//! there may be no other, a model to begin with.

use std::path::Path;

use serde_json::{Value, json};

use super::desired::DesiredProvider;
use super::document::Document;
use super::error::ConfigError;
use super::locate::{Places, locate};
use crate::file;

/// What goes into an inline configuration.
#[derive(Debug, Clone, Copy)]
pub struct Inline<'a> {
    /// The provider.
    pub wish: &'a DesiredProvider,
    /// Its API key.
    pub key: &'a str,
    /// The model to begin with, without the provider; `None` leaves one of ours that the user has
    /// configured, and is `auto` otherwise.
    pub model: Option<&'a str>,
    /// The inline configuration that is there already. It wins, except for where the server is.
    pub theirs: Option<&'a str>,
    /// Where the user's file is.
    pub places: &'a Places,
}

/// The inline configuration.
///
/// # Errors
/// When the one that is there already cannot be read.
pub fn inline(inline: &Inline<'_>) -> Result<String, ConfigError> {
    let provider = &inline.wish.provider;
    let theirs = match inline.theirs {
        Some(text) => Document::parse(Path::new("OPENCODE_CONFIG_CONTENT"), text)?.value(),
        None => json!({}),
    };
    let mut config = json!({"provider": {provider: inline.wish.tree}});
    let ours = format!("{provider}/");
    let chosen = |config: &Value| {
        config["model"]
            .as_str()
            .is_some_and(|m| m.starts_with(&ours))
    };
    if inline.model.is_some() || !on_disk(inline.places, provider).is_some_and(|c| chosen(&c)) {
        let model = inline.model.unwrap_or(crate::models::AUTO);
        config["model"] = format!("{ours}{model}").into();
    }
    merge(&mut config, theirs);
    if let Some(model) = inline.model {
        config["model"] = format!("{ours}{model}").into();
    }
    let options = &mut config["provider"][provider]["options"];
    if !options.is_object() {
        *options = json!({});
    }
    options["baseURL"] = inline.wish.tree["options"]["baseURL"].clone();
    options["apiKey"] = inline.key.into();
    Ok(config.to_string())
}

/// The user's file; one that cannot be read is for OpenCode to complain about.
fn on_disk(places: &Places, provider: &str) -> Option<Value> {
    let file = locate(places, provider)?;
    let text = file::read_text(&file).ok()?;
    Some(Document::parse(&file, &text).ok()?.value())
}

/// Lays `over` upon `under`, objects key by key.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::models::{Listing, parse};
    use crate::opencode::{Layout, Options, PROVIDER};

    fn made(model: Option<&str>, theirs: Option<&str>, file: &str) -> Value {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join(".config/opencode");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("opencode.json"), file).unwrap();
        let listed = parse("Available models\n\nauto - Auto (default)\n").unwrap();
        let options = Options {
            provider: PROVIDER.to_owned(),
            base_url: "http://127.0.0.1:5/v1".to_owned(),
            shape: Layout::Compact,
        };
        let content = inline(&Inline {
            wish: &DesiredProvider::new(&Listing::live(&listed), &options),
            key: "k",
            model,
            theirs,
            places: &Places {
                home: Some(home.path().to_owned()),
                ..Places::default()
            },
        });
        serde_json::from_str(&content.unwrap()).unwrap()
    }

    #[test]
    fn the_model_to_begin_with() {
        let ours = r#"{"model": "cursor-acp/gpt-5.5", /* mine */}"#;
        // (asked for, inline already, in the file, chosen)
        for (asked, theirs, file, chosen) in [
            (None, None, "", json!("cursor-acp/auto")),
            (
                None,
                None,
                r#"{"model": "other/model"}"#,
                json!("cursor-acp/auto"),
            ),
            (None, None, ours, Value::Null),
            (None, None, "{broken", json!("cursor-acp/auto")),
            (None, Some(r#"{"model": "a/b"}"#), "", json!("a/b")),
            (
                Some("x"),
                Some(r#"{"model": "a/b"}"#),
                ours,
                json!("cursor-acp/x"),
            ),
        ] {
            let config = made(asked, theirs, file);
            assert_eq!(config["model"], chosen, "{asked:?} {theirs:?} {file}");
        }
    }

    #[test]
    fn what_is_there_wins_except_for_the_place_of_the_server() {
        let theirs = r#"{
            // a comment
            "provider": {"cursor-acp": {
                "name": "Mine", "options": {"baseURL": "http://elsewhere", "timeout": 5},
            }, "other": {"name": "Other"}},
            "autoupdate": false,
        }"#;
        let config = made(None, Some(theirs), "");
        let provider = &config["provider"]["cursor-acp"];
        assert_eq!(provider["name"], "Mine");
        assert_eq!(
            provider["options"],
            json!({"baseURL": "http://127.0.0.1:5/v1", "timeout": 5, "apiKey": "k"})
        );
        assert_eq!(provider["models"]["auto"]["tool_call"], true);
        assert_eq!(config["provider"]["other"]["name"], "Other");
        assert_eq!(config["autoupdate"], false);
    }

    #[test]
    fn a_broken_one_is_told_with_its_place() {
        let listed = parse("Available models\n\nauto - Auto\n").unwrap();
        let options = Options {
            provider: PROVIDER.to_owned(),
            base_url: String::new(),
            shape: Layout::Plain,
        };
        let error = inline(&Inline {
            wish: &DesiredProvider::new(&Listing::live(&listed), &options),
            key: "k",
            model: None,
            theirs: Some("{\"a\": ]}"),
            places: &Places::default(),
        });
        let message = error.unwrap_err().to_string();
        assert!(
            message.starts_with("OPENCODE_CONFIG_CONTENT:1:7:"),
            "{message}"
        );
    }
}

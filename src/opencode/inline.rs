//! A configuration for one process of OpenCode, in its environment (`OPENCODE_CONFIG_CONTENT`).
//!
//! OpenCode merges it over its files (seen in opencode-ai 1.18.33), so it holds the provider and a
//! first model, since the files may name none.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    desired::DesiredProvider,
    document::Document,
    error::ConfigError,
    locate::{OpencodePlaces, locate},
};
use crate::file;

/// The content of an inline configuration.
#[derive(Debug, Clone, Copy)]
pub struct Inline<'a> {
    /// The provider.
    pub desired: &'a DesiredProvider,
    /// Its API key.
    pub key: &'a str,
    /// The first model, without the provider; `None` keeps one of ours that the user has configured,
    /// and is `auto` otherwise.
    pub model: Option<&'a str>,
    /// The user's own inline configuration. It wins, except for the server's URL.
    pub theirs: Option<&'a str>,
    /// Where the user's file may be.
    pub places: &'a OpencodePlaces,
}

/// The inline configuration.
///
/// # Errors
/// When the user's own cannot be parsed.
pub fn inline(inline: &Inline<'_>) -> Result<String, ConfigError> {
    let provider = &inline.desired.provider;
    let theirs = match inline.theirs {
        Some(text) => Document::parse(Path::new("OPENCODE_CONFIG_CONTENT"), text)?.value(),
        None => json!({}),
    };
    let mut config = json!({"provider": {provider: inline.desired.tree}});
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
    options["baseURL"] = inline.desired.tree["options"]["baseURL"].clone();
    options["apiKey"] = inline.key.into();
    Ok(config.to_string())
}

/// The user's file; OpenCode itself reports one that cannot be read.
fn on_disk(places: &OpencodePlaces, provider: &str) -> Option<Value> {
    let file = locate(places, provider)?;
    let text = file::read_text(&file).ok()?;
    Some(Document::parse(&file, &text).ok()?.value())
}

/// Merges `over` into `under`, objects key by key.
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
    use crate::{
        models::{Listing, parse},
        opencode::{Layout, ModelOptions, PROVIDER},
    };

    fn made(model: Option<&str>, theirs: Option<&str>, file: &str) -> Value {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join(".config/opencode");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("opencode.json"), file).unwrap();
        let listed = parse("Available models\n\nauto - Auto (default)\n").unwrap();
        let options = ModelOptions {
            provider: PROVIDER.to_owned(),
            base_url: "http://127.0.0.1:5/v1".to_owned(),
            api_key: None,
            shape: Layout::Compact,
        };
        let content = inline(&Inline {
            desired: &DesiredProvider::new(&Listing::live(&listed), &options),
            key: "k",
            model,
            theirs,
            places: &OpencodePlaces {
                home: Some(home.path().to_owned()),
                ..OpencodePlaces::default()
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
        let options = ModelOptions {
            provider: PROVIDER.to_owned(),
            base_url: String::new(),
            api_key: None,
            shape: Layout::Plain,
        };
        let error = inline(&Inline {
            desired: &DesiredProvider::new(&Listing::live(&listed), &options),
            key: "k",
            model: None,
            theirs: Some("{\"a\": ]}"),
            places: &OpencodePlaces::default(),
        });
        let message = error.unwrap_err().to_string();
        assert!(
            message.starts_with("OPENCODE_CONFIG_CONTENT:1:7:"),
            "{message}"
        );
    }
}

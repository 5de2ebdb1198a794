//! A configuration file's text, edited in place: comments, order, indent, line ends, trailing commas
//! and byte order mark stay as they are.

use std::path::{Path, PathBuf};

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstRootNode};
use serde_json::Value;

use super::{error::ConfigError, plan::ConfigEdit};

const MARK: &str = "\u{feff}";

/// The content of a new file; OpenCode adds the `$schema` line where it is missing.
pub(super) const EMPTY: &str = "{\n  \"$schema\": \"https://opencode.ai/config.json\"\n}\n";

/// JSONC as OpenCode accepts it. The parser's defaults allow more.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) struct Document {
    file: PathBuf,
    marked: bool,
    root: CstRootNode,
}

impl Document {
    /// Reads a text; `file` is for messages only. Blank text is an empty object.
    pub(super) fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let (marked, text) = match text.strip_prefix(MARK) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let text = if text.trim().is_empty() { EMPTY } else { text };
        let root = CstRootNode::parse(text, &OPTIONS).map_err(|error| ConfigError::Syntax {
            file: file.to_owned(),
            line: error.line_display(),
            column: error.column_display(),
            reason: error.kind().to_string(),
        })?;
        let document = Self {
            file: file.to_owned(),
            marked,
            root,
        };
        match document.root.object_value() {
            Some(_) => Ok(document),
            None => Err(document.no_object("the whole")),
        }
    }

    /// The text, as edited.
    pub(super) fn text(&self) -> String {
        let mark = if self.marked { MARK } else { "" };
        format!("{mark}{}", self.root)
    }

    /// The value of `provider.<id>`.
    pub(super) fn provider(&self, id: &str) -> Option<Value> {
        self.value()
            .get_mut("provider")?
            .get_mut(id)
            .map(Value::take)
    }

    /// Everything except `provider.<id>`. An empty `provider` counts as absent.
    pub(super) fn rest(&self, id: &str) -> Value {
        let mut value = self.value();
        if let Some(providers) = value.get_mut("provider").and_then(Value::as_object_mut) {
            providers.shift_remove(id);
            if providers.is_empty()
                && let Some(all) = value.as_object_mut()
            {
                all.shift_remove("provider");
            }
        }
        value
    }

    /// The whole value.
    pub(super) fn value(&self) -> Value {
        self.root.to_serde_value().unwrap_or_default()
    }

    /// Applies edits, whose paths start within `provider.<id>`.
    pub(super) fn apply(&self, id: &str, edits: &[ConfigEdit]) -> Result<(), ConfigError> {
        for edit in edits {
            let Some((leaf, parents)) = edit.path.split_last() else {
                continue;
            };
            let mut object = self
                .root
                .object_value()
                .ok_or_else(|| self.no_object("the whole"))?;
            let mut way = String::new();
            for key in ["provider", id]
                .into_iter()
                .chain(parents.iter().map(String::as_str))
            {
                way = format!("{way}.{key}");
                object = object
                    .object_value_or_create(key)
                    .ok_or_else(|| self.no_object(way.trim_start_matches('.')))?;
            }
            match (&edit.to, object.get(leaf)) {
                (Some(value), Some(property)) => property.set_value(input(value)),
                (Some(value), None) => drop(object.append(leaf, input(value))),
                (None, Some(property)) => property.remove(),
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// Removes a value by its path, and `provider` once it is empty.
    pub(super) fn remove(&self, path: &[String]) {
        let Some((leaf, parents)) = path.split_last() else {
            return;
        };
        let root = self.root.object_value();
        let object = parents
            .iter()
            .try_fold(root.clone(), |object, key| Some(object?.object_value(key)))
            .flatten();
        if let Some(property) = object.and_then(|object| object.get(leaf)) {
            property.remove();
        }
        let providers = root.and_then(|root| root.get("provider"));
        if let Some(property) = providers
            && property
                .object_value()
                .is_some_and(|object| object.properties().is_empty())
        {
            property.remove();
        }
    }

    pub(super) fn no_object(&self, key: &str) -> ConfigError {
        ConfigError::Layout {
            file: self.file.clone(),
            key: key.to_owned(),
        }
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(b) => CstInputValue::Bool(*b),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| (key.clone(), input(value)));
            CstInputValue::Object(pairs.collect())
        }
    }
}

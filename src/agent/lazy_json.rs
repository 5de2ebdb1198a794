//! JSON that is kept as text until somebody looks at it.
//!
//! Tool results are long and mostly ignored; building the tree of a 60 kB result costs more than
//! all the rest of its event.

use std::{ops::Deref, sync::OnceLock};

use serde_json::{Value, value::RawValue};

/// A [`Value`] that is parsed when it is first read.
#[derive(Debug, Clone)]
pub struct LazyJson {
    raw: Option<Box<RawValue>>,
    value: OnceLock<Value>,
}

impl Deref for LazyJson {
    type Target = Value;

    /// The value; `null` where the text nests deeper than `serde_json` follows (128 levels).
    fn deref(&self) -> &Value {
        self.value.get_or_init(|| {
            self.raw
                .as_ref()
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
                .unwrap_or_default()
        })
    }
}

impl From<Box<RawValue>> for LazyJson {
    fn from(raw: Box<RawValue>) -> Self {
        Self {
            raw: Some(raw),
            value: OnceLock::new(),
        }
    }
}

impl From<Value> for LazyJson {
    fn from(value: Value) -> Self {
        Self {
            raw: None,
            value: OnceLock::from(value),
        }
    }
}

impl PartialEq for LazyJson {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_and_tree_are_equal() {
        let raw: Box<RawValue> = serde_json::from_str(r#"{ "a": [1, "x"] }"#).unwrap();
        let lazy = LazyJson::from(raw);
        assert_eq!(lazy, LazyJson::from(serde_json::json!({"a": [1, "x"]})));
        assert_eq!(lazy["a"][1], "x");
    }
}

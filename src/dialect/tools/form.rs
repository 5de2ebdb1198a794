//! How calls are written of tools that aren't plain functions.

use std::collections::HashMap;

use serde_json::Value;

/// By the flat name of the tool.
pub type Forms = HashMap<String, Form>;

/// How calls of a tool are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The namespace that the tool was offered in.
    pub namespace: Option<String>,
    /// Its name there.
    pub name: String,
    /// Its input is one text instead of arguments (OpenAI's custom tools).
    pub is_text: bool,
}

impl Form {
    /// The text that the arguments of a call stand for.
    pub fn text(arguments: &str) -> String {
        let input = serde_json::from_str(arguments)
            .ok()
            .and_then(|value: Value| Some(value.get(TEXT_INPUT)?.as_str()?.to_owned()));
        input.unwrap_or_else(|| arguments.to_owned())
    }
}

/// The name of the only argument of a tool that takes one text.
pub const TEXT_INPUT: &str = "input";

/// The flat name of a tool in a namespace.
pub fn flat_name(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(
        || name.to_owned(),
        |namespace| format!("{namespace}__{name}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_taken_out_of_its_arguments() {
        assert_eq!(Form::text(r#"{"input": "a\nb"}"#), "a\nb");
        for odd in ["not JSON", "{}", r#"{"input": 3}"#] {
            assert_eq!(Form::text(odd), odd);
        }
    }
}

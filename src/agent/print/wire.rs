//! The shapes of the frequent lines, borrowed from the line (SCHEMA 1-3).
//!
//! Strict on purpose: whatever looks different fails here and is read by `lenient` instead. One
//! pass over the text; what nobody may ever look at (a tool's result) stays text.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use crate::agent::NativeOutcome;

/// Text that is copied only where it holds escapes. (`Option<Cow<str>>` would always copy.)
#[derive(Debug, Default, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Any line; the fields are those of `system`, `assistant`, `thinking` and `tool_call`.
#[derive(Debug, Deserialize)]
pub(super) struct StreamLine<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow, default)]
    pub subtype: Text<'a>,
    #[serde(borrow, default)]
    pub text: Text<'a>,
    #[serde(borrow, default)]
    pub message: WireMessage<'a>,
    /// Only its presence counts.
    #[serde(default)]
    pub timestamp_ms: Option<IgnoredAny>,
    #[serde(borrow, default)]
    pub model_call_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub call_id: Option<Text<'a>>,
    #[serde(default)]
    pub tool_call: Option<WireTool>,
    #[serde(borrow, default)]
    pub session_id: Option<Text<'a>>,
    #[serde(borrow, default, rename = "apiKeySource")]
    pub api_key_source: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct WireMessage<'a> {
    #[serde(borrow, default)]
    pub content: TextContent<'a>,
}

/// The joined texts of a content array.
#[derive(Debug, Default)]
pub(super) struct TextContent<'a>(pub Cow<'a, str>);

#[derive(Deserialize)]
struct WirePart<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    text: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for TextContent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = TextContent<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("content parts")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut parts: A,
            ) -> Result<TextContent<'de>, A::Error> {
                let mut joined = Cow::Borrowed("");
                while let Some(part) = parts.next_element::<WirePart<'de>>()? {
                    if !matches!(part.kind.0.as_ref(), "" | "text") {
                        return Err(A::Error::custom("a part that is no text"));
                    }
                    // Appending to an empty `Cow` keeps the borrow.
                    joined += part.text.0;
                }
                Ok(TextContent(joined))
            }
        }
        deserializer.deserialize_seq(Parts)
    }
}

/// The value of `tool_call`, of which the first key that ends in `ToolCall` counts.
#[derive(Debug)]
pub(super) struct WireTool {
    pub kind: String,
    pub args: Option<Map<String, Value>>,
    pub outcome: Option<NativeOutcome>,
}

#[derive(Deserialize)]
struct ToolBody {
    #[serde(default)]
    args: Option<Map<String, Value>>,
    /// What old versions call the arguments.
    #[serde(default)]
    input: Option<IgnoredAny>,
    #[serde(default)]
    result: Option<WireOutcome>,
}

impl<'de> Deserialize<'de> for WireTool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kinds;
        impl<'de> Visitor<'de> for Kinds {
            type Value = WireTool;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tool call")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireTool, A::Error> {
                let mut tool = None;
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match key.0.strip_suffix("ToolCall") {
                        Some(kind) if tool.is_none() => {
                            let body: ToolBody = map.next_value()?;
                            if body.input.is_some() {
                                return Err(A::Error::custom("arguments of another name"));
                            }
                            tool = Some(WireTool {
                                kind: kind.to_owned(),
                                args: body.args,
                                outcome: body.result.map(|outcome| outcome.0),
                            });
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                tool.ok_or_else(|| A::Error::custom("no …ToolCall"))
            }
        }
        deserializer.deserialize_map(Kinds)
    }
}

/// Keys that stand beside the outcome in a `result` (SCHEMA 3).
pub(super) const BESIDE_OUTCOME: [&str; 5] = [
    "isBackground",
    "terminalsFolder",
    "sandboxPolicy",
    "pid",
    "planUri",
];

struct WireOutcome(NativeOutcome);

impl<'de> Deserialize<'de> for WireOutcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Arms;
        impl<'de> Visitor<'de> for Arms {
            type Value = WireOutcome;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tool's result")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireOutcome, A::Error> {
                let mut outcome = None;
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    let body: &RawValue = map.next_value()?;
                    if outcome.is_none()
                        && body.get().starts_with('{')
                        && !BESIDE_OUTCOME.contains(&key.0.as_ref())
                    {
                        outcome = Some(WireOutcome(NativeOutcome {
                            name: key.0.into_owned(),
                            body: body.to_owned().into(),
                        }));
                    }
                }
                outcome.ok_or_else(|| A::Error::custom("no outcome"))
            }
        }
        deserializer.deserialize_map(Arms)
    }
}

//! JSON text into a tree of bounded size, which borrows the texts: a request is mostly texts, and is looked
//! at once.

use std::{borrow::Cow, cell::Cell, fmt};

use serde::{
    Deserialize, Serialize, Serializer,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

/// How many values a body may hold. Real ones hold a few thousand: texts are long.
const VALUES: usize = 300_000;

/// A JSON value.
#[derive(Debug)]
pub enum Tree<'a> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'a, str>),
    Array(Vec<Tree<'a>>),
    Object(Members<'a>),
}

/// The members of an object, in their order. Of a name that is there twice, the last one counts.
#[derive(Debug)]
pub struct Members<'a>(Vec<(Cow<'a, str>, Tree<'a>)>);

/// Reads one value and nothing after it.
pub fn parse(text: &[u8]) -> Result<Tree<'_>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = TreeReader(&Cell::new(VALUES)).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

impl<'a> Tree<'a> {
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub fn is_string(&self) -> bool {
        matches!(self, Self::String(_))
    }

    pub fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is a whole one of at least 0.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Tree<'a>]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Members<'a>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// A member, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Tree<'a>> {
        let members = &self.as_object()?.0;
        let member = members.iter().rev().find(|(name, _)| name == key);
        member.map(|(_, value)| value)
    }

    /// Its JSON text.
    pub fn to_json(&self) -> String {
        // Only a map whose keys are no texts can't be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same value, which owns its texts.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::String(text) => Value::String(text.clone().into_owned()),
            Self::Array(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(members) => {
                let members = members.iter();
                members
                    .map(|(name, value)| (name.to_owned(), value.to_value()))
                    .collect()
            }
        }
    }
}

impl<'a> Members<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tree<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }
}

impl<'a> IntoIterator for Members<'a> {
    type Item = (Cow<'a, str>, Tree<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> FromIterator<(Cow<'a, str>, Tree<'a>)> for Members<'a> {
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, Tree<'a>)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl<'a> From<&'a Value> for Tree<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::String(text.into()),
            Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Object(members) => {
                let members = members.iter();
                let members = members.map(|(name, value)| (name.into(), value.into()));
                Self::Object(members.collect())
            }
        }
    }
}

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => writer.serialize_unit(),
            Self::Bool(value) => writer.serialize_bool(*value),
            Self::Number(number) => number.serialize(writer),
            Self::String(text) => writer.serialize_str(text),
            Self::Array(items) => writer.collect_seq(items),
            Self::Object(members) => writer.collect_map(members.iter()),
        }
    }
}

/// Reads a value, and counts down for each that it contains.
#[derive(Clone, Copy)]
struct TreeReader<'a>(&'a Cell<usize>);

impl TreeReader<'_> {
    fn count<E: Error>(self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1);
        let left = left.ok_or_else(|| E::custom(format_args!("more than {VALUES} values")))?;
        self.0.set(left);
        Ok(())
    }

    fn leaf<'de, E: Error>(self, value: Tree<'de>) -> Result<Tree<'de>, E> {
        self.count()?;
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for TreeReader<'_> {
    type Value = Tree<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Tree<'de>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeReader<'_> {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree<'de>, E> {
        self.leaf(Tree::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree<'de>, E> {
        self.leaf(Tree::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree<'de>, E> {
        self.leaf(Tree::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree<'de>, E> {
        self.leaf(Tree::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree<'de>, E> {
        self.leaf(Number::from_f64(value).map_or(Tree::Null, Tree::Number))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Tree<'de>, E> {
        self.leaf(Tree::String(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree<'de>, E> {
        self.leaf(Tree::String(value.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree<'de>, A::Error> {
        self.count()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(Tree::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree<'de>, A::Error> {
        self.count()?;
        let mut object = Vec::new();
        while let Some(Name(name)) = members.next_key()? {
            object.push((name, members.next_value_seed(self)?));
        }
        Ok(Tree::Object(Members(object)))
    }
}

/// The name of a member. A bare `Cow` would always own it.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_serde_json_reads() {
        for text in [
            r#"{"b": [1, -2, 1.5e300, true, null, "x\u00e9\n"], "a\n": {"a": {}, "b": []}, "b": 18446744073709551615}"#,
            " \"text\" ",
            "0",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            let found = parse(text.as_bytes()).unwrap();
            assert_eq!(found.to_value(), expected);
            assert_eq!(Tree::from(&expected).to_json(), expected.to_string());
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in ["", "{", "[1,]", "1 2", "\"\x01\"", "nul", "{1: 2}", &deep] {
            let expected = serde_json::from_str::<Value>(text).unwrap_err();
            assert_eq!(
                parse(text.as_bytes()).unwrap_err().to_string(),
                expected.to_string()
            );
        }
    }

    #[test]
    fn the_last_of_two_members_counts() {
        let twice = parse(br#"{"a": 1, "b": 2, "\u0061": 3}"#).unwrap();
        assert_eq!(twice.get("a").and_then(Tree::as_u64), Some(3));
    }

    #[test]
    fn texts_are_borrowed() {
        let text = br#"{"a": ["b", "\n"]}"#;
        let tree = parse(text).unwrap();
        let is_borrowed = |item: &Tree<'_>| matches!(item, Tree::String(Cow::Borrowed(_)));
        let items = tree.get("a").and_then(Tree::as_array).unwrap();
        assert_eq!(
            items.iter().map(is_borrowed).collect::<Vec<_>>(),
            [true, false]
        );
    }

    #[test]
    fn more_values_than_any_request_has_are_refused() {
        let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(parse(zeros(VALUES - 1).as_bytes()).is_ok());
        let error = parse(zeros(VALUES).as_bytes()).unwrap_err();
        assert!(
            error.to_string().contains("more than 300000 values"),
            "{error}"
        );
    }
}

//! JSON text into a tree of bounded size: a zero and its comma take 32 bytes in memory, an object of
//! one member some 460, so a body of them would otherwise cost many times its length.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How many values a body may hold. Real ones hold a few thousand: texts are long.
const VALUES: usize = 300_000;

/// Reads one value and nothing after it.
pub fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Tree(&Cell::new(VALUES)).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a value, and counts down for each that it contains.
#[derive(Clone, Copy)]
struct Tree<'a>(&'a Cell<usize>);

impl Tree<'_> {
    fn count<E: Error>(self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1);
        let left = left.ok_or_else(|| E::custom(format_args!("more than {VALUES} values")))?;
        self.0.set(left);
        Ok(())
    }

    fn leaf<E: Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.count()?;
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.leaf(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.leaf(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.leaf(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.leaf(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.leaf(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.leaf(value)
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.leaf(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.count()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.count()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            object.insert(key, members.next_value_seed(self)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_serde_json_reads() {
        for text in [
            r#"{"b": [1, -2, 1.5e300, true, null, "x\u00e9\n"], "a": {"a": {}, "b": []}, "b": 18446744073709551615}"#,
            " \"text\" ",
            "0",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            let found = parse(text.as_bytes()).unwrap();
            assert_eq!(found.to_string(), expected.to_string());
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

//! A JSON value that knows where in the request it stands, so that every complaint names the field.

use serde_json::{Map, Value};

use super::tree;
use crate::turn::{ErrorKind, TurnError};

/// A value and its path (`messages[3].content[0].type`).
#[derive(Clone)]
pub struct Field<'a> {
    /// The value itself.
    pub value: &'a Value,
    path: String,
}

/// Reads a request body, which must hold one JSON object.
pub fn parse(body: &[u8]) -> Result<Value, TurnError> {
    let value = tree::parse(body).map_err(|error| {
        let what = if error.is_data() {
            "the request body can't be read"
        } else {
            "the request body is not valid JSON"
        };
        TurnError::new(ErrorKind::InvalidRequest, format!("{what}: {error}"))
    })?;
    Field::root(&value).object()?;
    Ok(value)
}

impl<'a> Field<'a> {
    /// The top of a request body.
    pub fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    /// The member `key`; `None` if this is not an object, or the member is missing or null.
    pub fn get(&self, key: &str) -> Option<Field<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Field {
            value,
            path: self.join(key),
        })
    }

    /// The first of `keys` that is there.
    pub fn get_any(&self, keys: &[&str]) -> Option<Field<'a>> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The member `key`, which must be there.
    pub fn require(&self, key: &str) -> Result<Field<'a>, TurnError> {
        self.get(key).ok_or_else(|| {
            let path = self.join(key);
            let message = format!("`{path}` is required");
            TurnError::invalid(path, message)
        })
    }

    /// The elements of an array.
    pub fn items(&self) -> Result<impl Iterator<Item = Field<'a>> + use<'a>, TurnError> {
        let items = self
            .value
            .as_array()
            .ok_or_else(|| self.wrong_type("an array"))?;
        let path = self.path.clone();
        Ok(items.iter().enumerate().map(move |(index, value)| Field {
            value,
            path: format!("{path}[{index}]"),
        }))
    }

    /// The members of an object.
    pub fn object(&self) -> Result<&'a Map<String, Value>, TurnError> {
        self.value
            .as_object()
            .ok_or_else(|| self.wrong_type("an object"))
    }

    /// The text of a string.
    pub fn str(&self) -> Result<&'a str, TurnError> {
        self.value
            .as_str()
            .ok_or_else(|| self.wrong_type("a string"))
    }

    /// A boolean.
    pub fn bool(&self) -> Result<bool, TurnError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong_type("a boolean"))
    }

    /// The member `key` as a string, if it is there.
    pub fn opt_str(&self, key: &str) -> Result<Option<&'a str>, TurnError> {
        self.get(key).map(|field| field.str()).transpose()
    }

    /// The member `key` as a boolean, if it is there.
    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>, TurnError> {
        self.get(key).map(|field| field.bool()).transpose()
    }

    /// Whether this is the member `key` of something.
    pub fn is_at(&self, key: &str) -> bool {
        self.path == key || self.path.ends_with(&format!(".{key}"))
    }

    /// The member `key` as a count of at least 1, if it is there.
    pub fn opt_count(&self, key: &str) -> Result<Option<u64>, TurnError> {
        let Some(field) = self.get(key) else {
            return Ok(None);
        };
        match field.value.as_u64() {
            Some(count @ 1..) => Ok(Some(count)),
            _ => Err(field.fail("must be a whole number of at least 1")),
        }
    }

    /// An error about this field; `message` follows its path.
    pub fn fail(&self, message: impl std::fmt::Display) -> TurnError {
        TurnError::invalid(self.path.clone(), format!("`{}` {message}", self.path))
    }

    fn wrong_type(&self, wanted: &str) -> TurnError {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        if self.path.is_empty() {
            return TurnError::new(
                ErrorKind::InvalidRequest,
                format!("the request body must be {wanted}, not {found}"),
            );
        }
        self.fail(format_args!("must be {wanted}, not {found}"))
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

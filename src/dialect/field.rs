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
        let path = self.join(key);
        Some(Field { value, path })
    }

    /// The member `key`, or a null in its place: for what asks for nothing if it is missing.
    pub fn member(&self, key: &str) -> Field<'a> {
        let value = self.value.get(key).unwrap_or(&Value::Null);
        let path = self.join(key);
        Field { value, path }
    }

    /// The first of `keys` that is there.
    pub fn get_any(&self, keys: &[&str]) -> Option<Field<'a>> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The member `key`, which must be there.
    pub fn require(&self, key: &str) -> Result<Field<'a>, TurnError> {
        self.require_any(&[key])
    }

    /// The first of `keys` that is there; one must be.
    pub fn require_any(&self, keys: &[&str]) -> Result<Field<'a>, TurnError> {
        self.get_any(keys).ok_or_else(|| {
            let path = self.join(keys[0]);
            let message = format!("`{path}` is required");
            TurnError::invalid(path, message)
        })
    }

    /// The elements of an array.
    pub fn items(&self) -> Result<impl Iterator<Item = Field<'a>> + use<'a>, TurnError> {
        let items = self.typed(self.value.as_array(), "an array")?;
        let path = self.path.clone();
        Ok(items.iter().enumerate().map(move |(index, value)| Field {
            value,
            path: format!("{path}[{index}]"),
        }))
    }

    /// The elements of an array of strings.
    pub fn strings(&self) -> Result<Vec<String>, TurnError> {
        self.items()?
            .map(|item| Ok(item.str()?.to_owned()))
            .collect()
    }

    /// The members of an object.
    pub fn object(&self) -> Result<&'a Map<String, Value>, TurnError> {
        self.typed(self.value.as_object(), "an object")
    }

    /// The text of a string.
    pub fn str(&self) -> Result<&'a str, TurnError> {
        self.typed(self.value.as_str(), "a string")
    }

    /// A boolean.
    pub fn bool(&self) -> Result<bool, TurnError> {
        self.typed(self.value.as_bool(), "a boolean")
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
        let field = self.member(key);
        match field.value.as_u64() {
            _ if field.value.is_null() => Ok(None),
            Some(count @ 1..) => Ok(Some(count)),
            _ => Err(field.fail("must be a whole number of at least 1")),
        }
    }

    /// An error about this field; `message` follows its path.
    pub fn fail(&self, message: impl std::fmt::Display) -> TurnError {
        TurnError::invalid(self.path.clone(), format!("`{}` {message}", self.path))
    }

    /// An error about this field, whose text is none of those that are wanted.
    pub fn must_be(&self, wanted: &str) -> TurnError {
        let found = self.value.as_str().unwrap_or_default();
        self.fail(format_args!("must be {wanted}, not `{found}`"))
    }

    fn typed<T>(&self, value: Option<T>, wanted: &str) -> Result<T, TurnError> {
        value.ok_or_else(|| self.wrong_type(wanted))
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
            [self.path.as_str(), ".", key].concat()
        }
    }
}

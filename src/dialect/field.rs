//! A JSON value that knows where in the request it stands, so that every complaint names the field.

use super::tree::{self, Members, Tree};
use crate::turn::{ErrorKind, TurnError};

/// A value in a request. Its path (`messages[3].content[0].type`) is looked for when something is wrong
/// with it: a valid request has thousands of fields and needs the path of none.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// The value itself.
    pub value: &'a Tree<'a>,
    /// The whole request.
    root: &'a Tree<'a>,
    /// If this is a null in the place of a missing member: what it is missing in, and its name.
    missing: Option<(&'a Tree<'a>, &'static str)>,
}

/// Reads a request body, which must hold one JSON object.
pub fn parse(body: &[u8]) -> Result<Tree<'_>, TurnError> {
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
    pub fn root(value: &'a Tree<'a>) -> Self {
        Self {
            value,
            root: value,
            missing: None,
        }
    }

    fn child(&self, value: &'a Tree<'a>) -> Self {
        Self {
            value,
            missing: None,
            ..*self
        }
    }

    /// The member `key`; `None` if this is not an object, or the member is missing or null.
    pub fn get(&self, key: &str) -> Option<Field<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(self.child(value))
    }

    /// The member `key`, or a null in its place: for what asks for nothing if it is missing.
    pub fn member(&self, key: &'static str) -> Field<'a> {
        match self.value.get(key) {
            Some(value) => self.child(value),
            None => Self {
                value: &Tree::Null,
                missing: self.missing.or(Some((self.value, key))),
                ..*self
            },
        }
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
            let path = self.path(Some(keys[0]));
            let message = format!("`{path}` is required");
            TurnError::invalid(path, message)
        })
    }

    /// The elements of an array.
    pub fn items(&self) -> Result<impl Iterator<Item = Field<'a>> + use<'a>, TurnError> {
        let items = self.typed(self.value.as_array(), "an array")?;
        let list = *self;
        Ok(items.iter().map(move |value| list.child(value)))
    }

    /// The elements of an array of strings.
    pub fn strings(&self) -> Result<Vec<String>, TurnError> {
        self.items()?
            .map(|item| Ok(item.str()?.to_owned()))
            .collect()
    }

    /// The members of an object.
    pub fn object(&self) -> Result<&'a Members<'a>, TurnError> {
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

    /// The member `key` as a count of at least 1, if it is there.
    pub fn opt_count(&self, key: &'static str) -> Result<Option<u64>, TurnError> {
        let field = self.member(key);
        match field.value.as_u64() {
            _ if field.value.is_null() => Ok(None),
            Some(count @ 1..) => Ok(Some(count)),
            _ => Err(field.fail("must be a whole number of at least 1")),
        }
    }

    /// An error about this field; `message` follows its path.
    pub fn fail(&self, message: impl std::fmt::Display) -> TurnError {
        let path = self.path(None);
        let message = format!("`{path}` {message}");
        TurnError::invalid(path, message)
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
            Tree::Null => "null",
            Tree::Bool(_) => "a boolean",
            Tree::Number(_) => "a number",
            Tree::String(_) => "a string",
            Tree::Array(_) => "an array",
            Tree::Object(_) => "an object",
        };
        if std::ptr::eq(self.value, self.root) {
            return TurnError::new(
                ErrorKind::InvalidRequest,
                format!("the request body must be {wanted}, not {found}"),
            );
        }
        self.fail(format_args!("must be {wanted}, not {found}"))
    }

    /// Its path, or that of a member of it.
    fn path(&self, member: Option<&str>) -> String {
        let (place, missing) = self.missing.unzip();
        let place = place.unwrap_or(self.value);
        let mut path = path_to(place, self.root).unwrap_or_default();
        for key in missing.into_iter().chain(member) {
            path.extend([".", key]);
        }
        path.strip_prefix('.').unwrap_or(&path).to_owned()
    }
}

/// The path from one value to another within it. Equal values differ by their addresses.
fn path_to(wanted: &Tree<'_>, from: &Tree<'_>) -> Option<String> {
    if std::ptr::eq(wanted, from) {
        return Some(String::new());
    }
    match from {
        Tree::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| path_to(wanted, item).map(|rest| format!("[{index}]{rest}"))),
        Tree::Object(members) => members
            .iter()
            .find_map(|(key, member)| path_to(wanted, member).map(|rest| format!(".{key}{rest}"))),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(field: &Field<'_>) -> String {
        field.fail("").param.unwrap()
    }

    #[test]
    fn a_field_is_found_among_its_likes() {
        let body = json!({"a": [{"b": 1}, {"b": 1, "c": null}], "b": 1});
        let body = Tree::from(&body);
        let root = Field::root(&body);
        let list = root.get("a").unwrap();
        let second = list.items().unwrap().nth(1).unwrap();
        assert_eq!(path(&list), "a");
        assert_eq!(path(&second), "a[1]");
        assert_eq!(path(&second.get("b").unwrap()), "a[1].b");
        assert_eq!(path(&root.get("b").unwrap()), "b");
        // There, but null; missing; and missing in what is missing.
        assert_eq!(path(&second.member("c")), "a[1].c");
        assert_eq!(path(&second.member("d")), "a[1].d");
        assert_eq!(path(&second.member("d").member("e")), "a[1].d");
        assert_eq!(path(&root.member("d")), "d");
        let required = second.require("d").err().unwrap();
        assert_eq!(required.param.unwrap(), "a[1].d");
    }
}

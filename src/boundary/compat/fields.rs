//! From names that the agent uses to the property names of a client's schema.

use std::path::Path;

use serde_json::{Map, Value};

use crate::boundary::alias::{fold, has};
use crate::boundary::catalog::ClientTool;
use crate::boundary::native::Intent;

/// One argument of a family of tools.
pub(super) struct Argument {
    /// Its canonical name, used by the family's code.
    pub name: &'static str,
    /// All folded names that it has, the most telling first.
    pub names: &'static str,
    /// What its value stands for.
    pub unit: Unit,
}

/// What a value stands for, where that decides its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Nothing that we change.
    Plain,
    /// A path: absolute or relative, as the property's text demands.
    Path,
    /// Milliseconds, which some clients want as seconds.
    Millis,
}

/// A plain field.
pub(super) const fn field(name: &'static str, names: &'static str) -> Argument {
    Argument {
        name,
        names,
        unit: Unit::Plain,
    }
}

/// A field that holds a path.
pub(super) const fn path(name: &'static str, names: &'static str) -> Argument {
    Argument {
        name,
        names,
        unit: Unit::Path,
    }
}

/// A field that holds a duration, in milliseconds where the agent gives it.
pub(super) const fn millis(name: &'static str, names: &'static str) -> Argument {
    Argument {
        name,
        names,
        unit: Unit::Millis,
    }
}

/// Names under which every family takes a file's path.
pub(super) const PATH_NAMES: &str = "\
    path filepath file filename absolutepath targetfile targetpath relativeworkspacepath pathname";

/// The word for what a tool of many uses is to do: the first of these that it knows, as far as its
/// schema lists or names some.
pub(super) fn verb(given: &ArgumentMap, words: &[&str]) -> Option<Value> {
    let node = given.node("verb")?;
    let is_known = |word: &&&str| match node.get("enum").and_then(Value::as_array) {
        Some(values) => values.iter().any(|value| value == **word),
        None => node.to_string().contains(&format!("`{word}`")),
    };
    let word = words.iter().find(is_known).or(words.first())?;
    Some(Value::from(*word))
}

/// The arguments of one call on their way into a schema.
pub(super) struct ArgumentMap<'a> {
    /// By canonical name.
    pub values: Map<String, Value>,
    /// Arguments of no field, by the name that they came with.
    others: Map<String, Value>,
    /// Whether the values are Cursor's, in Cursor's units.
    pub native: bool,
    pub tool: &'a ClientTool,
    pub workspace: &'a Path,
    fields: &'static [Argument],
}

impl<'a> ArgumentMap<'a> {
    pub(super) fn new(
        asked: &Intent,
        tool: &'a ClientTool,
        workspace: &'a Path,
        fields: &'static [Argument],
    ) -> Self {
        let mut given = Self {
            values: Map::new(),
            others: Map::new(),
            native: asked.native,
            tool,
            workspace,
            fields,
        };
        for (key, value) in &asked.args {
            let folded = fold(key);
            let field = fields
                .iter()
                .find(|field| field.name == key.as_str() || has(field.names, &folded))
                // Where the schema has this very property and another for the field, it is not
                // the field that was meant.
                .filter(|field| {
                    given.native
                        || !tool.schema.properties().any(|(name, _)| name == key)
                        || given.property(field.name) == Some(key)
                });
            match field {
                Some(field) if !given.values.contains_key(field.name) => {
                    given.values.insert(field.name.to_owned(), value.clone());
                }
                _ => {
                    given.others.insert(key.clone(), value.clone());
                }
            }
        }
        given
    }

    /// The schema's property for a field: of those that go by one of its names a demanded one,
    /// else the one with the most telling name.
    pub(super) fn property(&self, field: &str) -> Option<&'a str> {
        let names = self.fields.iter().find(|f| f.name == field)?.names;
        property_of(self.tool.schema.root(), names)
    }

    /// The schema of a field's property.
    pub(super) fn node(&self, field: &str) -> Option<&'a Value> {
        let property = self.property(field)?;
        let (_, node) = self
            .tool
            .schema
            .properties()
            .find(|(name, _)| *name == property)?;
        Some(self.tool.schema.resolve(node))
    }

    /// The schema of a list field's items.
    pub(super) fn item(&self, field: &str) -> Option<&'a Value> {
        self.items_of(self.node(field)?)
    }

    /// The property, and the schema of its items, for a list field of a nested schema.
    pub(super) fn list_in(
        &self,
        node: &'a Value,
        fields: &[Argument],
        field: &str,
    ) -> Option<(&'a str, &'a Value)> {
        let names = fields.iter().find(|f| f.name == field)?.names;
        let property = property_of(node, names)?;
        let list = self
            .tool
            .schema
            .resolve(node.get("properties")?.get(property)?);
        Some((property, self.items_of(list)?))
    }

    fn items_of(&self, list: &'a Value) -> Option<&'a Value> {
        Some(self.tool.schema.resolve(list.get("items")?))
    }

    /// What the schema says of a field, in lower case: the property's name and description.
    pub(super) fn wording(&self, field: &str) -> String {
        let name = self.property(field).unwrap_or_default();
        let text = self
            .node(field)
            .and_then(|node| node.get("description"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        format!("{name} {text}").to_lowercase()
    }

    /// A field's value as text.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.values.get(field).and_then(Value::as_str)
    }

    /// A field's value as a whole number, also from a text.
    pub(super) fn number(&self, field: &str) -> Option<i64> {
        match self.values.get(field)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// Sets a field.
    pub(super) fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.values.insert(field.to_owned(), value.into());
    }

    /// The arguments under the schema's names, how many of them found a place, and how many not.
    pub(super) fn place(
        self,
        complete: fn(&ArgumentMap, &str) -> Option<Value>,
    ) -> (Map<String, Value>, usize, usize) {
        let schema = &self.tool.schema;
        let mut map = Map::new();
        let mut lost = 0;
        for (name, value) in &self.values {
            let Some(property) = self.property(name) else {
                lost += 1;
                continue;
            };
            map.insert(property.to_owned(), self.adapted(name, value));
        }
        for (name, value) in &self.others {
            let exact = schema.properties().find(|(p, _)| *p == name.as_str());
            let folded = || schema.properties().find(|(p, _)| fold(p) == fold(name));
            match exact.or_else(folded) {
                Some((property, _)) if !map.contains_key(property) => {
                    map.insert(property.to_owned(), value.clone());
                }
                // The model's own words stay where the schema is open; Cursor's don't.
                None if !self.native && !schema.is_closed() => {
                    map.insert(name.clone(), value.clone());
                    lost += 1;
                }
                _ => lost += 1,
            }
        }
        let placed = self.values.len() + self.others.len() - lost;
        for property in schema.required() {
            if !map.contains_key(property)
                && let Some(value) = self.made_up(property, complete)
            {
                map.insert(property.to_owned(), value);
            }
        }
        (map, placed, lost)
    }

    /// The value of a demanded property that was not given.
    fn made_up(
        &self,
        property: &str,
        complete: fn(&ArgumentMap, &str) -> Option<Value>,
    ) -> Option<Value> {
        let schema = &self.tool.schema;
        let (_, node) = schema.properties().find(|(name, _)| *name == property)?;
        let node = schema.resolve(node);
        let only = || match node.get("enum").and_then(Value::as_array)?.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let folded = fold(property);
        let derived = || {
            let known = |field: &&Argument| has(field.names, &folded);
            complete(self, self.fields.iter().find(known)?.name)
        };
        // Strict schemas demand every property and let null stand for "not given".
        let null = || schema.accepts(node, &Value::Null).then_some(Value::Null);
        node.get("default")
            .or_else(|| node.get("const"))
            .or_else(only)
            .cloned()
            .or_else(derived)
            .or_else(null)
    }

    /// A field's value in the form that the property's text asks for.
    fn adapted(&self, name: &str, value: &Value) -> Value {
        let unit = self.fields.iter().find(|field| field.name == name);
        match (unit.map(|field| field.unit), value) {
            (Some(Unit::Path), Value::String(path)) => {
                Value::String(located(path, &self.wording(name), self.workspace))
            }
            (Some(Unit::Millis), _) if self.native => {
                let wording = self.wording(name);
                let seconds = wording.contains("second")
                    && !wording.contains("millisecond")
                    && !wording.contains("ms");
                match value.as_f64() {
                    Some(millis) if seconds => Value::from((millis / 1000.0).ceil() as u64),
                    _ => value.clone(),
                }
            }
            _ => value.clone(),
        }
    }
}

/// A path in the form that the wording demands: absolute, relative to the workspace, or as it is.
fn located(path: &str, wording: &str, workspace: &Path) -> String {
    let absolute = wording.contains("absolute");
    let relative = wording.replace("not relative", "").contains("relative");
    if absolute && !relative && !is_absolute(path) {
        let path = path.strip_prefix("./").unwrap_or(path);
        let joined = if matches!(path, "" | ".") {
            workspace.to_path_buf()
        } else {
            workspace.join(path)
        };
        return joined.to_string_lossy().into_owned();
    }
    if relative
        && !absolute
        && let Ok(inner) = Path::new(path).strip_prefix(workspace)
    {
        return match inner.to_string_lossy().into_owned() {
            inner if inner.is_empty() => ".".to_owned(),
            inner => inner,
        };
    }
    path.to_owned()
}

/// Whether a path is absolute, on Unix or Windows (the agent's system need not be ours).
pub(super) fn is_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    path.starts_with(['/', '\\'])
        || (bytes.len() > 2 && bytes[1] == b':' && matches!(bytes[2], b'/' | b'\\'))
}

/// The property of an object's schema that goes by one of these folded names.
pub(super) fn property_of<'a>(node: &'a Value, names: &str) -> Option<&'a str> {
    let required = node.get("required").and_then(Value::as_array);
    let demanded =
        |property: &str| required.is_some_and(|names| names.iter().any(|name| name == property));
    node.get("properties")?
        .as_object()?
        .keys()
        .filter_map(|property| {
            let folded = fold(property);
            let rank = names.split_whitespace().position(|name| name == folded)?;
            Some((!demanded(property), rank, property.as_str()))
        })
        .min()
        .map(|(_, _, property)| property)
}

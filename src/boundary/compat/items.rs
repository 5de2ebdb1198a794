//! Lists of objects inside the arguments, whose members have names of their own in each client.

use serde_json::{Map, Value};

use super::fields::{Argument, ArgumentMap, property_of};
use crate::boundary::alias::{fold, has};

/// Brings the items of a list field under the names that the client's items have. `prepare` sees
/// each item under canonical names and may refuse it.
pub(super) fn items(
    given: &mut ArgumentMap,
    field: &str,
    fields: &[Argument],
    mut prepare: impl FnMut(&mut Map<String, Value>) -> bool,
) {
    let Some(node) = given.item(field) else {
        return;
    };
    let Some(Value::Array(list)) = given.values.get_mut(field) else {
        return;
    };
    let native = given.native;
    *list = std::mem::take(list)
        .into_iter()
        .filter_map(|item| {
            let Value::Object(item) = item else {
                return Some(item);
            };
            let mut fields_given = canonical(&item, fields);
            if !prepare(&mut fields_given) {
                return None;
            }
            let Some(mut new) = placed(&fields_given, node, fields) else {
                return Some(Value::Object(item));
            };
            // The model's own words stay, Cursor's plumbing doesn't.
            for (key, value) in item
                .into_iter()
                .filter(|(key, _)| !native && !fields.iter().any(|f| has(f.names, &fold(key))))
            {
                new.entry(key).or_insert(value);
            }
            Some(Value::Object(new))
        })
        .collect();
}

/// An object's members under their canonical names; what is not a field is left out.
pub(super) fn canonical(object: &Map<String, Value>, fields: &[Argument]) -> Map<String, Value> {
    let mut map = Map::new();
    for field in fields {
        let value = field.names.split_whitespace().find_map(|name| {
            object
                .iter()
                .find(|(key, _)| fold(key) == name)
                .map(|(_, value)| value.clone())
        });
        if let Some(value) = value {
            map.insert(field.name.to_owned(), value);
        }
    }
    map
}

/// Members under the property names of `node`; `None` if it describes no object.
pub(super) fn placed(
    values: &Map<String, Value>,
    node: &Value,
    fields: &[Argument],
) -> Option<Map<String, Value>> {
    node.get("properties")?;
    let place = |field: &Argument| {
        let value = values.get(field.name)?;
        Some((property_of(node, field.names)?.to_owned(), value.clone()))
    };
    Some(fields.iter().filter_map(place).collect())
}

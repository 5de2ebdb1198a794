//! Tools that take a list of what others take one at a time: `{"commands": ["ls"]}`, or
//! `{"files": [{"path": "a"}]}`.

use serde_json::{Value, json};

use super::Compat;
use super::fields::property_of;
use crate::boundary::alias::fold;
use crate::boundary::catalog::ClientTool;
use crate::boundary::schema::types;

/// How the property of this name takes a family's arguments.
pub(super) enum List {
    /// As a list of the essential argument.
    Texts(String),
    /// As a list of objects, each with the arguments of a tool for one.
    Objects(String, Box<ClientTool>),
}

/// The list that holds what the tool of a family is about, if it has no argument for it.
pub(super) fn list(compat: &Compat, tool: &ClientTool) -> Option<List> {
    let essential = compat.fields.iter().find(|f| f.name == compat.essential)?;
    let root = tool.schema.root();
    if property_of(root, essential.names).is_some() {
        return None;
    }
    tool.schema.properties().find_map(|(name, node)| {
        let node = tool.schema.resolve(node);
        if !types(node).contains(&"array") {
            return None;
        }
        let item = tool.schema.resolve(node.get("items")?);
        if property_of(item, essential.names).is_some() {
            let mut item = item.clone();
            // What it refers to.
            for key in ["$defs", "definitions"] {
                if let (Some(shared), None) = (root.get(key), item.get(key)) {
                    item[key] = shared.clone();
                }
            }
            let inner = Box::new(tool.with_schema(item));
            return Some(List::Objects(name.to_owned(), inner));
        }
        let folded = fold(name);
        let is_plural = essential
            .names
            .split_whitespace()
            .any(|one| plurals(one).contains(&folded));
        let takes_text = tool.schema.accepts(item, &json!("text"));
        (is_plural && takes_text).then(|| List::Texts(name.to_owned()))
    })
}

/// What a list of such things may be called.
fn plurals(one: &str) -> [String; 3] {
    let stem = one.strip_suffix('y').unwrap_or(one);
    [format!("{one}s"), format!("{one}es"), format!("{stem}ies")]
}

/// Whether a schema node describes a list of objects.
pub(super) fn is_list_of_objects(tool: &ClientTool, node: &Value) -> bool {
    let node = tool.schema.resolve(node);
    let item = node.get("items").map(|item| tool.schema.resolve(item));
    item.is_some_and(|item| item.get("properties").is_some())
}

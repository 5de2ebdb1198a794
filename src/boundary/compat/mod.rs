//! A call's arguments in the terms of the client's own schema.
//!
//! For each family of tools a file says, as data, under which names its arguments go, and as code what
//! else its tools need (units, made-up descriptions, list items). The rest is the same for all:
//! arguments move to whichever property names *this* schema has, paths become absolute or relative
//! as its text demands, and types are coerced where nothing is lost. The result is checked against
//! the schema.

mod bash;
mod coerce;
mod edit;
mod fields;
mod files;
mod grep;
mod items;
mod multiedit;
mod names;
mod question;
mod read;
mod task;
mod todowrite;
mod web;
mod wrap;

use std::path::Path;

use serde_json::{Map, Value, json};

use super::alias::{self, fold};
use super::catalog::ClientTool;
use super::native::Intent;
pub(super) use bash::is_description;
use fields::{Argument, ArgumentMap};
use wrap::List;

/// How the tools of one family take their arguments.
struct Compat {
    /// The family, as in `alias.rs`.
    family: &'static str,
    /// The argument without which a call means nothing.
    essential: &'static str,
    /// The arguments, and the folded names under which agents and clients know them.
    fields: &'static [Argument],
    /// Puts the arguments, under their canonical names, into the form that the tool takes.
    prepare: fn(&mut ArgumentMap),
    /// Makes up the value of a demanded field that was not given, if it can be derived.
    complete: fn(&ArgumentMap, &str) -> Option<Value>,
}

/// A new tool registers here.
const TOOLS: &[Compat] = &[
    bash::TOOL,
    read::TOOL,
    files::WRITE,
    edit::TOOL,
    multiedit::TOOL,
    files::PATCH,
    files::DELETE,
    files::LIST,
    files::GLOB,
    grep::TOOL,
    todowrite::TOOL,
    question::TOOL,
    task::TOOL,
    web::FETCH,
    web::SEARCH,
    names::SKILL,
    names::PLAN,
    names::CODE_SEARCH,
    names::LINTS,
    names::IMAGE,
    names::MKDIR,
];

/// For tools of no known family: names are compared folded, nothing else.
const OTHER: Compat = Compat {
    family: "",
    essential: "",
    fields: &[],
    prepare: |_| {},
    complete: |_, _| None,
};

/// The outcome: arguments, and how well they fit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arguments {
    pub map: Map<String, Value>,
    /// What the schema objects to.
    pub problems: Vec<String>,
    /// How many of the arguments that were given found a place in the schema.
    pub placed: usize,
    /// How many did not.
    pub lost: usize,
}

impl Arguments {
    pub(super) fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }

    /// For ranking: valid first, then more given arguments used, then fewer left over.
    pub(super) fn fit(&self) -> (bool, usize, std::cmp::Reverse<usize>) {
        (
            self.is_valid(),
            self.placed,
            std::cmp::Reverse(self.lost + self.problems.len()),
        )
    }
}

/// Maps a call's arguments onto the tool's schema.
pub(super) fn arguments(asked: &Intent, tool: &ClientTool, workspace: &Path) -> Arguments {
    if !asked.native && tool.schema.problems(&asked.args).is_empty() {
        return Arguments {
            placed: asked.args.len(),
            map: asked.args.clone(),
            problems: Vec::new(),
            lost: 0,
        };
    }
    let compat = compat_for(asked, tool);
    let wrapped = wrap::list(compat, tool);
    if let Some(List::Objects(property, inner)) = &wrapped {
        let inner = arguments(asked, inner, workspace);
        let map = Map::from_iter([(property.clone(), json!([inner.map]))]);
        let problems = tool.schema.problems(&map);
        return Arguments {
            map,
            problems,
            ..inner
        };
    }
    let mut given = ArgumentMap::new(asked, tool, workspace, compat.fields);
    (compat.prepare)(&mut given);
    let only = match wrapped {
        Some(List::Texts(property)) => {
            let value = given.values.remove(compat.essential);
            value.map(|value| (property, value))
        }
        _ => None,
    };
    // A text without the file that it belongs in.
    let homeless = given.native
        && ["write", "edit", "multiedit"].contains(&compat.family)
        && given.property("path").is_none();
    let meaningless = homeless
        || given.values.contains_key(compat.essential)
            && given.property(compat.essential).is_none();
    let (mut map, placed, lost) = given.place(compat.complete);
    let mut placed = if meaningless { 0 } else { placed };
    if let Some((property, value)) = only {
        map.insert(property, json!([value]));
        placed += 1;
    }
    coerce::arguments(&tool.schema, &mut map);
    Arguments {
        problems: tool.schema.problems(&map),
        map,
        placed,
        lost,
    }
}

/// The families of a tool, of which its name tells some and its arguments the rest.
pub(super) fn families(tool: &ClientTool) -> Vec<&'static str> {
    let mut families = tool.families.clone();
    // Under the name of a patch, some take the old text and the new one.
    if tool.is("apply_patch") && edit::block_style(tool).is_some() {
        families.retain(|family| *family != "apply_patch");
        families.push("edit");
    }
    // Some edit by a list of replacements only.
    if tool.is("edit") && multiedit::takes_list(tool) {
        families.push("multiedit");
    }
    families
}

/// The family that the call and the tool have in common, else the tool's own.
fn compat_for(asked: &Intent, tool: &ClientTool) -> &'static Compat {
    let find = |family: &str| TOOLS.iter().find(|compat| compat.family == family);
    asked
        .names
        .iter()
        .flat_map(|name| alias::families(&fold(name)))
        .filter(|family| tool.is(family))
        .find_map(find)
        .or_else(|| tool.families.iter().copied().find_map(find))
        .unwrap_or(&OTHER)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

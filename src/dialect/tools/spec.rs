//! Tool definitions, in every shape, as [`ToolSpec`]s.

use serde_json::{Map, Value, json};

use super::form::{Form, Forms, TEXT_INPUT, flat_name};
use crate::{
    dialect::field::Field,
    turn::{ToolSchema, ToolSpec, TurnError},
};

/// The tools of a request.
#[derive(Debug, Default, PartialEq)]
pub struct Offered {
    /// All of them, as functions.
    pub specs: Vec<ToolSpec>,
    /// By name, those of which calls are not written as plain functions.
    pub forms: Forms,
    /// The vendors' own tools that are left out, as `tools.<type>`.
    pub left_out: Vec<String>,
    /// Names that stand in the place of a tool: tools of the server's.
    pub named: Vec<String>,
}

/// Reads `tools` and the legacy `functions` of a request body.
///
/// # Errors
/// A tool without a name, of a kind we can't offer, or defined twice in different ways.
pub fn offered(body: &Field<'_>) -> Result<Offered, TurnError> {
    let mut offered = Offered::default();
    for list in [body.get("tools"), body.get("functions")]
        .into_iter()
        .flatten()
    {
        if declarations(&list).is_some() {
            add(&list, None, &mut offered)?;
            continue;
        }
        for tool in list.items()? {
            match tool.value.as_str() {
                Some(name) => offered.named.push(name.to_owned()),
                None => add(&tool, None, &mut offered)?,
            }
        }
    }
    Ok(offered)
}

/// Gemini's own tools, named by the member of a tool that holds their settings, and whether they can
/// be left out: Cursor's agent searches and reads the web by itself.
const GEMINI: &[(&str, bool)] = &[
    ("googleSearch", true),
    ("google_search", true),
    ("googleSearchRetrieval", true),
    ("google_search_retrieval", true),
    ("urlContext", true),
    ("url_context", true),
    ("codeExecution", false),
    ("code_execution", false),
    ("computerUse", false),
    ("computer_use", false),
    ("enterpriseWebSearch", false),
    ("fileSearch", false),
    ("file_search", false),
    ("googleMaps", false),
    ("google_maps", false),
    ("mcpServers", false),
    ("retrieval", false),
];

/// Looks for Gemini's own tools in one of its tools, and says whether there are some.
fn gemini(tool: &Field<'_>, offered: &mut Offered) -> Result<bool, TurnError> {
    if tool.get_any(&["type", "name"]).is_some() {
        return Ok(false);
    }
    let mut found = false;
    for (name, is_dispensable) in GEMINI {
        if tool.get(name).is_none() {
            continue;
        }
        if !is_dispensable {
            return Err(hosted(tool, name));
        }
        offered.left_out.push(format!("tools.{name}"));
        found = true;
    }
    Ok(found)
}

/// Gemini's list of functions inside one tool.
fn declarations<'a>(tool: &Field<'a>) -> Option<Field<'a>> {
    tool.get_any(&["functionDeclarations", "function_declarations"])
}

fn add(tool: &Field<'_>, namespace: Option<&str>, offered: &mut Offered) -> Result<(), TurnError> {
    tool.object()?;
    let is_hosted = gemini(tool, offered)?;
    if let Some(functions) = declarations(tool) {
        for function in functions.items()? {
            add(&function, namespace, offered)?;
        }
        return Ok(());
    }
    if is_hosted {
        return Ok(());
    }
    let kind = tool.opt_str("type")?.unwrap_or_default();
    if kind == "namespace" {
        let name = flat_name(namespace, tool.require("name")?.str()?);
        for member in tool.require("tools")?.items()? {
            add(&member, Some(&name), offered)?;
        }
        return Ok(());
    }
    if is_dispensable(kind) {
        offered.left_out.push(format!("tools.{kind}"));
        return Ok(());
    }
    let mut spec = definition(tool)?;
    let form = Form {
        namespace: namespace.map(str::to_owned),
        name: std::mem::take(&mut spec.name),
        is_text: takes_text(tool)?,
    };
    spec.name = flat_name(namespace, &form.name);
    match offered.specs.iter().find(|known| known.name == spec.name) {
        None => {
            if form.is_text || form.namespace.is_some() {
                offered.forms.insert(spec.name.clone(), form);
            }
            offered.specs.push(spec);
        }
        Some(known) if *known == spec => {}
        Some(_) => {
            return Err(tool.fail(format_args!(
                "defines the tool `{}` a second time, differently",
                spec.name
            )));
        }
    }
    Ok(())
}

fn definition(tool: &Field<'_>) -> Result<ToolSpec, TurnError> {
    // OpenAI nests the definition under the tool's type; everyone else writes it flat.
    let kind = tool.opt_str("type")?.unwrap_or("function");
    let inner = tool
        .get_any(&["function", "custom"])
        .filter(|inner| inner.value.is_object())
        .unwrap_or(*tool);
    if kind != "function" && kind != "custom" && inner.get("name").is_none() {
        return Err(hosted(tool, kind));
    }
    let name = inner.require("name")?;
    if name.str()?.trim().is_empty() {
        return Err(name.fail("must not be empty"));
    }
    let mut description = inner.opt_str("description")?.unwrap_or_default().to_owned();
    if let Some(grammar) = grammar(&inner)? {
        description.push_str(&grammar);
    }
    Ok(ToolSpec {
        name: name.str()?.to_owned(),
        description,
        schema: schema(tool, &inner, kind)?,
    })
}

/// OpenAI's custom tools take one text; Claude calls every tool of the client custom.
fn takes_text(tool: &Field<'_>) -> Result<bool, TurnError> {
    let is_custom = tool.opt_str("type")? == Some("custom");
    Ok(is_custom && tool.get_any(SCHEMA_KEYS).is_none())
}

/// What a custom tool's text must be like; the model can only be told.
fn grammar(custom: &Field<'_>) -> Result<Option<String>, TurnError> {
    let format = custom.member("format");
    let grammar = format.get("grammar").unwrap_or(format);
    let Some(definition) = grammar.opt_str("definition")? else {
        return Ok(None);
    };
    let syntax = grammar.opt_str("syntax")?.unwrap_or("lark");
    Ok(Some(format!(
        "\nThe input must match this {syntax} grammar:\n{definition}"
    )))
}

const SCHEMA_KEYS: &[&str] = &[
    "parametersJsonSchema",
    "parameters",
    "input_schema",
    "inputSchema",
];

fn schema(tool: &Field<'_>, inner: &Field<'_>, kind: &str) -> Result<ToolSchema, TurnError> {
    if let Some(given) = inner.get_any(SCHEMA_KEYS) {
        let members = given.object()?;
        return Ok(match members.is_empty() {
            true => no_arguments().into(),
            false => ToolSchema::of_text(given.value.to_json()),
        });
    }
    let assumed = match kind {
        "function" => Some(no_arguments()),
        "custom" => Some(object(&[(TEXT_INPUT, "string")], &[TEXT_INPUT])),
        _ => server_tool(kind),
    };
    assumed
        .map(ToolSchema::from)
        .ok_or_else(|| hosted(tool, kind))
}

/// Offers that Codex makes unasked, and that can be left out: Cursor's agent searches the web by
/// itself, and a search among tools serves models that don't see them all.
fn is_dispensable(kind: &str) -> bool {
    matches!(kind, "web_search" | "tool_search")
}

/// Whoever offers one counts on it, so it is not left out in silence.
fn hosted(tool: &Field<'_>, kind: &str) -> TurnError {
    tool.fail(format_args!(
        "is the vendor's own tool `{kind}`, which Cursor's agent does not have; \
         offer a function instead"
    ))
}

/// The argument schemas of Claude's typed tools that the client executes itself.
fn server_tool(kind: &str) -> Option<Value> {
    if kind.starts_with("bash_") {
        Some(object(
            &[("command", "string"), ("restart", "boolean")],
            &["command"],
        ))
    } else if kind.starts_with("text_editor_") {
        let mut schema = object(
            &[
                ("command", "string"),
                ("path", "string"),
                ("file_text", "string"),
                ("old_str", "string"),
                ("new_str", "string"),
                ("insert_line", "integer"),
            ],
            &["command", "path"],
        );
        schema["properties"]["view_range"] = json!({"type": "array", "items": {"type": "integer"}});
        Some(schema)
    } else {
        None
    }
}

fn no_arguments() -> Value {
    object(&[], &[])
}

fn object(properties: &[(&str, &str)], required: &[&str]) -> Value {
    let properties: Map<String, Value> = properties
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind })))
        .collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

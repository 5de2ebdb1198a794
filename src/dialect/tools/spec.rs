//! Tool definitions, in every shape, as [`ToolSpec`]s.

use serde_json::{Map, Value, json};

use super::form::{Form, Forms, TEXT_INPUT, flat_name};
use crate::{
    dialect::field::Field,
    turn::{ToolSpec, TurnError},
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
            add(&tool, None, &mut offered)?;
        }
    }
    Ok(offered)
}

/// Gemini's list of functions inside one tool.
fn declarations<'a>(tool: &Field<'a>) -> Option<Field<'a>> {
    tool.get_any(&["functionDeclarations", "function_declarations"])
}

fn add(tool: &Field<'_>, namespace: Option<&str>, offered: &mut Offered) -> Result<(), TurnError> {
    tool.object()?;
    if let Some(functions) = declarations(tool) {
        for function in functions.items()? {
            add(&function, namespace, offered)?;
        }
        return Ok(());
    }
    if tool.opt_str("type")? == Some("namespace") {
        let name = flat_name(namespace, tool.require("name")?.str()?);
        for member in tool.require("tools")?.items()? {
            add(&member, Some(&name), offered)?;
        }
        return Ok(());
    }
    let kind = tool.opt_str("type")?.unwrap_or_default();
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
        .unwrap_or_else(|| tool.clone());
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
    let Some(format) = custom.get("format") else {
        return Ok(None);
    };
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

fn schema(tool: &Field<'_>, inner: &Field<'_>, kind: &str) -> Result<Value, TurnError> {
    if let Some(given) = inner.get_any(SCHEMA_KEYS) {
        let members = given.object()?;
        return Ok(if members.is_empty() {
            no_arguments()
        } else {
            lower_types(given.value.clone())
        });
    }
    match kind {
        "function" => Ok(no_arguments()),
        "custom" => Ok(object(&[(TEXT_INPUT, "string")], &[TEXT_INPUT])),
        _ => server_tool(kind).ok_or_else(|| hosted(tool, kind)),
    }
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

/// Gemini writes `"type": "OBJECT"`; JSON Schema wants lower case.
fn lower_types(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                match value {
                    Value::String(text)
                        if key == "type" && text.chars().all(|c| c.is_ascii_uppercase()) =>
                    {
                        text.make_ascii_lowercase();
                    }
                    other => *other = lower_types(other.take()),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = lower_types(item.take());
            }
        }
        _ => {}
    }
    schema
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(body: &Value) -> Result<Vec<ToolSpec>, TurnError> {
        Ok(offered(&Field::root(body))?.specs)
    }

    #[test]
    fn every_shape_of_one_tool_means_the_same() {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let gemini = json!({"type": "OBJECT", "properties": {"city": {"type": "STRING"}}});
        let one = |extra: Value| {
            let mut tool = json!({"name": "weather", "description": "d"});
            tool.as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            tool
        };
        let shapes = [
            json!({"tools": [{"type": "function", "function": one(json!({"parameters": schema, "strict": true}))}]}),
            json!({"tools": [one(json!({"type": "function", "parameters": schema}))]}),
            json!({"tools": [one(json!({"input_schema": schema}))]}),
            json!({"tools": [one(json!({"type": "custom", "input_schema": schema}))]}),
            json!({"tools": [one(json!({"inputSchema": schema}))]}),
            json!({"tools": [one(json!({"parameters": schema}))]}),
            json!({"tools": [{"functionDeclarations": [one(json!({"parameters": gemini}))]}]}),
            json!({"tools": {"function_declarations": [one(json!({"parametersJsonSchema": schema}))]}}),
            json!({"functions": [one(json!({"parameters": schema}))]}),
        ];
        for body in shapes {
            let specs = read(&body).unwrap();
            assert_eq!(specs.len(), 1, "{body}");
            assert_eq!(specs[0].name, "weather");
            assert_eq!(specs[0].description, "d");
            assert_eq!(specs[0].schema, schema, "{body}");
        }
    }

    #[test]
    fn missing_schemas_take_no_arguments() {
        for parameters in [json!(null), json!({})] {
            let body = json!({"tools": [{"function": {"name": "now", "parameters": parameters}}]});
            assert_eq!(read(&body).unwrap()[0].schema, no_arguments());
        }
    }

    #[test]
    fn typed_tools() {
        let bash = json!({"tools": [{"type": "bash_20250124", "name": "bash"}]});
        assert_eq!(
            read(&bash).unwrap()[0].schema["required"],
            json!(["command"])
        );
        let custom = json!({"tools": [{"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}}]});
        assert_eq!(
            read(&custom).unwrap()[0].schema["required"],
            json!(["input"])
        );
    }

    #[test]
    fn hosted_tools_are_refused_by_name() {
        for tool in [
            json!({"type": "file_search", "vector_store_ids": ["vs_1"]}),
            json!({"type": "code_interpreter", "container": {"type": "auto"}}),
            json!({"type": "image_generation"}),
            json!({"type": "computer"}),
            json!({"type": "computer_use_preview", "display_width": 1, "display_height": 1, "environment": "linux"}),
            json!({"type": "mcp", "server_label": "docs", "server_url": "https://mcp.example"}),
            json!({"type": "local_shell"}),
            json!({"type": "shell", "environment": {"type": "local"}}),
            json!({"type": "apply_patch"}),
            json!({"type": "programmatic_tool_calling"}),
            json!({"type": "web_search_preview"}),
            json!({"type": "web_search_2025_08_26"}),
            json!({"type": "web_search_20250305", "name": "web_search"}),
            json!({"type": "web_fetch_20250910", "name": "web_fetch"}),
            json!({"type": "code_execution_20250825", "name": "code_execution"}),
            json!({"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}),
        ] {
            let body = json!({"tools": [{"name": "mine"}, tool]});
            let error = read(&body).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("tools[1]"));
            let kind = tool["type"].as_str().unwrap();
            let told = format!("`tools[1]` is the vendor's own tool `{kind}`");
            assert!(error.message.contains(&told), "{}", error.message);
        }
    }

    #[test]
    fn what_codex_offers_unasked_is_left_out() {
        let search = json!({"tools": [{"type": "web_search", "external_web_access": false},
            {"type": "tool_search", "execution": "client", "parameters": {}}]});
        let offered = offered(&Field::root(&search)).unwrap();
        assert_eq!(offered.specs, []);
        assert_eq!(offered.left_out, ["tools.web_search", "tools.tool_search"]);
    }

    #[test]
    fn namespaces_are_flattened_and_known() {
        let body = json!({"tools": [{"type": "namespace", "name": "fs", "tools": [{"name": "read"}]}, {"name": "write"}]});
        let offered = offered(&Field::root(&body)).unwrap();
        assert_eq!(offered.specs[0].name, "fs__read");
        let form = Form {
            namespace: Some("fs".to_owned()),
            name: "read".to_owned(),
            is_text: false,
        };
        assert_eq!(offered.forms, Forms::from([("fs__read".to_owned(), form)]));
    }

    #[test]
    fn custom_tools_take_text() {
        let format = json!({"type": "grammar", "syntax": "lark", "definition": "start: \"x\""});
        for tool in [
            json!({"type": "custom", "name": "patch", "description": "d", "format": format}),
            json!({"type": "custom", "custom": {"name": "patch", "description": "d",
                "format": {"type": "grammar", "grammar": format}}}),
        ] {
            let offered = offered(&Field::root(&json!({ "tools": [tool] }))).unwrap();
            assert!(offered.forms["patch"].is_text);
            let description = &offered.specs[0].description;
            assert!(description.starts_with("d\n") && description.contains("start: \"x\""));
        }
        let claude = json!({"tools": [{"type": "custom", "name": "a", "input_schema": {}}]});
        assert_eq!(offered(&Field::root(&claude)).unwrap().forms, Forms::new());
    }

    #[test]
    fn duplicates() {
        let same =
            json!({"tools": [{"name": "a"}, {"type": "function", "function": {"name": "a"}}]});
        assert_eq!(read(&same).unwrap().len(), 1);
        let other = json!({"tools": [{"name": "a"}, {"name": "a", "description": "other"}]});
        assert_eq!(read(&other).unwrap_err().param.unwrap(), "tools[1]");
    }

    #[test]
    fn faults_are_named_by_path() {
        let cases = [
            (json!({"tools": "x"}), "tools"),
            (json!({"tools": [1]}), "tools[0]"),
            (
                json!({"tools": [{"type": "function", "function": {}}]}),
                "tools[0].function.name",
            ),
            (json!({"tools": [{"name": " "}]}), "tools[0].name"),
            (
                json!({"tools": [{"name": "a", "parameters": 3}]}),
                "tools[0].parameters",
            ),
        ];
        for (body, path) in cases {
            assert_eq!(read(&body).unwrap_err().param.unwrap(), path, "{body}");
        }
    }
}

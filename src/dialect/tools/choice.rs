//! `tool_choice` in every vendor's form.

use crate::{
    dialect::field::Field,
    turn::{ToolChoice, TurnError},
};

/// What a request says of calling tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCalling {
    /// Whether tools may or must be called.
    pub tool_choice: ToolChoice,
    /// Whether several may be called at once, if the request says so.
    pub parallel: Option<bool>,
    /// The tools that may be called, if not all.
    pub allowed: Option<Vec<String>>,
}

/// Reads `tool_choice`, the legacy `function_call`, Gemini's `toolConfig` and
/// `parallel_tool_calls`; `tools` are the names of those that may be named.
///
/// # Errors
/// An unknown mode, or a name that is not in `tools`.
pub fn choice(body: &Field<'_>, tools: &[&str]) -> Result<ToolCalling, TurnError> {
    let mut choice = ToolCalling::default();
    if let Some(field) = body.get_any(&["tool_choice", "function_call"]) {
        read(&field, &mut choice)?;
        check(&field, &choice, tools)?;
    }
    if let Some(field) = body
        .get_any(&["toolConfig", "tool_config"])
        .and_then(|config| config.get_any(&["functionCallingConfig", "function_calling_config"]))
    {
        gemini(&field, &mut choice)?;
        check(&field, &choice, tools)?;
    }
    if let Some(parallel) = body.opt_bool("parallel_tool_calls")? {
        choice.parallel = Some(parallel);
    }
    Ok(choice)
}

fn read(field: &Field<'_>, choice: &mut ToolCalling) -> Result<(), TurnError> {
    if field.value.is_string() {
        choice.tool_choice = mode(field, field.str()?)?;
        return Ok(());
    }
    field.object()?;
    if field.opt_bool("disable_parallel_tool_use")? == Some(true) {
        choice.parallel = Some(false);
    }
    match field.opt_str("type")? {
        Some("allowed_tools") => {
            let list = field.get("allowed_tools").unwrap_or(*field);
            let names = list
                .require("tools")?
                .items()?
                .map(|tool| Ok(name(&tool)?.to_owned()))
                .collect::<Result<Vec<_>, TurnError>>()?;
            let required = match list.opt_str("mode")? {
                None | Some("auto") => false,
                Some("required") => true,
                Some(_) => return Err(list.member("mode").must_be("auto or required")),
            };
            choice.allowed = Some(names.clone());
            if required {
                choice.tool_choice = ToolChoice::Named(names);
            }
        }
        Some(other) if !CALLABLE.contains(&other) => choice.tool_choice = mode(field, other)?,
        _ => choice.tool_choice = ToolChoice::Named(vec![name(field)?.to_owned()]),
    }
    Ok(())
}

/// A tool's name, nested as OpenAI's chat format has it or flat as all others. Hosted tools have
/// none.
fn name<'a>(field: &Field<'a>) -> Result<&'a str, TurnError> {
    let inner = field.get_any(&["function", "custom"]);
    let inner = inner.unwrap_or(*field);
    match (inner.get("name"), field.opt_str("type")?) {
        (None, Some(kind)) if !CALLABLE.contains(&kind) => Err(field.fail(format_args!(
            "must be a tool that the client runs, not `{kind}`"
        ))),
        _ => inner.require("name")?.str(),
    }
}

/// The types of tools that clients run.
const CALLABLE: &[&str] = &["function", "tool", "custom"];

fn mode(field: &Field<'_>, mode: &str) -> Result<ToolChoice, TurnError> {
    match mode {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" | "any" => Ok(ToolChoice::Required),
        other => Err(field.fail(format_args!(
            "must be auto, none, required or a tool that the client runs, not `{other}`"
        ))),
    }
}

fn gemini(field: &Field<'_>, choice: &mut ToolCalling) -> Result<(), TurnError> {
    let names = field
        .get_any(&["allowedFunctionNames", "allowed_function_names"])
        .map(|names| names.strings())
        .transpose()?;
    let mode = field.opt_str("mode")?.unwrap_or("AUTO");
    choice.tool_choice = match mode.to_ascii_lowercase().as_str() {
        // `VALIDATED` is `AUTO` with arguments that keep to the schema, which ours do anyway.
        "auto" | "validated" | "mode_unspecified" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" => names
            .clone()
            .map_or(ToolChoice::Required, ToolChoice::Named),
        other => {
            return Err(field.fail(format_args!(
                "must have the mode AUTO, ANY, NONE or VALIDATED, not `{other}`"
            )));
        }
    };
    choice.allowed = names;
    Ok(())
}

fn check(field: &Field<'_>, choice: &ToolCalling, tools: &[&str]) -> Result<(), TurnError> {
    let named = match &choice.tool_choice {
        ToolChoice::Named(names) => names.as_slice(),
        ToolChoice::Required if tools.is_empty() => {
            return Err(field.fail("requires a tool call, but `tools` is empty"));
        }
        _ => &[],
    };
    let allowed = choice.allowed.iter().flatten();
    for name in named.iter().chain(allowed) {
        if !tools.contains(&name.as_str()) {
            return Err(field.fail(format_args!(
                "names `{name}`, which is not one of the client's tools in `tools`"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read_choice(body: &Value) -> Result<ToolCalling, TurnError> {
        choice(&Field::root(&body.into()), &["read", "write"])
    }

    #[test]
    fn every_form() {
        let named = || ToolChoice::Named(vec!["read".to_owned()]);
        let cases = [
            (json!({}), ToolChoice::Auto),
            (json!({"tool_choice": null}), ToolChoice::Auto),
            (json!({"tool_choice": "auto"}), ToolChoice::Auto),
            (json!({"tool_choice": "none"}), ToolChoice::None),
            (json!({"tool_choice": "required"}), ToolChoice::Required),
            (
                json!({"tool_choice": {"type": "any"}}),
                ToolChoice::Required,
            ),
            (json!({"tool_choice": {"type": "none"}}), ToolChoice::None),
            (
                json!({"tool_choice": {"type": "tool", "name": "read"}}),
                named(),
            ),
            (
                json!({"tool_choice": {"type": "function", "name": "read"}}),
                named(),
            ),
            (
                json!({"tool_choice": {"type": "function", "function": {"name": "read"}}}),
                named(),
            ),
            (json!({"function_call": {"name": "read"}}), named()),
            (json!({"function_call": "none"}), ToolChoice::None),
            (
                json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["read"]}}}),
                named(),
            ),
            (
                json!({"tool_config": {"function_calling_config": {"mode": "NONE"}}}),
                ToolChoice::None,
            ),
        ];
        for (body, wanted) in cases {
            assert_eq!(read_choice(&body).unwrap().tool_choice, wanted, "{body}");
        }
    }

    #[test]
    fn one_call_at_a_time() {
        for body in [
            json!({"parallel_tool_calls": false}),
            json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}),
        ] {
            assert_eq!(read_choice(&body).unwrap().parallel, Some(false), "{body}");
        }
    }

    #[test]
    fn allowed_tools() {
        let body = json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {
            "mode": "auto", "tools": [{"type": "function", "function": {"name": "write"}}]}}});
        let choice = read_choice(&body).unwrap();
        assert_eq!(choice.tool_choice, ToolChoice::Auto);
        assert_eq!(choice.allowed, Some(vec!["write".to_owned()]));
    }

    #[test]
    fn faults() {
        for body in [
            json!({"tool_choice": "sometimes"}),
            json!({"tool_choice": 3}),
            json!({"tool_choice": {"type": "function", "function": {"name": "rm"}}}),
            json!({"tool_choice": {"type": "function"}}),
            json!({"tool_choice": {"type": "allowed_tools", "mode": "sometimes", "tools": []}}),
            json!({"tool_choice": {"type": "allowed_tools", "mode": 3, "tools": []}}),
        ] {
            let error = read_choice(&body).unwrap_err();
            assert!(error.param.unwrap().starts_with("tool_choice"), "{body}");
        }
        let body = json!({"tool_choice": "required"});
        assert!(choice(&Field::root(&(&body).into()), &[]).is_err());
    }

    #[test]
    fn no_hosted_tool_can_be_forced() {
        let allowed = |mode: &str| json!({"type": "allowed_tools", "mode": mode, "tools": [{"type": "mcp", "server_label": "x"}]});
        for (forced, path, named) in [
            (json!({"type": "web_search"}), "tool_choice", "`web_search`"),
            (
                json!({"type": "file_search"}),
                "tool_choice",
                "`file_search`",
            ),
            (
                json!({"type": "mcp", "server_label": "x", "name": "y"}),
                "tool_choice",
                "`mcp`",
            ),
            (
                json!({"type": "tool", "name": "web_search"}),
                "tool_choice",
                "`web_search`",
            ),
            (allowed("required"), "tool_choice.tools[0]", "`mcp`"),
            (allowed("auto"), "tool_choice.tools[0]", "`mcp`"),
        ] {
            let error = read_choice(&json!({"tool_choice": forced})).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(path), "{forced}");
            assert!(error.message.contains(named), "{}", error.message);
        }
    }
}

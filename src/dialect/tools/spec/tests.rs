use super::*;

fn read(body: &Value) -> Result<Vec<ToolSpec>, TurnError> {
    Ok(offered(&Field::root(&body.into()))?.specs)
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
        assert_eq!(*specs[0].schema, schema, "{body}");
    }
}

#[test]
fn missing_schemas_take_no_arguments() {
    for parameters in [json!(null), json!({})] {
        let body = json!({"tools": [{"function": {"name": "now", "parameters": parameters}}]});
        assert_eq!(*read(&body).unwrap()[0].schema, no_arguments());
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
    let offered = offered(&Field::root(&(&search).into())).unwrap();
    assert_eq!(offered.specs, []);
    assert_eq!(offered.left_out, ["tools.web_search", "tools.tool_search"]);
}

#[test]
fn namespaces_are_flattened_and_known() {
    let body = json!({"tools": [{"type": "namespace", "name": "fs", "tools": [{"name": "read"}]}, {"name": "write"}]});
    let offered = offered(&Field::root(&(&body).into())).unwrap();
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
        let offered = offered(&Field::root(&(&json!({ "tools": [tool] })).into())).unwrap();
        assert!(offered.forms["patch"].is_text);
        let description = &offered.specs[0].description;
        assert!(description.starts_with("d\n") && description.contains("start: \"x\""));
    }
    let claude = json!({"tools": [{"type": "custom", "name": "a", "input_schema": {}}]});
    assert_eq!(
        offered(&Field::root(&(&claude).into())).unwrap().forms,
        Forms::new()
    );
}

#[test]
fn duplicates() {
    let same = json!({"tools": [{"name": "a"}, {"type": "function", "function": {"name": "a"}}]});
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

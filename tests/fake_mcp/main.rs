//! An MCP server on stdin and stdout that misbehaves on request: its argument says how it starts, and
//! its tools what it does later. Nothing waits longer than [`FOREVER`].

use std::{
    io::{self, BufRead as _, Write as _},
    process::exit,
    thread::sleep,
    time::Duration,
};

use serde_json::{Value, json};

const FOREVER: Duration = Duration::from_secs(120);

fn main() -> io::Result<()> {
    let mode = std::env::args().nth(1).unwrap_or_default();
    match mode.as_str() {
        "dead" => {
            writeln!(io::stderr(), "no database at key_0123456789abcdef")?;
            exit(3);
        }
        "mute" => {
            sleep(FOREVER);
            return Ok(());
        }
        "endless-line" => loop {
            io::stdout().write_all(&[b'x'; 1 << 16])?;
        },
        _ => {}
    }
    let mut more = false;
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let Some(id) = request.get("id") else {
            continue;
        };
        let result = match request["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": request["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "fake", "version": "1"},
            }),
            "tools/list" => match mode.as_str() {
                "liar" => lies(),
                "pages" => json!({"tools": [tool("again")], "nextCursor": "more"}),
                _ => list(more),
            },
            "tools/call" => {
                let arguments = &request["params"]["arguments"];
                let name = request["params"]["name"].as_str().unwrap_or_default();
                if name == "change" {
                    more = true;
                    say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))?;
                }
                call(name, arguments)
            }
            _ => json!({}),
        };
        say(&json!({"jsonrpc": "2.0", "id": id, "result": result}))?;
    }
    Ok(())
}

fn say(message: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{message}")?;
    out.flush()
}

fn tool(name: &str) -> Value {
    json!({
        "name": name, "description": format!("the {name} tool\nof the fake server"),
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
        "annotations": {"readOnlyHint": name == "echo"},
    })
}

fn list(more: bool) -> Value {
    let names = [
        "echo",
        "env",
        "fail",
        "picture",
        "structure",
        "change",
        "die",
        "huge",
        "hang",
        "odd",
    ];
    let new = more.then_some("new");
    let tools: Vec<Value> = names.into_iter().chain(new).map(tool).collect();
    json!({"tools": tools})
}

/// Tools that are not what they say.
fn lies() -> Value {
    let with = |name: &str, schema: Value| json!({"name": name, "inputSchema": schema});
    json!({"tools": [
        with("bad-type", json!({"type": "object", "properties": {"a": {"type": "no type"}}})),
        with("a list", json!({"type": "array"})),
        with("a/list", json!({"properties": 7})),
        with("", json!({})),
        with(&"x".repeat(500), json!({"type": "object"})),
        {"name": "long", "inputSchema": {}, "description": "d".repeat(100_000)},
    ]})
}

fn call(name: &str, arguments: &Value) -> Value {
    let text = |text: &str| json!({"content": [{"type": "text", "text": text}]});
    match name {
        "env" => {
            let name = arguments["text"].as_str().unwrap_or_default();
            text(&std::env::var(name).unwrap_or_else(|_| "unset".to_owned()))
        }
        "fail" => json!({"content": [{"type": "text", "text": "it broke"}], "isError": true}),
        "picture" => {
            json!({"content": [{"type": "image", "data": "iVBORw0K", "mimeType": "image/png"}]})
        }
        "structure" => json!({"content": [], "structuredContent": {"answer": 42}}),
        "die" => {
            let _ = writeln!(io::stderr(), "a bug in the server");
            exit(7);
        }
        "huge" => text(&"x".repeat(50 << 20)),
        "hang" => {
            sleep(FOREVER);
            json!({})
        }
        "odd" => json!({"content": "no list", "isError": "maybe"}),
        _ => text(arguments["text"].as_str().unwrap_or_default()),
    }
}

//! Arguments: the `mcpServers` configuration as JSON, and what calls take as "still running".
//! Each line is a thing that holds; a panic is one that does not.

use std::{env, time::Duration};

use rmcp::{
    ClientLifecycleMode, ClientServiceExt as _, ServiceExt as _,
    model::{CallToolRequestParams, ProtocolVersion},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let config: Value = serde_json::from_str(&env::args().nth(1).unwrap()).unwrap();
    let server = &config["mcpServers"]["oc"];
    let bearer = server["headers"]["Authorization"].as_str().unwrap();
    let bearer = bearer.strip_prefix("Bearer ").unwrap().to_owned();
    let url = server["url"].as_str().unwrap().to_owned();
    let transport = |bearer: &str| {
        let config = StreamableHttpClientTransportConfig::with_uri(url.clone());
        StreamableHttpClientTransport::from_config(config.auth_header(bearer))
    };

    let client = ().serve(transport(&bearer)).await.unwrap();
    println!("ok: initialize");
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert!(names.contains(&"echo") && names.contains(&"await_result"), "{names:?}");
    println!("ok: tools/list, {} tools", tools.len());

    let call = async |tool: &str, arguments: Value| {
        let arguments = arguments.as_object().unwrap().clone();
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = client.call_tool(params);
        let result = tokio::time::timeout(Duration::from_secs(20), result).await;
        serde_json::to_value(result.unwrap().unwrap()).unwrap()
    };
    let text = |result: &Value| result["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(text(&call("echo", json!({"text": "hello"})).await), "hello");
    assert_eq!(call("fail", json!({})).await["isError"], true);
    assert_eq!(call("image", json!({})).await["content"][1]["mimeType"], "image/png");
    assert_eq!(call("no_such_tool", json!({})).await["isError"], true);
    println!("ok: tools/call: text, error, image, unknown tool");

    let running = call("slow", json!({"ms": 3500})).await;
    let id = serde_json::from_str::<Value>(&text(&running)).unwrap()["id"].clone();
    let result = loop {
        let result = call("await_result", json!({"id": id})).await;
        if !text(&result).contains("still running") {
            break result;
        }
    };
    assert_eq!(text(&result), "slow");
    println!("ok: await_result");
    client.cancel().await.unwrap();

    // A client of the newest protocol, which has no `initialize`, finds out that this is an older one.
    let lifecycle = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    };
    let client = ().serve_with_lifecycle(transport(&bearer), lifecycle).await.unwrap();
    assert_eq!(client.list_all_tools().await.unwrap().len(), tools.len());
    client.cancel().await.unwrap();
    println!("ok: a client of the protocol of 2026-07-28 falls back");

    assert!(().serve(transport("wrong")).await.is_err());
    println!("ok: a wrong bearer is refused");
}

//! Google's Gemini API. Its requests keep `model` and `stream` until they are sent: they stand in
//! the address.

use serde_json::{Value, json as value};

use super::{Said, Wire, frames, json, string};

pub struct Gemini;

impl Wire for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn path(&self) -> &'static str {
        "/v1beta/models/{model}:generateContent"
    }

    fn request(&self, chat: &Value) -> Option<Value> {
        let mut request = value!({
            "model": chat["model"],
            "stream": chat["stream"],
            "generationConfig": {"thinkingConfig": {"includeThoughts": true}},
        });
        let mut messages = chat["messages"].as_array()?.clone();
        if messages[0]["role"] == "system" {
            request["systemInstruction"] = content(&messages.remove(0), &[]);
        }
        let all = chat["messages"].as_array()?;
        request["contents"] = messages
            .iter()
            .map(|message| content(message, all))
            .collect();
        let tools = chat["tools"].as_array().into_iter().flatten();
        let tools: Vec<Value> = tools.map(|tool| definition(&tool["function"])).collect();
        if !tools.is_empty() {
            request["tools"] = value!([{"functionDeclarations": tools}]);
        }
        Some(request)
    }

    fn send(&self, request: &Value) -> (String, Value) {
        let mut body = request.clone();
        let members = body.as_object_mut().unwrap();
        let model = members.remove("model").unwrap();
        let stream = members.remove("stream") == Some(value!(true));
        let method = match stream {
            true => "streamGenerateContent?alt=sse",
            false => "generateContent",
        };
        let model = model.as_str().unwrap();
        (format!("/v1beta/models/{model}:{method}"), body)
    }

    fn stream(&self, body: &str) -> Said {
        // An error is no event, but a bare object behind them.
        let at = body.find("{\"error\":").unwrap_or(body.len());
        let (events, error) = body.split_at(at);
        let frames = frames(events);
        assert!(frames.iter().all(|(name, _)| name.is_none()));
        let error = (!error.is_empty()).then(|| json(error));
        read(frames.into_iter().map(|(_, data)| json(data)).chain(error))
    }

    fn whole(&self, body: &Value) -> Said {
        read(std::iter::once(body.clone()))
    }

    fn error(&self, body: &Value) -> String {
        let error = &body["error"];
        assert!(
            (400..600).contains(&error["code"].as_u64().unwrap()),
            "{body}"
        );
        let status = error["status"].as_str().unwrap();
        assert!(
            status
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        );
        string(&error["message"])
    }
}

/// Puts the responses of one answer together; an answer that is not streamed is one of them.
pub fn read(responses: impl Iterator<Item = Value>) -> Said {
    let mut said = Said::default();
    let mut ended = false;
    for response in responses {
        assert!(!ended, "something follows the end: {response}");
        if response.get("error").is_some() {
            said.error = Some(Gemini.error(&response));
            ended = true;
            continue;
        }
        assert!(response["modelVersion"].is_string() && response["responseId"].is_string());
        let candidate = &response["candidates"][0];
        assert_eq!(
            (&candidate["index"], &candidate["content"]["role"]),
            (&value!(0), &value!("model"))
        );
        let parts = candidate["content"]["parts"].as_array().unwrap();
        assert!(!parts.is_empty(), "{response}");
        for part in parts {
            match (part.get("functionCall"), part["thought"] == true) {
                (Some(call), _) => {
                    assert!(call["args"].is_object() && call["id"].is_string(), "{call}");
                    said.calls
                        .push((string(&call["name"]), call["args"].clone()));
                }
                (None, true) => said.reasoning += part["text"].as_str().unwrap(),
                (None, false) => said.text += part["text"].as_str().unwrap(),
            }
        }
        if let Some(reason) = candidate.get("finishReason") {
            said.finish = string(reason);
            ended = true;
        }
        if let Some(usage) = response.get("usageMetadata") {
            assert!(ended && usage["totalTokenCount"].is_u64(), "{response}");
        }
    }
    assert!(ended, "neither a finish reason nor an error");
    said
}

/// A message; `all` tells the names of the tools that results answer.
fn content(message: &Value, all: &[Value]) -> Value {
    let mut parts = Vec::new();
    let role = match message["role"].as_str().unwrap() {
        "assistant" => "model",
        "tool" => {
            let id = &message["tool_call_id"];
            let calls = all
                .iter()
                .filter_map(|message| message["tool_calls"].as_array());
            let call = calls.flatten().find(|call| call["id"] == *id);
            let name = call.map_or(value!("lost"), |call| call["function"]["name"].clone());
            parts.push(value!({"functionResponse": {
                "id": id, "name": name, "response": {"output": message["content"]},
            }}));
            "user"
        }
        "developer" => "system",
        role => role,
    };
    match &message["content"] {
        Value::String(text) if parts.is_empty() => parts.push(value!({ "text": text })),
        Value::Array(items) if parts.is_empty() => {
            parts.extend(items.iter().map(|item| value!({"text": item["text"]})));
        }
        _ => {}
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        let args = json(function["arguments"].as_str().unwrap());
        parts.push(value!({"functionCall": {
            "id": call["id"], "name": function["name"], "args": args,
        }}));
    }
    value!({"role": role, "parts": parts})
}

fn definition(function: &Value) -> Value {
    value!({
        "name": function["name"],
        "description": function["description"],
        "parametersJsonSchema": function["parameters"],
    })
}

//! OpenAI's Responses.

use serde_json::{Value, json as value};

use super::{Said, Wire, frames, json, string};

pub struct Responses;

impl Wire for Responses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn path(&self) -> &'static str {
        "/v1/responses"
    }

    fn request(&self, chat: &Value) -> Option<Value> {
        let mut request = value!({
            "model": chat["model"],
            "store": false,
            "reasoning": {"summary": "auto"},
            "stream": chat["stream"],
        });
        let mut messages = chat["messages"].as_array()?.as_slice();
        if let [first, rest @ ..] = messages
            && first["role"] == "system"
        {
            request["instructions"] = first["content"].clone();
            messages = rest;
        }
        let items: Vec<Value> = messages.iter().flat_map(items).collect();
        request["input"] = items.into();
        let tools = chat["tools"].as_array().into_iter().flatten();
        let tools: Vec<Value> = tools
            .map(|tool| {
                let mut flat = tool["function"].clone();
                flat["type"] = "function".into();
                flat["strict"] = false.into();
                flat
            })
            .collect();
        if !tools.is_empty() {
            request["tools"] = tools.into();
            request["tool_choice"] = "auto".into();
        }
        Some(request)
    }

    fn stream(&self, body: &str) -> Said {
        let mut reader = Reader::default();
        for (name, data) in frames(body) {
            let event = json(data);
            assert_eq!(
                event["type"].as_str(),
                name,
                "an event is named by its type"
            );
            reader.event(&event);
        }
        reader.said.expect("a last event")
    }

    fn whole(&self, body: &Value) -> Said {
        read(body)
    }

    fn error(&self, body: &Value) -> String {
        for key in ["message", "type", "param", "code"] {
            assert!(body["error"].get(key).is_some(), "{body} lacks {key}");
        }
        string(&body["error"]["message"])
    }
}

/// Reads a response object that has ended.
fn read(response: &Value) -> Said {
    assert_eq!(response["object"], "response");
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    // Members that the vendor's types demand.
    for key in [
        "created_at",
        "error",
        "incomplete_details",
        "instructions",
        "metadata",
        "model",
        "output",
        "parallel_tool_calls",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
        "status",
    ] {
        assert!(response.get(key).is_some(), "{response} lacks {key}");
    }
    let usage = &response["usage"];
    if !usage.is_null() {
        let count = |key: &str| usage[key].as_u64().unwrap();
        assert_eq!(
            count("total_tokens"),
            count("input_tokens") + count("output_tokens")
        );
        assert!(usage["input_tokens_details"]["cached_tokens"].is_u64());
        assert!(usage["output_tokens_details"]["reasoning_tokens"].is_u64());
    }
    let status = string(&response["status"]);
    let mut said = Said {
        error: response["error"]["message"].as_str().map(str::to_owned),
        ..Said::default()
    };
    assert_eq!(said.error.is_some(), status == "failed");
    if status != "failed" {
        said.finish = status;
    }
    for item in response["output"].as_array().unwrap() {
        match item["type"].as_str().unwrap() {
            "message" => {
                for part in item["content"].as_array().unwrap() {
                    assert_eq!(
                        (&part["type"], &part["annotations"]),
                        (&value!("output_text"), &value!([]))
                    );
                    said.text += part["text"].as_str().unwrap();
                }
            }
            "reasoning" => {
                for part in item["summary"].as_array().unwrap() {
                    said.reasoning += part["text"].as_str().unwrap();
                }
            }
            "function_call" => {
                assert_eq!(item["status"], "completed");
                assert!(item["call_id"].is_string());
                said.calls.push((
                    string(&item["name"]),
                    json(item["arguments"].as_str().unwrap()),
                ));
            }
            other => panic!("an item of type {other}"),
        }
    }
    said
}

fn items(chat: &Value) -> Vec<Value> {
    match chat["role"].as_str().unwrap() {
        "tool" => vec![
            value!({"type": "function_call_output", "call_id": chat["tool_call_id"], "output": chat["content"]}),
        ],
        "assistant" => {
            let text = chat["content"].as_str();
            let parts: Vec<Value> = text
                .map(|text| value!({"type": "output_text", "text": text, "annotations": []}))
                .into_iter()
                .collect();
            let mut items =
                vec![value!({"type": "message", "role": "assistant", "content": parts})];
            for call in chat["tool_calls"].as_array().into_iter().flatten() {
                let function = &call["function"];
                items.push(value!({"type": "function_call", "call_id": call["id"], "name": function["name"], "arguments": function["arguments"]}));
            }
            items
        }
        role => {
            let content = match &chat["content"] {
                Value::Array(parts) => parts
                    .iter()
                    .map(|part| value!({"type": "input_text", "text": part["text"]}))
                    .collect(),
                text => text.clone(),
            };
            vec![value!({"type": "message", "role": role, "content": content})]
        }
    }
}

/// Puts a stream together as OpenAI's own SDK does, is strict about the order, and demands that
/// the last event says the same as all before it.
#[derive(Default)]
struct Reader {
    sequence: u64,
    id: Option<Value>,
    /// The item that is open, as it was added, with what its deltas gave.
    open: Option<(Value, String)>,
    part: bool,
    output: Vec<Value>,
    said: Option<Said>,
}

impl Reader {
    fn event(&mut self, event: &Value) {
        assert!(self.said.is_none(), "something follows the end: {event}");
        assert_eq!(event["sequence_number"], self.sequence, "{event}");
        let kind = event["type"]
            .as_str()
            .unwrap()
            .strip_prefix("response.")
            .unwrap();
        match self.sequence {
            0 => assert_eq!(kind, "created"),
            1 => assert_eq!(kind, "in_progress"),
            _ => {}
        }
        self.sequence += 1;
        if let Some(response) = event.get("response") {
            let id = self.id.get_or_insert_with(|| response["id"].clone());
            assert_eq!(response["id"], *id);
            match kind {
                "created" | "in_progress" => {
                    assert_eq!(
                        (&response["status"], &response["output"]),
                        (&value!("in_progress"), &value!([]))
                    );
                }
                "completed" | "incomplete" | "failed" => {
                    assert!(self.open.is_none(), "the end within an item");
                    assert_eq!(response["status"], kind);
                    assert_eq!(response["output"], Value::from(self.output.clone()));
                    self.said = Some(read(response));
                }
                other => panic!("a response in an event of type {other}"),
            }
            return;
        }
        assert_eq!(event["output_index"], self.output.len(), "{event}");
        if kind == "output_item.added" {
            assert!(self.open.is_none(), "an item within an item");
            self.open = Some((event["item"].clone(), String::new()));
            return;
        }
        let (item, text) = self.open.as_mut().expect("an open item");
        let id = event.get("item_id").unwrap_or(&event["item"]["id"]);
        assert_eq!(item["id"], *id, "{event}");
        match kind {
            "output_item.done" => {
                assert!(!self.part, "a part is open");
                let done = event["item"].clone();
                assert_eq!(
                    (&done["type"], &done["call_id"]),
                    (&item["type"], &item["call_id"])
                );
                let said = read_item(&done);
                assert_eq!(said, *text, "the item is not what its deltas gave");
                self.output.push(done);
                self.open = None;
            }
            "content_part.added" | "reasoning_summary_part.added" => {
                assert!(!self.part);
                self.part = true;
            }
            "content_part.done" | "reasoning_summary_part.done" => {
                assert!(self.part);
                assert_eq!(event["part"]["text"], *text);
                self.part = false;
            }
            "output_text.delta" | "reasoning_summary_text.delta" => {
                assert!(self.part, "a delta outside a part");
                *text += event["delta"].as_str().unwrap();
            }
            "output_text.done" | "reasoning_summary_text.done" => assert_eq!(event["text"], *text),
            "function_call_arguments.delta" => *text += event["delta"].as_str().unwrap(),
            "function_call_arguments.done" => {
                assert_eq!(
                    (&event["arguments"], &event["name"]),
                    (&value!(*text), &item["name"])
                );
            }
            other => panic!("an event of type {other}"),
        }
    }
}

fn read_item(item: &Value) -> String {
    match item["type"].as_str().unwrap() {
        "message" => string(&item["content"][0]["text"]),
        "reasoning" => string(&item["summary"][0]["text"]),
        _ => string(&item["arguments"]),
    }
}

use super::*;
use crate::turn::{ErrorKind, TurnError};

fn reply(streaming: Streaming) -> Box<GeminiReply> {
    let stamp = Stamp {
        id: "1".to_owned(),
        created: 1,
        owner: None,
    };
    Box::new(GeminiReply::new(&stamp, "m", streaming, true))
}

fn call(arguments: &str) -> ToolCall {
    ToolCall {
        id: "call_1".to_owned(),
        name: "ls".to_owned(),
        arguments: arguments.to_owned(),
    }
}

#[test]
fn an_array_is_json_at_every_end() {
    let usage = Usage {
        input: 1,
        cache_read: Some(2),
        output: 5,
        reasoning: Some(4),
        ..Usage::default()
    };
    for (said, end) in [
        (true, TurnEnd::finished(FinishReason::Stop, Some(usage))),
        (
            true,
            TurnEnd::failed(TurnError::new(ErrorKind::AgentFailed, "no")),
        ),
        (
            false,
            TurnEnd::failed(TurnError::new(ErrorKind::AgentFailed, "no")),
        ),
        (false, TurnEnd::finished(FinishReason::Length, None)),
    ] {
        let mut reply = reply(Streaming::Array);
        let mut out = reply.heartbeat().to_vec();
        if said {
            reply.delta(&Delta::Reasoning("h\"m".to_owned()), &mut out);
            out.extend_from_slice(reply.heartbeat());
            reply.delta(&Delta::Text("hi".to_owned()), &mut out);
            reply.delta(&Delta::ToolCall(Box::new(call("{\"a\":1}"))), &mut out);
        }
        reply.end(&end, &mut out);
        let chunks: Vec<Value> = serde_json::from_slice(&out).unwrap();
        assert_eq!(chunks.len(), if said { 4 } else { 1 });
        let last = chunks.last().unwrap();
        match &end.outcome {
            Err(_) => assert_eq!(last["error"]["code"], 502),
            Ok(reason) => {
                let found = &last["candidates"][0]["finishReason"];
                assert_eq!(found, finish_reason(reason));
            }
        }
        if end.usage.is_some() {
            assert_eq!(
                last["usageMetadata"],
                json!({
                    "promptTokenCount": 3, "cachedContentTokenCount": 2,
                    "candidatesTokenCount": 1, "thoughtsTokenCount": 4, "totalTokenCount": 8,
                })
            );
        }
        if said {
            let part = |at: usize| &chunks[at]["candidates"][0]["content"]["parts"][0];
            assert_eq!(part(0), &json!({"text": "h\"m", "thought": true}));
            assert_eq!(part(1), &json!({"text": "hi"}));
            assert_eq!(part(2)["functionCall"]["args"], json!({"a": 1}));
        }
    }
}

#[test]
fn an_error_in_a_stream_is_a_bare_object() {
    let mut out = Vec::new();
    let error = TurnError::new(ErrorKind::UsageLimit, "no");
    reply(Streaming::Events).end(&TurnEnd::failed(error), &mut out);
    let out = String::from_utf8(out).unwrap();
    // Google's SDK for Python looks for just this beginning.
    assert!(
        out.starts_with("{\"error\":{\"code\":402,") && out.ends_with("}}\n\n"),
        "{out}"
    );
}

#[test]
fn candidates_have_their_numbers() {
    let mut reply = reply(Streaming::Events);
    let mut out = Vec::new();
    for choice in [1, 0] {
        reply.choose(choice);
        reply.delta(&Delta::Text(choice.to_string()), &mut out);
    }
    reply.end_choice(&FinishReason::Stop, &mut out);
    let out = String::from_utf8(out).unwrap();
    let chunks = out.split_terminator("\n\n").map(|frame| {
        let chunk: Value = serde_json::from_str(&frame["data: ".len()..]).unwrap();
        chunk["candidates"][0].clone()
    });
    let said: Vec<_> = chunks
        .map(|it| {
            (
                it["index"].as_u64().unwrap(),
                it["content"]["parts"][0]["text"].clone(),
            )
        })
        .collect();
    assert_eq!(said, [(1, json!("1")), (0, json!("0")), (0, json!(""))]);
}

#[test]
fn arguments_are_an_object_whatever_they_are() {
    for (arguments, args) in [
        ("{\"a\":1}", json!({"a": 1})),
        ("broken", json!({"input": "broken"})),
        ("[1]", json!({"input": "[1]"})),
    ] {
        assert_eq!(
            function_call(&call(arguments))["functionCall"]["args"],
            args
        );
    }
}

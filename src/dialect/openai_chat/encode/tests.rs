use super::*;
use crate::{
    dialect::tools::Forms,
    turn::{ErrorKind, TurnError, Usage},
};

fn reply(include_usage: bool, legacy: bool) -> Box<ChatReply> {
    let stamp = Stamp {
        id: "x".to_owned(),
        created: 7,
        owner: None,
    };
    Box::new(ChatReply::new(
        &stamp,
        "a\"b",
        2,
        include_usage,
        CallEncoder::new(legacy, Forms::new()),
        Telling::Never,
    ))
}

fn call(id: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "read".to_owned(),
        arguments: r#"{"filePath":"a"}"#.to_owned(),
    }
}

fn stream(mut reply: Box<ChatReply>, deltas: &[Delta], end: &TurnEnd) -> Vec<Value> {
    let mut out = Vec::new();
    for delta in deltas {
        reply.delta(delta, &mut out);
    }
    reply.end(end, &mut out);
    let text = String::from_utf8(out).unwrap();
    let mut frames: Vec<&str> = text.split_terminator("\n\n").collect();
    assert_eq!(frames.pop(), Some("data: [DONE]"));
    frames
        .iter()
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

const USAGE: Usage = Usage {
    input: 10,
    output: 5,
    cache_read: Some(100),
    cache_write: Some(7),
    reasoning: None,
    cost: None,
    estimated: false,
};

#[test]
fn a_text_stream() {
    let deltas = [Delta::Reasoning("hm".into()), Delta::Text("a\n\"é".into())];
    let end = TurnEnd::finished(FinishReason::Stop, Some(USAGE));
    let chunks = stream(reply(true, false), &deltas, &end);
    assert_eq!(
        chunks[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": ""})
    );
    assert_eq!(
        chunks[1]["choices"][0]["delta"],
        json!({"reasoning_content": "hm"})
    );
    assert_eq!(
        chunks[2]["choices"][0]["delta"],
        json!({"content": "a\n\"é"})
    );
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[4]["choices"], json!([]));
    assert_eq!(
        chunks[4]["usage"],
        json!({"prompt_tokens": 117, "completion_tokens": 5, "total_tokens": 122,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 7}})
    );
    for chunk in &chunks {
        assert_eq!(chunk["id"], "chatcmpl-x");
        assert_eq!(chunk["model"], "a\"b");
        assert_eq!(chunk["created"], 7);
        assert_eq!(chunk["object"], "chat.completion.chunk");
    }
}

#[test]
fn usage_is_sent_only_if_wanted_and_known() {
    let end = TurnEnd::finished(FinishReason::Stop, Some(USAGE));
    assert_eq!(stream(reply(false, false), &[], &end).len(), 2);
    let unknown = TurnEnd::finished(FinishReason::Stop, None);
    assert_eq!(stream(reply(true, false), &[], &unknown).len(), 2);
}

#[test]
fn parallel_calls_have_their_own_index() {
    let deltas = [
        Delta::ToolCall(Box::new(call("c1"))),
        Delta::ToolCall(Box::new(call("c2"))),
    ];
    let end = TurnEnd::finished(FinishReason::ToolCalls, None);
    let chunks = stream(reply(true, false), &deltas, &end);
    for (index, id) in ["c1", "c2"].iter().enumerate() {
        assert_eq!(
            chunks[index + 1]["choices"][0]["delta"]["tool_calls"],
            json!([{"index": index, "id": id, "type": "function",
                "function": {"name": "read", "arguments": "{\"filePath\":\"a\"}"}}])
        );
    }
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn an_error_is_an_event_and_never_a_finish() {
    let end = TurnEnd::failed(TurnError::new(ErrorKind::AgentFailed, "died"));
    let chunks = stream(reply(true, false), &[Delta::Text("half".into())], &end);
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[2]["error"]["message"], "died");
}

#[test]
fn whole_answers() {
    let mut answer = Collected::default();
    answer.push(Delta::ToolCall(Box::new(call("c1"))));
    answer.finish_reason = FinishReason::ToolCalls;
    let end = TurnEnd::finished(FinishReason::ToolCalls, Some(USAGE));
    let whole = |legacy, answer| -> Value {
        let body = reply(true, legacy).whole(answer, &[], &end);
        serde_json::from_slice(&body).unwrap()
    };
    let body = whole(false, &answer);
    let message = &body["choices"][0]["message"];
    assert_eq!(message["content"], Value::Null);
    assert_eq!(message["tool_calls"][0]["function"]["name"], "read");
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(body["usage"]["total_tokens"], 122);

    let body = whole(true, &answer);
    assert_eq!(body["choices"][0]["finish_reason"], "function_call");
    assert_eq!(
        body["choices"][0]["message"]["function_call"]["name"],
        "read"
    );

    let body = whole(false, &Collected::default());
    assert_eq!(
        body["choices"][0]["message"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
}

#[test]
fn choices_are_told_apart() {
    let mut reply = reply(true, false);
    let mut out = Vec::new();
    reply.delta(&Delta::Text("a".into()), &mut out);
    reply.choose(1);
    reply.delta(&Delta::Text("b".into()), &mut out);
    reply.choose(0);
    reply.end_choice(&FinishReason::Length, &mut out);
    reply.choose(1);
    reply.end(
        &TurnEnd::finished(FinishReason::Stop, Some(USAGE)),
        &mut out,
    );
    let text = String::from_utf8(out).unwrap();
    let seen: Vec<(u64, String)> = text
        .split_terminator("\n\n")
        .filter_map(|frame| serde_json::from_str(frame.strip_prefix("data: ")?).ok())
        .filter_map(|chunk: Value| {
            let choice = chunk["choices"].get(0)?;
            let said = choice["finish_reason"]
                .as_str()
                .or(choice["delta"]["content"].as_str());
            Some((choice["index"].as_u64()?, said?.to_owned()))
        })
        .collect();
    let wanted = [
        (0, ""),
        (0, "a"),
        (1, ""),
        (1, "b"),
        (0, "length"),
        (1, "stop"),
    ];
    assert_eq!(seen, wanted.map(|(index, said)| (index, said.to_owned())));
}

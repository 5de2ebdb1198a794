//! Calls in the answer's text (rows F-50 to F-62) through the whole server: one case per style. All
//! forms are tested in `boundary/text_calls/tests.rs`.

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::{
    support::{Stream, TestServer, user},
    tools::opencode_tools,
};

fn request() -> Value {
    let mut request = user("fake-play", "go");
    let mut tools = opencode_tools();
    tools.as_array_mut().unwrap().push(json!({"type": "function", "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }}));
    request["tools"] = tools;
    request
}

/// What the answer says and calls, streamed; the whole answer must say the same.
async fn answer(
    server: &TestServer,
    request: &Value,
    deltas: &[&str],
) -> (String, Vec<(String, Value)>) {
    server.say(deltas);
    let stream = server.stream(request).await;
    let wanted = if stream.tool_calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    };
    assert_eq!(stream.finish_reason.as_deref(), Some(wanted));
    let message = server.whole(request).await.message();
    let whole = message["content"].as_str().unwrap_or_default();
    assert_eq!(whole, stream.text);
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    let names: Vec<&str> = calls
        .map(|call| call["function"]["name"].as_str().unwrap())
        .collect();
    let streamed = stream.calls();
    assert!(names.iter().eq(streamed.iter().map(|(name, _)| name)));
    (stream.text, streamed)
}

/// Every character as a delta of its own.
fn split(text: &str) -> Vec<&str> {
    text.char_indices()
        .map(|(at, c)| &text[at..at + c.len_utf8()])
        .collect()
}

#[tokio::test]
async fn calls_are_recovered_however_they_are_split() {
    let server = TestServer::start().await;
    let weather = || ("get_weather".to_owned(), json!({"city": "Oslo"}));
    let read = || ("read".to_owned(), json!({"filePath": "/a"}));
    let protocol =
        r#"<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>"#;
    let cases = [
        // The protocol, XML, `invoke`, fenced JSON.
        (
            format!("One moment.\n{protocol}\n{protocol}"),
            "One moment.\n",
            vec![weather(), weather()],
        ),
        (
            "<read_file><path>/a</path></read_file>".to_owned(),
            "",
            vec![read()],
        ),
        (
            "<invoke name=\"get_weather\">\n<parameter name=\"city\">Oslo</parameter>\n</invoke>"
                .to_owned(),
            "",
            vec![weather()],
        ),
        (
            "```json\n{\"name\": \"read\", \"arguments\": {\"filePath\": \"/a\"}}\n```".to_owned(),
            "",
            vec![read()],
        ),
        // Behind text on its line, and JSON alone.
        (
            format!("One moment. {protocol} {protocol}"),
            "One moment.",
            vec![weather(), weather()],
        ),
        (
            r#"{"name": "read", "arguments": {"filePath": "/a"}}"#.to_owned(),
            "",
            vec![read()],
        ),
        // A quoted call is text.
        (
            format!("Write `{protocol}` to call it."),
            "Write `@` to call it.",
            vec![],
        ),
    ];
    let request = request();
    for (said, text, calls) in cases {
        let text = text.replace('@', protocol);
        for deltas in [vec![said.as_str()], split(&said)] {
            let (found_text, found) = answer(&server, &request, &deltas).await;
            assert_eq!(found, calls, "{said}");
            assert_eq!(found_text.trim(), text.trim(), "{said}");
        }
    }
}

#[tokio::test]
async fn without_tools_to_call_all_is_text() {
    let server = TestServer::start().await;
    let said = r#"<tool_call>{"name": "read", "arguments": {"filePath": "/a"}}</tool_call>"#;
    let mut none = request();
    none["tool_choice"] = "none".into();
    for request in [user("fake-play", "go"), none] {
        let (text, calls) = answer(&server, &request, &[said]).await;
        assert_eq!((text.as_str(), calls), (said, vec![]));
    }
}

#[tokio::test]
async fn the_setting_says_which_styles_count() {
    use open_cursor::boundary::TextCalls;
    let asked_for = r#"<tool_call>{"name": "read", "arguments": {"filePath": "/a"}}</tool_call>"#;
    let xml = "<read_file><path>/a</path></read_file>";
    for (mode, counts) in [
        (TextCalls::Lenient, [1, 1]),
        (TextCalls::Strict, [1, 0]),
        (TextCalls::Off, [0, 0]),
    ] {
        let server = TestServer::with(|setup| setup.engine.boundary.text_calls = mode).await;
        for (said, count) in [asked_for, xml].into_iter().zip(counts) {
            let (text, calls) = answer(&server, &request(), &[said]).await;
            assert_eq!(calls.len(), count, "{mode:?} {said}");
            assert_eq!(text, if count == 0 { said } else { "" });
        }
        let health = server.get("/health").await.json();
        let recovered = health["recoveredCalls"].as_u64().unwrap();
        assert_eq!(recovered > 0, counts != [0, 0], "{mode:?}");
    }
}

#[tokio::test]
async fn a_broken_call_goes_to_the_client_to_be_refused() {
    let server = TestServer::start().await;
    let said = r#"<tool_call>{"name": "get_weather", "arguments": {"town": "Oslo"}}</tool_call>"#;
    let (_, calls) = answer(&server, &request(), &[said]).await;
    assert_eq!(calls, [("get_weather".to_owned(), json!({"town": "Oslo"}))]);
    let server = TestServer::with(|setup| setup.engine.boundary.auto_fallback = false).await;
    let (text, calls) = answer(&server, &request(), &[said]).await;
    assert!(calls.is_empty() && text.contains("missing city"), "{text}");
}

/// The beginning of a call is held back until it is one; an agent that dies meanwhile takes nothing
/// with it.
#[tokio::test]
async fn what_was_held_back_comes_before_the_error() {
    let server = TestServer::start().await;
    let failure = json!({
        "type": "result", "subtype": "error", "is_error": true, "result": "The model gave up.",
        "duration_ms": 1, "session_id": "s",
    });
    for said in [
        "look:\n<tool_call>{\"name\":\"get",
        "look:\n<tool_",
        "look:\n<read_file><path>/a</path>",
        "look:\n```",
        "look:\n<tool_call>{\"name\": \"read\", \"arguments\": {}}</tool_call",
    ] {
        for end in [vec![], vec![failure.clone()]] {
            server.say_and(&[said], &end);
            let stream = server.stream(&request()).await;
            assert_eq!(stream.text, said, "{end:?}");
            assert!(stream.error.is_some(), "{said} {end:?}");
        }
    }
}

#[tokio::test]
async fn what_was_held_back_comes_before_the_end_of_the_server() {
    let server = TestServer::start().await;
    let said = "look:\n<tool_call>{\"name\":\"get";
    server.say_and(&[said], &[]);
    let mut request = request();
    request["model"] = "fake-play-hang".into();
    request["stream"] = true.into();
    let mut body = server.post(&request).await.into_body();
    let mut text = String::new();
    while let Some(frame) = body.frame().await {
        text += std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap();
        if text.contains("look:") {
            server.app.engine().stop();
        }
    }
    let stream = Stream::parse(&text);
    assert_eq!(stream.text, said);
    assert!(stream.error.is_some());
}

//! Calls in the answer's text (rows F-50 to F-62), through the whole server.

use serde_json::{Value, json};

use crate::{
    support::{TestServer, user},
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
async fn every_style_is_recovered_however_it_is_split() {
    let server = TestServer::start().await;
    let weather = || ("get_weather".to_owned(), json!({"city": "Oslo"}));
    let read = || ("read".to_owned(), json!({"filePath": "/a"}));
    let call = r#"<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>"#;
    let json = r#"{"name": "get_weather", "arguments": {"city": "Oslo"}}"#;
    let invoke =
        "<invoke name=\"get_weather\">\n<parameter name=\"city\">Oslo</parameter>\n</invoke>";
    let namespaced = ["invoke", "parameter"]
        .iter()
        .fold(invoke.to_owned(), |text, tag| {
            let text = text.replace(&format!("<{tag}"), &format!("<ns:{tag}"));
            text.replace(&format!("</{tag}"), &format!("</ns:{tag}"))
        });
    let code = "if a < b && c > d { \"<x>\" }\n&amp; </b>\n";
    let cases = [
        (call.to_owned(), "", vec![weather()]),
        (
            format!("One moment.\n{call}"),
            "One moment.\n",
            vec![weather()],
        ),
        (format!("{call}\n{call}"), "", vec![weather(), weather()]),
        (
            "<read_file><path>/a</path></read_file>".to_owned(),
            "",
            vec![read()],
        ),
        (
            format!(
                "<write_to_file>\n<path>/b</path>\n<content>\n{code}</content>\n</write_to_file>"
            ),
            "",
            vec![(
                "write".to_owned(),
                json!({"filePath": "/b", "content": code}),
            )],
        ),
        (
            "<execute_command>\n<command>make && echo ok</command>\n</execute_command>".to_owned(),
            "",
            vec![("bash".to_owned(), json!({"command": "make && echo ok"}))],
        ),
        (
            "<search_files>\n<path>/src</path>\n<regex>a.*b</regex>\n</search_files>".to_owned(),
            "",
            vec![(
                "grep".to_owned(),
                json!({"pattern": "a.*b", "path": "/src"}),
            )],
        ),
        (
            "<attempt_completion>\n<result>\nAll done.\n</result>\n</attempt_completion>"
                .to_owned(),
            "All done.",
            vec![],
        ),
        (invoke.to_owned(), "", vec![weather()]),
        (
            format!("<function_calls>\n{invoke}\n</function_calls>"),
            "",
            vec![weather()],
        ),
        (
            format!("<ns:function_calls>\n{namespaced}\n</ns:function_calls>"),
            "",
            vec![weather()],
        ),
        (format!("```json\n{json}\n```"), "", vec![weather()]),
        (
            format!("Look:\n```tool_call\n{json}\n```\n"),
            "Look:\n",
            vec![weather()],
        ),
        (
            "[Called tool: read({\"filePath\": \"/a\"})]".to_owned(),
            "",
            vec![read()],
        ),
    ];
    let request = request();
    for (said, text, calls) in cases {
        for deltas in [vec![said.as_str()], split(&said)] {
            let (found_text, found) = answer(&server, &request, &deltas).await;
            assert_eq!(found, calls, "{said}");
            assert_eq!(found_text.trim(), text.trim(), "{said}");
        }
    }
}

#[tokio::test]
async fn what_is_no_call_stays_text() {
    let server = TestServer::start().await;
    let call = r#"<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>"#;
    let json = r#"{"name": "get_weather", "arguments": {"city": "Oslo"}}"#;
    let cases = [
        format!("Write {call} to call it."),
        format!("```\n{call}\n```\n"),
        format!("~~~xml\n{call}\n~~~\nThat is how."),
        format!("    {call}\n"),
        format!("`{call}`"),
        call.replace("get_weather", "launch_rockets"),
        call.replace("</tool_call>", ""),
        "<tool_call>not JSON</tool_call>".to_owned(),
        "<unknown_tool><path>/a</path></unknown_tool>".to_owned(),
        "<read_file><path>/a</path>".to_owned(),
        "Use <read> and </read> around it.".to_owned(),
        format!("Here is an example:\n```json\n{json}\n```\nGood luck."),
        "a < b, c > d, <3 and a lone <".to_owned(),
        "[Called tool: launch({})]".to_owned(),
    ];
    let request = request();
    for said in cases {
        for deltas in [vec![said.as_str()], split(&said)] {
            let (text, calls) = answer(&server, &request, &deltas).await;
            assert_eq!((text.as_str(), calls), (said.as_str(), vec![]));
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

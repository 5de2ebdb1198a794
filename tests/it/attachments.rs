use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{TestServer, user, wait_until};

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAEElEQVR4nGP4z8AARwzEcQCukw/x0F8jngAAAABJRU5ErkJggg==";
const READ: &str = r#"{"type": "function", "function": {"name": "read", "parameters": {
    "type": "object", "required": ["filePath"], "properties": {"filePath": {"type": "string"}}}}}"#;

fn request(content: Value) -> Value {
    let mut body = user("fake-attachments", "");
    body["messages"][0]["content"] = content;
    body["tools"] = json!([serde_json::from_str::<Value>(READ).unwrap()]);
    body
}

#[tokio::test]
async fn the_agent_reads_what_was_attached_and_nothing_of_it_stays() {
    let server = TestServer::start().await;
    // As OpenCode sends it, then as others do, and a text.
    let stream = server
        .stream(&request(json!([
            {"type": "text", "text": "Image read successfully"},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0lGODlh"}},
            {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="}},
            {"type": "text", "text": "look"},
        ])))
        .await;
    assert_eq!(
        stream.tool_calls,
        [] as [Value; 0],
        "the client can't read them"
    );
    let seen: Vec<Vec<&str>> = stream
        .text
        .lines()
        .map(|line| line.split('|').collect())
        .collect();
    let facts: Vec<&[&str]> = seen.iter().map(|file| &file[1..]).collect();
    assert_eq!(
        facts,
        [
            ["73", "\"\u{fffd}PNG\""],
            ["6", "\"GIF8\""],
            ["5", "\"hell\""]
        ],
        "{}",
        stream.text
    );
    for (file, name) in seen.iter().zip(["1.png", "2.gif", "3.txt"]) {
        let path = PathBuf::from(file[0]);
        assert!(path.ends_with(name), "{}", path.display());
        wait_until("the removal", || !path.exists()).await;
    }
}

#[tokio::test]
async fn what_can_not_be_passed_on_is_a_400_with_the_reason() {
    let server = TestServer::start().await;
    for (part, reason) in [
        (
            json!({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}),
            "fetches nothing",
        ),
        (
            json!({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,Qk0AAA=="}}),
            "neither a PNG",
        ),
        (
            json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
            "input_audio",
        ),
    ] {
        let answer = server.whole(&request(json!([part]))).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains(reason), "{}", answer.body);
    }
    let gif = json!({"inlineData": {"mimeType": "image/gif", "data": "R0lGODlh"}});
    let answer = server.whole(&request(json!(vec![gif; 101]))).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("at most 100"), "{}", answer.body);
}

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{calls::Incoming, *};

fn called(incoming: Option<Incoming>) -> calls::BridgeCall {
    match incoming {
        Some(Incoming::Called(call)) => call,
        other => panic!("{other:?}"),
    }
}

/// Sends the text as it is and reads until the connection closes.
async fn raw(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A request with these headers.
fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text + "\r\n" + body
}

#[tokio::test]
async fn only_the_bridge_is_let_in() {
    let calls = BridgeCalls::default();
    let (desk, mut received) = calls.open("a", calls::tests::named("t"));
    let tracker = TaskTracker::new();
    let callback = Callback::listen(calls, &tracker).await.unwrap();
    let (host, bearer) = (
        callback.address.to_string(),
        format!("Bearer {}", callback.token()),
    );
    let (host, bearer) = (host.as_str(), bearer.as_str());
    let call = r#"{"agentId":"a","toolName":"t","args":{"x":1},"toolCallId":"1"}"#;
    let other = call.replace("\"a\"", "\"b\"");
    let long = "x".repeat(64);
    let wrong = format!("Bearer {long}");
    let good = [("Host", host), ("Authorization", bearer)];
    for (status, text) in [
        ("401", request("POST", PATH, &[("Host", host)], call)),
        (
            "401",
            request(
                "POST",
                PATH,
                &[("Host", host), ("Authorization", &wrong)],
                call,
            ),
        ),
        (
            "401",
            request(
                "POST",
                PATH,
                &[("Host", host), ("Authorization", "Bearer ")],
                call,
            ),
        ),
        (
            "403",
            request(
                "POST",
                PATH,
                &[("Host", "evil.example"), ("Authorization", bearer)],
                call,
            ),
        ),
        (
            "403",
            request(
                "POST",
                PATH,
                &[good[0], good[1], ("Origin", "http://evil.example")],
                call,
            ),
        ),
        ("404", request("POST", "/other", &good, call)),
        ("405", request("GET", PATH, &good, "")),
        (
            "400",
            request(
                "POST",
                PATH,
                &[good[0], good[1], ("Connect-Protocol-Version", "2")],
                call,
            ),
        ),
        ("400", request("POST", PATH, &good, "{")),
        ("400", request("POST", PATH, &good, r#"{"toolName":"t"}"#)),
        ("404", request("POST", PATH, &good, &other)),
    ] {
        let answer = raw(callback.address, &text).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{text}\n{answer}"
        );
        assert!(answer.contains("\"code\":"), "{answer}");
    }
    assert!(received.try_recv().is_err());

    let text = request("POST", PATH, &good, call);
    let (answer, ()) = tokio::join!(raw(callback.address, &text), async {
        let call = called(received.recv().await);
        assert_eq!(
            (call.name.as_str(), call.arguments.get("x")),
            ("t", Some(&json!(1)))
        );
        assert!(desk.reply(call.key, json!("done")));
    });
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("done"),
        "{answer}"
    );
    drop(callback);
    tracker.close();
    tracker.wait().await;
}

#[tokio::test]
async fn a_call_of_a_run_that_ends_gets_an_error() {
    let calls = BridgeCalls::default();
    let (desk, mut received) = calls.open("a", calls::tests::named("t"));
    let callback = Callback::listen(calls, &TaskTracker::new()).await.unwrap();
    let bearer = format!("Bearer {}", callback.token());
    let host = callback.address.to_string();
    let headers = [("Host", host.as_str()), ("Authorization", bearer.as_str())];
    let text = request("POST", PATH, &headers, r#"{"agentId":"a","toolName":"t"}"#);
    let (answer, ()) = tokio::join!(raw(callback.address, &text), async {
        received.recv().await.unwrap();
        drop(desk);
    });
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("isError"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_call_that_is_given_up_is_noticed() {
    let calls = BridgeCalls::default();
    let (desk, mut received) = calls.open("a", calls::tests::named("t"));
    let callback = Callback::listen(calls, &TaskTracker::new()).await.unwrap();
    let bearer = format!("Bearer {}", callback.token());
    let host = callback.address.to_string();
    let headers = [("Host", host.as_str()), ("Authorization", bearer.as_str())];
    let text = request("POST", PATH, &headers, r#"{"agentId":"a","toolName":"t"}"#);
    let mut stream = TcpStream::connect(callback.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let call = called(received.recv().await);
    // The head of the answer is there although the answer is not.
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    drop(stream);
    let next = timeout(Duration::from_secs(10), received.recv()).await;
    assert_eq!(next.unwrap(), Some(Incoming::GivenUp(call.key)));
    assert!(!desk.reply(call.key, json!("late")));
}

#[tokio::test(start_paused = true)]
async fn a_held_call_shows_that_it_lives() {
    use futures::StreamExt;

    let calls = BridgeCalls::default();
    let (desk, _received) = calls.open("a", calls::tests::named("t"));
    let request = json!({"agentId": "a", "toolName": "t"});
    let reply = calls
        .call(serde_json::from_value(request).unwrap())
        .unwrap();
    let mut body = std::pin::pin!(wait(reply));
    for _ in 0..3 {
        let frame = body.next().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), " ");
    }
    assert!(desk.reply(0, json!("x")));
    let frame = body.next().await.unwrap().unwrap();
    assert!(frame.into_data().unwrap().starts_with(b"{\"result\""));
    assert!(body.next().await.is_none());
}

#[test]
fn tokens_differ() {
    let (one, two) = (token().unwrap(), token().unwrap());
    assert_eq!((one.len(), two.len()), (64, 64));
    assert_ne!(one, two);
}

//! Everything ends: offers, endpoints, floods, agents that stand still.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::{client::Client, *};

/// Whether nothing listens there any more, waiting for that if need be.
async fn is_gone(addr: &str) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        if TcpStream::connect(addr).await.is_err() {
            return true;
        }
        sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn the_end_of_an_offer_answers_held_calls_and_refuses_later_ones() {
    let (endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let other = endpoint.offer(&[spec("bash")]);
    let held = agent.start(&call(1, "bash", json!({}))).await;
    called(&mut offer).await;
    drop(offer);
    let answer = held.messages().await;
    assert_eq!(answer[0]["id"], 1);
    assert!(
        answer[0]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("has ended")
    );
    assert_eq!(agent.start(&call(2, "bash", json!({}))).await.status(), 404);
    let pong = Client::of(&other).ask(&request(1, "ping", json!({}))).await;
    assert_eq!(pong[0]["result"], json!({}));
}

#[tokio::test]
async fn closing_ends_everything() {
    let (endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let held = agent.start(&call(1, "bash", json!({}))).await;
    called(&mut offer).await;
    endpoint.close();
    endpoint.close();
    assert!(held.messages().await[0]["error"].is_object());
    assert_eq!(next(&mut offer).await, None);
    assert!(is_gone(agent.addr()).await);
    assert_eq!(next(&mut endpoint.offer(&[])).await, None);
}

#[tokio::test]
async fn the_last_clone_or_offer_ends_the_endpoint() {
    let (endpoint, offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    drop(endpoint.clone());
    drop(endpoint);
    assert_eq!(agent.ask(&request(1, "ping", json!({}))).await[0]["id"], 1);
    drop(offer);
    assert!(is_gone(agent.addr()).await);
}

#[tokio::test]
async fn a_runaway_agent_is_bounded() {
    let (_endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let batch: Vec<Value> = (0..200).map(|id| call(id, "bash", json!({}))).collect();
    let mut answer = agent.start(&batch.into()).await;
    let refused = client::events(&answer.piece().await.unwrap());
    let (text, is_error) = said(&refused[0]);
    assert!(is_error && text.contains("too many calls"), "{text}");
    drop(answer);
    // All of it is given up; then a new call goes through.
    let held = timeout(SOON, async {
        loop {
            let held = agent.start(&call(1, "read", json!({}))).await;
            if held.content_type() == "text/event-stream" {
                return held;
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
    let held = held.await.unwrap();
    let is_read = |event: &Event| matches!(event, Event::Called(called) if called.name == "read");
    while !is_read(&next(&mut offer).await.unwrap()) {}
    drop(held);
}

#[tokio::test]
async fn ten_thousand_pieces_of_junk() {
    let (_endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let junk: [&[u8]; 6] = [
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /mcp HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];
    for at in 0..10_000 {
        let mut stream = TcpStream::connect(agent.addr()).await.unwrap();
        let _ = stream.write_all(junk[at % junk.len()]).await;
        if at % 100 == 0 {
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let _ = timeout(SOON, stream.read_to_end(&mut answer))
                .await
                .unwrap();
        }
    }
    let held = agent.start(&call(1, "bash", json!({}))).await;
    let made = called(&mut offer).await;
    assert!(offer.reply(made.key, &result("alive"), &[]));
    assert_eq!(said(&held.messages().await[0]).0, "alive");
}

fn head(agent: &Client, length: usize) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Length: {length}\r\n\r\n",
        agent.authorization
    )
}

#[tokio::test]
async fn bodies_are_bounded() {
    // Not `QUICK`: on a busy machine so much takes longer than that allows.
    let (_endpoint, offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let large = vec![b' '; 32 * 1024 * 1024 + 1];
    let mut stream = TcpStream::connect(agent.addr()).await.unwrap();
    let head = head(&agent, large.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&large).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn bodies_must_come_in_time() {
    let (_endpoint, offer) = endpoint(QUICK).await;
    let agent = Client::of(&offer);
    // One that announces a body and sends none of it, and one that never ends its head.
    for start in [
        head(&agent, 10),
        "POST /mcp HTTP/1.1\r\nHost: loc".to_owned(),
    ] {
        let mut stream = TcpStream::connect(agent.addr()).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(SOON, stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_does_not_read_loses_its_connection() {
    let (_endpoint, mut offer) = endpoint(QUICK).await;
    let agent = Client::of(&offer);
    let mut stream = TcpStream::connect(agent.addr()).await.unwrap();
    let body = call(1, "bash", json!({})).to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n{body}",
        agent.authorization,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let made = called(&mut offer).await;
    assert!(offer.reply(made.key, &result(&"x".repeat(32 << 20)), &[]));
    sleep(QUICK.request * 3).await;
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    assert!(
        answer.len() < 32 << 20,
        "{} bytes came through",
        answer.len()
    );
}

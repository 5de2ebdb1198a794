use open_cursor::engine::AdmissionLimits;
use serde_json::json;

use crate::support::{TestServer, user, wait_until};

/// A server for one turn at a time and one that waits.
async fn narrow() -> TestServer {
    TestServer::with(|setup| {
        setup.engine.limits = AdmissionLimits {
            running: 1,
            queued: 1,
            ..AdmissionLimits::default()
        };
    })
    .await
}

#[tokio::test]
async fn a_full_server_says_when_to_come_back() {
    let server = narrow().await;
    let mut hang = user("fake-hang-after-text", "hi");
    hang["stream"] = json!(true);
    let running = server.post(&hang).await;
    let request = user("fake-ok", "hi");
    let waiting = server.whole(&request);
    tokio::pin!(waiting);
    let engine = server.app.engine();
    tokio::select! {
        answer = &mut waiting => panic!("it ran beside the other: {answer:?}"),
        () = wait_until("a queued turn", || engine.queued() == 1) => {}
    }
    let health = server.get("/health").await.json();
    assert_eq!(
        (&health["running"], &health["queued"]),
        (&json!(1), &json!(1))
    );
    for answer in [
        server.whole(&request).await,
        server.stream_status(&request).await,
    ] {
        assert_eq!(answer.status, 429, "{}", answer.body);
        assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.headers.contains_key("x-should-retry"));
    }
    drop(running);
    assert_eq!(waiting.await.status, 200);
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_the_queue() {
    let server = narrow().await;
    let mut hang = user("fake-hang-after-text", "hi");
    hang["stream"] = json!(true);
    let _running = server.post(&hang).await;
    let engine = server.app.engine();
    {
        let request = user("fake-ok", "hi");
        let waiting = server.whole(&request);
        tokio::pin!(waiting);
        tokio::select! {
            answer = &mut waiting => panic!("it ran beside the other: {answer:?}"),
            () = wait_until("a queued turn", || engine.queued() == 1) => {}
        }
    }
    wait_until("an empty queue", || engine.queued() == 0).await;
    assert_eq!(engine.running(), 1);
}

#[tokio::test]
async fn a_server_that_drains_turns_the_queue_away_and_lets_the_running_turn_end() {
    let server = narrow().await;
    let mut slow = user("fake-slow-text", "hi");
    slow["stream"] = json!(true);
    let running = server.post(&slow).await;
    let request = user("fake-ok", "hi");
    let waiting = server.whole(&request);
    tokio::pin!(waiting);
    let engine = server.app.engine();
    tokio::select! {
        answer = &mut waiting => panic!("it ran beside the other: {answer:?}"),
        () = wait_until("a queued turn", || engine.queued() == 1) => {}
    }
    engine.drain();
    let answer = waiting.await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(server.whole(&request).await.status, 503);
    let health = server.get("/health").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (503, &json!("stopping"))
    );
    let body = http_body_util::BodyExt::collect(running.into_body())
        .await
        .unwrap();
    let stream = crate::support::Stream::parse(std::str::from_utf8(&body.to_bytes()).unwrap());
    assert_eq!(stream.error, None);
}

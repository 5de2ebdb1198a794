use super::{client::Client, *};

/// The id that a "still running" answer names.
fn id_of(response: &Value) -> String {
    let (text, is_error) = said(response);
    assert!(!is_error);
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["status"], "still running");
    status["id"].as_str().unwrap().to_owned()
}

fn awaiting(id: &str) -> Value {
    call(50, "await_result", json!({"id": id}))
}

#[tokio::test]
async fn a_long_tool_is_awaited_as_often_as_needed() {
    let (_endpoint, mut offer) = endpoint(QUICK).await;
    let agent = Client::of(&offer);
    let answer = agent.ask(&call(1, "bash", json!({}))).await;
    let id = id_of(&answer[0]);
    let made = called(&mut offer).await;
    assert_eq!(made.key.to_string(), id);
    for _ in 0..3 {
        assert_eq!(id_of(&agent.ask(&awaiting(&id)).await[0]), id);
    }
    let held = agent.start(&awaiting(&id)).await;
    assert!(offer.reply(made.key, &result("at last"), &[]));
    assert_eq!(said(&held.messages().await[0]).0, "at last");
    // Once.
    let (text, is_error) = said(&agent.ask(&awaiting(&id)).await[0]);
    assert!(is_error && text.contains("none is running"), "{text}");
    // The engine never hears of the waiting itself.
    let held = agent.start(&call(2, "read", json!({}))).await;
    assert_eq!(called(&mut offer).await.name, "read");
    drop(held);
}

#[tokio::test]
async fn a_result_between_two_waits_is_kept() {
    let (_endpoint, mut offer) = endpoint(QUICK).await;
    let agent = Client::of(&offer);
    let id = id_of(&agent.ask(&call(1, "bash", json!({}))).await[0]);
    let made = called(&mut offer).await;
    assert!(!offer.reply(made.key, &result("kept"), &[]));
    assert!(!offer.reply(made.key, &result("a second one"), &[]));
    let wrong = said(&agent.ask(&awaiting("call-99")).await[0]);
    assert!(wrong.1 && wrong.0.contains(&id), "{}", wrong.0);
    let number = json!({"id": id.trim_start_matches("call-").parse::<u64>().unwrap()});
    let answer = agent.ask(&call(2, "await_result", number)).await;
    assert_eq!(said(&answer[0]), ("kept".to_owned(), false));
}

#[tokio::test]
async fn a_wait_that_breaks_off_can_be_repeated() {
    let (_endpoint, mut offer) = endpoint(QUICK).await;
    let agent = Client::of(&offer);
    let id = id_of(&agent.ask(&call(1, "bash", json!({}))).await[0]);
    let made = called(&mut offer).await;
    drop(agent.start(&awaiting(&id)).await);
    let cancel = json!({"method": "notifications/cancelled", "params": {"requestId": 50}});
    let held = agent.start(&awaiting(&id)).await;
    assert_eq!(agent.start(&cancel).await.status(), 202);
    assert_eq!(held.messages().await, [Value::Null; 0]);
    // Two waits for one call: the later one gets the result, the earlier one is not left waiting.
    let earlier = agent.start(&awaiting(&id)).await;
    let later = agent.start(&awaiting(&id)).await;
    assert!(said(&earlier.messages().await[0]).1);
    assert!(offer.reply(made.key, &result("here"), &[]));
    assert_eq!(said(&later.messages().await[0]).0, "here");
}

#[tokio::test]
async fn a_held_call_shows_that_it_lives() {
    let limits = WaitLimits {
        hold: SOON,
        ..QUICK
    };
    let (_endpoint, mut offer) = endpoint(limits).await;
    let agent = Client::of(&offer);
    let params = json!({"name": "bash", "arguments": {}, "_meta": {"progressToken": "p"}});
    let mut held = agent.start(&request(1, "tools/call", params)).await;
    let made = called(&mut offer).await;
    for count in 1..=3 {
        let piece = held.piece().await.unwrap();
        assert!(piece.starts_with(": "), "{piece}");
        let progress = client::events(&piece);
        assert_eq!(progress[0]["method"], "notifications/progress");
        assert_eq!(
            progress[0]["params"],
            json!({"progressToken": "p", "progress": count})
        );
    }
    assert!(offer.reply(made.key, &result("done"), &[]));
    let last = held.messages().await.pop().unwrap();
    assert_eq!(said(&last).0, "done");

    // Without a token there are only comments.
    let mut held = agent.start(&call(2, "bash", json!({}))).await;
    assert_eq!(held.piece().await.unwrap(), ": waiting for the tool\n\n");
}

#[tokio::test]
async fn an_agent_that_gives_up_is_reported() {
    let (_endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let cancel = |id: u64| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    // By its notification: the stream ends without an answer.
    let held = agent.start(&call(7, "bash", json!({}))).await;
    let made = called(&mut offer).await;
    agent.start(&cancel(8)).await;
    agent.start(&cancel(7)).await;
    assert_eq!(next(&mut offer).await, Some(Event::Cancelled(made.key)));
    assert_eq!(held.messages().await, [Value::Null; 0]);
    assert!(!offer.reply(made.key, &result("late"), &[]));
    // By a connection that ends, whatever form the answer has.
    for accept in ["text/event-stream", "application/json"] {
        let builder = agent.post();
        let mut builder = builder;
        builder
            .headers_mut()
            .unwrap()
            .insert("accept", accept.parse().unwrap());
        let asked = agent.send(builder, call(9, "bash", json!({})).to_string());
        let gone = tokio::time::timeout(Duration::from_millis(200), asked).await;
        drop(gone);
        let made = called(&mut offer).await;
        assert_eq!(next(&mut offer).await, Some(Event::Cancelled(made.key)));
        assert!(!offer.reply(made.key, &result("late"), &[]));
    }
}

#[tokio::test]
async fn parallel_calls_wait_beside_each_other() {
    let (_endpoint, mut offer) = endpoint(WaitLimits::default()).await;
    let agent = Client::of(&offer);
    let mut held = Vec::new();
    for id in 0..20 {
        held.push(
            agent
                .start(&call(id, "bash", json!({"text": id.to_string()})))
                .await,
        );
    }
    let mut made = Vec::new();
    for _ in &held {
        made.push(called(&mut offer).await);
    }
    for called in made.iter().rev() {
        let text = called.arguments["text"].as_str().unwrap();
        assert!(offer.reply(called.key, &result(text), &[]));
    }
    for (id, answer) in held.into_iter().enumerate() {
        let answer = answer.messages().await;
        assert_eq!(answer[0]["id"], id);
        assert_eq!(said(&answer[0]).0, id.to_string());
    }
}

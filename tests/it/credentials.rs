use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use open_cursor::engine::AdmissionLimits;
use serde_json::{Value, json};

use crate::support::{Setup, TestServer, user, wait_until, wire::frames};

/// A CLI that answers with the credentials that it was given, and lists a model that has the key in
/// its name. It complains about `bad…` and waits on `slow…`.
const CLI: &str = r#"#!/bin/sh
case "$CURSOR_API_KEY" in
bad*) echo "Error: The provided API key is invalid: $CURSOR_API_KEY" >&2; exit 1 ;;
slow*) sleep 20 ;;
esac
if [ "$1" = models ]; then printf 'Available models\n\nof-%s - Of\n' "$CURSOR_API_KEY"; exit; fi
cat >/dev/null
echo '{"type":"system","subtype":"init","apiKeySource":"env","session_id":"s","model":"m"}'
printf '{"type":"result","subtype":"success","is_error":false,"session_id":"s","result":"%s"}\n' \
    "$CURSOR_API_KEY|$CURSOR_AUTH_TOKEN"
"#;

async fn server(change: impl FnOnce(&mut Setup)) -> TestServer {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("agent");
    std::fs::write(&program, CLI).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    // The fence shows programs where they are, for as long as the server runs.
    let program = dir.keep().join("agent");
    TestServer::with(|setup| {
        setup.program = program.into();
        setup.key = "key_of_the_server";
        setup.engine.callers = Some(AdmissionLimits::default());
        change(setup);
    })
    .await
}

async fn ask(server: &TestServer, key: &str) -> Value {
    let bearer = format!("Bearer {key}");
    let answer = server
        .whole_with(&[("authorization", &bearer)], &user("auto", "hi"))
        .await;
    answer.message()["content"].clone()
}

#[tokio::test]
async fn each_run_has_the_key_of_its_caller_and_no_other() {
    let server = server(|_| {}).await;
    let (a, b) = tokio::join!(ask(&server, "key_a"), ask(&server, "key_b"));
    assert_eq!((a, b), (json!("key_a|"), json!("key_b|")));
    assert_eq!(ask(&server, "user_1::a.b.c").await, json!("|a.b.c"));
    for header in ["x-api-key", "x-goog-api-key"] {
        let answer = server
            .whole_with(&[(header, "key_c")], &user("auto", "hi"))
            .await;
        assert_eq!(answer.message()["content"], "key_c|", "{header}");
    }
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let path = "/v1beta/models/auto:generateContent?key=key_d";
    let answer = server.send(path, &[], Some(&body)).await;
    assert!(answer.body.contains("key_d|"), "{}", answer.body);
}

#[tokio::test]
async fn without_a_key_there_is_no_answer_in_any_dialect() {
    let server = server(|_| {}).await;
    let chat = user("auto", "hi");
    for (path, kind) in [
        ("/v1/chat/completions", "/error/code"),
        ("/v1/responses", "/error/code"),
        ("/v1/messages", "/error/type"),
        ("/v1beta/models/auto:generateContent", "/error/status"),
    ] {
        for headers in [
            &[][..],
            &[("authorization", "Bearer a b")],
            &[("x-api-key", "")],
        ] {
            let answer = server.send(path, headers, Some(&chat)).await;
            assert_eq!(answer.status, 401, "{path}: {}", answer.body);
            let kind = answer.json().pointer(kind).cloned().unwrap();
            let expected = ["invalid_api_key", "authentication_error", "UNAUTHENTICATED"];
            assert!(expected.contains(&kind.as_str().unwrap()), "{path}: {kind}");
            assert!(
                answer.body.contains("own Cursor API key"),
                "{}",
                answer.body
            );
        }
    }
    for path in ["/v1/models", "/v1/models/auto", "/metrics"] {
        assert_eq!(server.get(path).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn models_are_those_of_the_caller() {
    let server = server(|_| {}).await;
    for key in ["key_a", "key_b"] {
        let bearer = format!("Bearer {key}");
        let answer = server
            .send("/v1/models", &[("authorization", &bearer)], None)
            .await;
        let list = answer.json();
        let ids: Vec<_> = list["data"].as_array().unwrap().iter().collect();
        assert!(
            ids.iter().any(|model| model["id"] == format!("of-{key}")),
            "{list}"
        );
        assert_eq!(ids.len(), 1, "{list}");
        let other = user("of-key_b", "hi");
        let answer = server
            .whole_with(&[("authorization", &bearer)], &other)
            .await;
        let expected = if key == "key_b" { 200 } else { 404 };
        assert_eq!(answer.status, expected, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_complaint_about_the_key_does_not_repeat_it() {
    let server = server(|_| {}).await;
    let headers = [("authorization", "Bearer bad-0123-no-shape-of-ours")];
    for stream in [false, true] {
        let mut body = user("auto", "hi");
        body["stream"] = stream.into();
        let answer = server.whole_with(&headers, &body).await;
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert_eq!(answer.json()["error"]["code"], "not_logged_in");
        assert!(!answer.body.contains("0123"), "{}", answer.body);
    }
}

#[tokio::test]
async fn one_callers_turns_do_not_hold_up_anothers() {
    let server = server(|setup| {
        setup.engine.callers = Some(AdmissionLimits {
            running: 1,
            queued: 1,
            wait: Duration::from_secs(60),
        });
    })
    .await;
    let body = user("auto", "hi");
    let slow = [("authorization", "Bearer slow-caller")];
    let engine = server.app.engine();
    let busy = async {
        tokio::select! {
            _ = async { tokio::join!(server.whole_with(&slow, &body), server.whole_with(&slow, &body)) } =>
                panic!("the slow ones have ended"),
            () = async {
                wait_until("one runs and one waits", || {
                    (engine.running(), engine.queued()) == (1, 1)
                })
                .await;
                // No more of them may wait, and others have their own place.
                let third = server.whole_with(&slow, &body).await;
                assert_eq!(third.status, 429, "{}", third.body);
                assert_eq!(ask(&server, "key_b").await, json!("key_b|"));
            } => {}
        }
    };
    busy.await;
    wait_until("their clients are gone", || engine.queued() == 0).await;
}

#[tokio::test]
async fn strangers_learn_nothing_of_the_server() {
    let server = server(|_| {}).await;
    for headers in [&[][..], &[("authorization", "Bearer any-text")]] {
        let health = server.send("/health", headers, None).await;
        assert_eq!(health.status, 200);
        assert!(health.json().get("agent").is_none(), "{}", health.body);
    }
    // It needs no login of its own.
    assert_eq!(server.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn the_bridge_gets_the_callers_key() {
    let server = TestServer::bridge(|setup| {
        setup.key = "";
        setup.engine.callers = Some(AdmissionLimits::default());
    })
    .await;
    let body = user("auto", "hi");
    let answer = server
        .whole_with(&[("authorization", "Bearer key_good")], &body)
        .await;
    assert_eq!(answer.status, 200);
    let answer = server
        .whole_with(&[("authorization", "Bearer key_bad")], &body)
        .await;
    assert_eq!(answer.status, 401);
    let answer = server
        .send("/v1/models", &[("x-api-key", "key_good")], None)
        .await;
    assert!(
        answer.json()["data"].as_array().unwrap().len() > 1,
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn answers_of_a_conversation_have_one_affinity() {
    let server = TestServer::start().await;
    let affinity = async |messages: Value| {
        let body = json!({"model": "fake-ok", "messages": messages});
        let answer = server.whole_with(&[], &body).await;
        answer.headers["x-open-cursor-affinity"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let opening = json!({"role": "user", "content": "a"});
    let first = affinity(json!([opening])).await;
    let more =
        json!([opening, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]);
    assert_eq!(affinity(more).await, first);
    assert_ne!(
        affinity(json!([{"role": "user", "content": "b"}])).await,
        first
    );
}

#[tokio::test]
async fn a_stored_response_is_its_owners() {
    let server = TestServer::with(|setup| setup.stored = 10).await;
    let first = json!({"model": "fake-ok", "input": "hi", "stream": true});
    let answer = server
        .send("/v1/responses", &[("x-api-key", "a")], Some(&first))
        .await;
    let events = frames(&answer.body);
    let last: Value = serde_json::from_str(events.last().unwrap().1).unwrap();
    let response = &last["response"];
    let id = response["id"].as_str().unwrap();
    // Nobody can guess it: the time, and 96 random bits.
    assert!(id.len() > 36, "{id}");
    let on = json!({"model": "fake-ok", "input": "on", "previous_response_id": id});
    let item = json!({"type": "item_reference", "id": response["output"][0]["id"]});
    let by_item = json!({"model": "fake-ok", "input": [item, {"role": "user", "content": "on"}]});
    for body in [on, by_item] {
        for (key, status) in [("b", 400), ("a", 200)] {
            let answer = server
                .send("/v1/responses", &[("x-api-key", key)], Some(&body))
                .await;
            assert_eq!(answer.status, status, "{body}: {}", answer.body);
        }
        assert_eq!(
            server.send("/v1/responses", &[], Some(&body)).await.status,
            400
        );
    }
}

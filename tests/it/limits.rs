//! Budgets, rates, the keys of clients, and fallback models, through the whole server.

use open_cursor::{
    history::{Ledger, LedgerReader},
    http::{ApiKey, KeyRing},
};
use serde_json::json;

use crate::{
    edge::{raw, status},
    support::{Served, TestServer, open_cursor, user, wait_until},
};

fn keys(rest: &str) -> KeyRing {
    let digest = digest("client-key");
    KeyRing::parse(&format!(
        "[[key]]\nname = \"ci\"\nsha256 = \"{digest}\"\n{rest}"
    ))
    .unwrap()
}

fn digest(text: &str) -> String {
    use sha2::Digest as _;
    let bytes = sha2::Sha256::digest(text);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const CLIENT: (&str, &str) = ("authorization", "Bearer client-key");
const OWNER: (&str, &str) = ("authorization", "Bearer own-key");

#[tokio::test]
async fn a_key_has_its_models_and_its_rate_and_sees_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let history = Ledger::start(path.clone()).unwrap();
    let server = TestServer::with(|setup| {
        setup.http.api_key = ApiKey::new("own-key");
        setup.http.keys = keys("models = [\"fake-ok\"]\nrequests_per_minute = 2");
        setup.history = Some(history);
    })
    .await;
    let ask = user("fake-ok", "hi");
    assert_eq!(server.whole_with(&[], &ask).await.status, 401);
    let wrong = [("x-api-key", "another")];
    assert_eq!(server.whole_with(&wrong, &ask).await.status, 401);
    let mut other = user("fake-ok", "hi");
    other["cursorModel"] = json!("fake-echo");
    for body in [&user("fake-echo", "hi"), &other] {
        let refused = server.whole_with(&[CLIENT], body).await;
        assert_eq!(refused.status, 403, "{}", refused.body);
        assert!(
            refused.body.contains("may not use the model fake-echo"),
            "{}",
            refused.body
        );
    }
    for left in ["1", "0"] {
        let answer = server.whole_with(&[CLIENT], &ask).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.headers["x-ratelimit-remaining-requests"], left);
        assert_eq!(answer.headers["x-open-cursor-model"], "fake-ok");
    }
    let refused = server.whole_with(&[CLIENT], &ask).await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    assert!(refused.body.contains("0 are left"), "{}", refused.body);
    assert_eq!(server.whole_with(&[OWNER], &ask).await.status, 200);

    let routes = open_cursor::http::routes(server.app.clone());
    for (path, key, status) in [
        ("/page/turns", CLIENT, 403),
        ("/metrics", CLIENT, 403),
        ("/metrics", OWNER, 200),
        ("/v1/models", CLIENT, 200),
    ] {
        let request = warp::test::request().path(path).header(key.0, key.1);
        assert_eq!(request.reply(&routes).await.status(), status, "{path}");
    }
    let request = warp::test::request()
        .path("/health")
        .header(CLIENT.0, CLIENT.1);
    let health = request.reply(&routes).await;
    assert!(!String::from_utf8_lossy(health.body()).contains("workspace"));

    let rows = || {
        LedgerReader::open(&path)
            .unwrap()
            .map_or(Vec::new(), |it| it.after(0, 99).unwrap())
    };
    wait_until("the rows", || {
        rows().iter().filter(|row| row.status == Some(200)).count() == 3
    })
    .await;
    let of_ci = rows()
        .iter()
        .filter(|row| row.key.as_deref() == Some("ci"))
        .count();
    assert_eq!(of_ci, 5, "two answers, three refusals");
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_a_402_in_each_dialect() {
    let server = TestServer::with(|setup| setup.http.daily_budget = Some(1.5)).await;
    let ask = user("fake-ok", "hi");
    let answer = server.whole(&ask).await;
    assert_eq!(answer.headers["x-open-cursor-budget-left"], "1.5000");
    // As if a server had run before.
    server
        .app
        .spent_earlier(vec![(None, 1.0), (Some("ci".to_owned()), 0.75)]);
    let refused = server.whole(&ask).await;
    assert_eq!(refused.status, 402);
    assert_eq!(refused.json()["error"]["code"], "insufficient_quota");
    assert!(refused.body.contains("$1.75 of $1.50"), "{}", refused.body);
    assert_eq!(refused.headers["x-should-retry"], "false");
    let body = json!({"model": "fake-ok", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]});
    let answer =
        open_cursor::http::client::send(server.addr, "/v1/messages", Some(body.to_string()));
    assert_eq!(answer.await.unwrap().status(), 402);
    assert_eq!(
        server.app.engine().starts(),
        1,
        "no agent was started for the others"
    );
}

#[tokio::test]
async fn a_turn_has_only_so_many_tokens() {
    let server = TestServer::with(|setup| setup.http.max_tokens_per_turn = Some(10)).await;
    let refused = server.whole(&user("fake-ok", &"x".repeat(80))).await;
    assert_eq!(refused.status, 402, "{}", refused.body);
    assert!(refused.body.contains("about 20 tokens"), "{}", refused.body);
    let answer = server.whole(&user("fake-deltas-1000", "hi")).await;
    assert_eq!(
        answer.json()["choices"][0]["finish_reason"],
        "length",
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn another_model_answers_when_the_limit_of_one_is_reached() {
    let fallbacks = ["fake-usage-limit-at-once", "fake-ok", "fake-echo"].map(str::to_owned);
    let server = TestServer::with(|setup| setup.http.fallback_models = fallbacks.to_vec()).await;
    for model in ["fake-usage-limit-at-once", "fake-usage-limit"] {
        let answer = server.whole(&user(model, "hi")).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.body);
        assert_eq!(answer.headers["x-open-cursor-model"], "fake-ok");
    }
    let streamed = server
        .stream_status(&user("fake-usage-limit-at-once", "hi"))
        .await;
    assert_eq!(streamed.status, 200);
    assert_eq!(streamed.headers["x-open-cursor-model"], "fake-ok");
    // Another failure is no reason.
    assert_eq!(server.whole(&user("fake-crash", "hi")).await.status, 502);

    let none = TestServer::with(|setup| {
        setup.http.fallback_models = vec!["fake-usage-limit-at-once".to_owned()];
    })
    .await;
    let refused = none.whole(&user("fake-usage-limit-at-once", "hi")).await;
    assert_eq!(refused.status, 402, "{}", refused.body);
    assert_eq!(none.app.engine().starts(), 2);
}

#[tokio::test]
async fn a_reload_takes_new_keys_and_keeps_them_where_the_file_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let (file, log) = (dir.path().join("keys.toml"), dir.path().join("log"));
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let only = |key: &str| {
        let digest = digest(key);
        write(&format!("[[key]]\nname = \"of\"\nsha256 = \"{digest}\"\n"));
    };
    only("first");
    let args = ["--keys-file", file.to_str().unwrap()];
    let args = [&args[..], &["--log-file", log.to_str().unwrap()]].concat();
    let served = Served::start(&args).await;
    let addr = ([127, 0, 0, 1], served.port()).into();
    let answer = async |key: &str| {
        let get = format!(
            "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {key}\r\n\r\n"
        );
        status(&raw(addr, &get).await).to_owned()
    };
    let pid = served.pid().to_string();
    let reload = async |said: &str| {
        let done = open_cursor(&["reload", "--pid", &pid]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        let logged = || std::fs::read_to_string(&log).unwrap_or_default();
        wait_until(said, || logged().contains(said)).await;
    };
    assert_eq!(
        (answer("first").await, answer("second").await),
        ("200".into(), "401".into())
    );
    only("second");
    reload("settings were reloaded").await;
    assert_eq!(
        (answer("first").await, answer("second").await),
        ("401".into(), "200".into())
    );
    write("[[key]]\nname = \"of\"\n");
    reload("settings were not reloaded").await;
    assert_eq!(
        (answer("first").await, answer("second").await),
        ("401".into(), "200".into())
    );
}

//! The page: its files, what it is told, and who may be told.

use std::time::Duration;

use http_body_util::BodyExt as _;
use open_cursor::{
    history::Ledger,
    http::{ApiKey, client},
};
use serde_json::{Value, json};

use crate::support::{TestServer, user, wait_until};

const SOON: Duration = Duration::from_secs(10);

/// The next event of a stream, which may be cut anywhere.
async fn event(body: &mut hyper::body::Incoming, held: &mut String) -> Option<Value> {
    loop {
        if let Some(at) = held.find("\n\n") {
            let frame: String = held.drain(..at + 2).collect();
            if let Some(data) = frame.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
            continue;
        }
        let frame = tokio::time::timeout(SOON, body.frame()).await.unwrap()?;
        held.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn its_files_come_from_here_alone() {
    let server = TestServer::start().await;
    for (path, kind) in [
        ("/", "text/html"),
        ("/page/page.css", "text/css"),
        ("/page/page.js", "text/javascript"),
        ("/page/draw.js", "text/javascript"),
        ("/page/views.js", "text/javascript"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        assert!(header("content-type").starts_with(kind), "{path}");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
    }
    assert_eq!(server.get("/page/none").await.status, 404);
}

#[tokio::test]
async fn a_browser_fetches_its_parts_early_where_they_need_no_key() {
    let open = TestServer::start().await;
    let keyed = TestServer::with(|setup| setup.http.api_key = ApiKey::new("s3cret")).await;
    let page = open.get("/").await;
    let early = page.headers["link"].to_str().unwrap();
    for part in early.split(", ") {
        let path = part.split(['<', '>']).nth(1).unwrap();
        assert_eq!(open.get(path).await.status, 200, "{part}");
    }
    assert!(!keyed.get("/").await.headers.contains_key("link"));
}

#[tokio::test]
async fn it_tells_what_was_and_what_is_and_no_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let history = Ledger::start(dir.path().join("history.db")).unwrap();
    let server = TestServer::with(|setup| setup.history = Some(history)).await;
    let of = async |path: &str| server.get(path).await.json();
    assert_eq!(of("/page/turns").await["turns"], json!([]));
    assert_eq!(of("/page/figures").await["today"]["all"]["turns"], 0);

    let response = client::send(server.addr, "/page/now", None).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (mut body, mut held) = (response.into_body(), String::new());
    let first = event(&mut body, &mut held).await.unwrap();
    assert_eq!(
        (&first["running"], &first["turns"]),
        (&json!(0), &json!([]))
    );

    let ask = user("fake-slow-text", "the-secret-of-the-prompt");
    let stream = tokio::spawn({
        let addr = server.addr;
        let body = json!({"stream": true, "model": ask["model"], "messages": ask["messages"]});
        async move {
            let path = "/v1/chat/completions";
            let answer = client::send(addr, path, Some(body.to_string())).await;
            answer.unwrap().into_body().collect().await.unwrap();
        }
    });
    let mut phases = Vec::new();
    while phases.last().map(String::as_str) != Some("answering") {
        let now = event(&mut body, &mut held).await.unwrap();
        assert!(!now.to_string().contains("the-secret"));
        if let Some(turn) = now["turns"].get(0) {
            assert_eq!(turn["model"], "fake-slow-text");
            phases.push(turn["phase"].as_str().unwrap().to_owned());
        }
    }
    stream.await.unwrap();
    let last = loop {
        let now = event(&mut body, &mut held).await.unwrap();
        if now["ended"] == 1 {
            break now;
        }
    };
    assert_eq!(last["turns"], json!([]));
    server.app.history().unwrap().flush(SOON);
    let turns = of("/page/turns").await;
    assert_eq!(turns["turns"][0]["cursorModel"], "fake-slow-text");
    assert!(!turns.to_string().contains("the-secret"));
    let seq = turns["turns"][0]["seq"].as_i64().unwrap();
    let before = of(&format!("/page/turns?before={seq}")).await;
    assert_eq!(before["turns"], json!([]));
    assert_eq!(server.get("/page/turns?before=x").await.status, 400);
    let figures = of("/page/figures").await;
    assert_eq!(figures["today"]["all"]["turns"], 1);
    assert_eq!(figures["month"]["models"][0]["name"], "fake-slow-text");
    assert_eq!(figures["days"].as_array().unwrap().len(), 1);
    let setup = of("/page/setup").await;
    assert!(setup["fence"]["view"]["sentence"].is_string());
    assert!(of("/page/models").await["models"].as_array().unwrap().len() > 1);

    // An open page does not keep the server from stopping.
    server.shutdown.drain.cancel();
    let stopping = event(&mut body, &mut held).await.unwrap();
    assert_eq!(stopping["status"], "stopping");
    assert_eq!(event(&mut body, &mut held).await, None);
    tokio::time::timeout(SOON, server.task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn only_so_many_watch() {
    let server = TestServer::start().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        let response = client::send(server.addr, "/page/now", None).await.unwrap();
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    assert_eq!(server.get("/page/now").await.status, 429);
    open.pop();
    for _ in 0..50 {
        let response = client::send(server.addr, "/page/now", None).await.unwrap();
        if response.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    unreachable!("a closed page gives its place back");
}

#[tokio::test]
async fn what_it_shows_needs_the_key_and_our_host() {
    let server = TestServer::with(|setup| setup.http.api_key = ApiKey::new("s3cret")).await;
    for path in ["now", "turns", "figures", "models", "setup"] {
        let answer = server.get(&format!("/page/{path}")).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    let routes = open_cursor::http::routes(server.app.clone());
    for (name, value, status) in [
        ("host", "localhost", 200),
        ("host", "evil.example", 403),
        ("origin", "https://evil.example", 403),
    ] {
        let request = warp::test::request()
            .path("/page/setup")
            .header("authorization", "Bearer s3cret")
            .header(name, value);
        assert_eq!(
            request.reply(&routes).await.status(),
            status,
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn a_damaged_history_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let history = Ledger::start(path.clone()).unwrap();
    history.flush(SOON);
    let server = TestServer::with(|setup| setup.history = Some(history)).await;
    std::fs::write(&path, "no database".repeat(1000)).unwrap();
    let answer = server.get("/page/figures").await;
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("damaged"), "{}", answer.body);
    // The next turn begins a new one.
    server.whole(&user("fake-ok", "hi")).await;
    let app = &server.app;
    wait_until("a new history", || {
        app.history().unwrap().problem().is_none()
    })
    .await;
    app.history().unwrap().flush(SOON);
    assert_eq!(
        server.get("/page/figures").await.json()["today"]["all"]["turns"],
        1
    );
}

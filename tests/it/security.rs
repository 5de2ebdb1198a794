use open_cursor::http::{ApiKey, routes};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{TestServer, user, wait_until};

struct Reply {
    status: u16,
    headers: warp::http::HeaderMap,
    body: String,
}

async fn send(
    server: &TestServer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Reply {
    let mut request = warp::test::request().method(method).path(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let response = request.reply(&routes(server.app.clone())).await;
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: String::from_utf8(response.body().to_vec()).unwrap(),
    }
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_key_is_asked_of_everybody_for_everything_but_health() {
    let server = TestServer::with(|setup| setup.http.api_key = ApiKey::new("s3cret")).await;
    let chat = || Some(user("fake-ok", "hi"));
    for headers in [
        &[][..],
        &[("authorization", "Bearer wrong")],
        &[("x-api-key", "wrong")],
    ] {
        for (method, path, body) in [
            ("POST", CHAT, chat()),
            ("GET", "/v1/models", None),
            ("GET", "/v1/models/fake-ok", None),
            ("GET", "/nothing", None),
            ("OPTIONS", CHAT, None),
        ] {
            let reply = send(&server, method, path, headers, body).await;
            assert_eq!(reply.status, 401, "{method} {path}: {}", reply.body);
            assert_eq!(reply.headers["www-authenticate"], "Bearer");
            assert_eq!(reply.headers["x-should-retry"], "false");
            let error: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(error["error"]["code"], "invalid_api_key");
            assert!(!reply.body.contains("s3cret"));
        }
    }
    for headers in [("authorization", "Bearer s3cret"), ("x-api-key", "s3cret")] {
        let reply = send(&server, "POST", CHAT, &[headers], chat()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    let stranger = send(&server, "GET", "/health", &[], None).await;
    assert_eq!(stranger.status, 200);
    assert!(stranger.body.contains("open-cursor") && !stranger.body.contains("workspace"));
    let friend = send(&server, "GET", "/health", &[("x-api-key", "s3cret")], None).await;
    assert!(friend.body.contains("workspace"));
}

#[tokio::test]
async fn only_pages_of_named_origins_may_use_the_server() {
    let app = "https://app.example";
    let server = TestServer::with(|setup| setup.http.allowed_origins = vec![app.to_owned()]).await;
    let preflight = |origin: &'static str| {
        let server = &server;
        async move {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                (
                    "access-control-request-headers",
                    "content-type, x-stainless-os",
                ),
            ];
            send(server, "OPTIONS", CHAT, &headers, None).await
        }
    };
    let reply = preflight("https://app.example").await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.headers["access-control-allow-origin"], app);
    assert_eq!(
        reply.headers["access-control-allow-headers"],
        "content-type, x-stainless-os"
    );
    assert_eq!(reply.headers["vary"], "Origin");

    for stream in [false, true] {
        let mut body = user("fake-ok", "hi");
        body["stream"] = json!(stream);
        let reply = send(&server, "POST", CHAT, &[("origin", app)], Some(body)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers["access-control-allow-origin"], app);
    }
    let error = send(&server, "POST", CHAT, &[("origin", app)], Some(json!({}))).await;
    assert_eq!(error.status, 400);
    assert_eq!(error.headers["access-control-allow-origin"], app);

    // A page of this machine is let in, as any program is, but may not read what it gets.
    for (origin, status) in [
        ("https://evil.example", 403),
        ("http://localhost:3000", 405),
    ] {
        let reply = preflight(origin).await;
        assert_eq!(reply.status, status, "{origin}");
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn without_named_origins_no_page_may() {
    let server = TestServer::start().await;
    let headers = [
        ("origin", "http://localhost:3000"),
        ("access-control-request-method", "POST"),
    ];
    let reply = send(&server, "OPTIONS", CHAT, &headers, None).await;
    assert_eq!(reply.status, 405);
    let reply = send(&server, "GET", "/v1/models", &headers[..1], None).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn another_name_must_be_told() {
    let host = [("host", "box.lan:32124")];
    let server = TestServer::start().await;
    assert_eq!(
        send(&server, "GET", "/health", &host, None).await.status,
        403
    );
    let server =
        TestServer::with(|setup| setup.http.allowed_hosts = vec!["box.lan".to_owned()]).await;
    assert_eq!(
        send(&server, "GET", "/health", &host, None).await.status,
        200
    );
}

/// Sends a raw request; the first line of the answer.
async fn raw(server: &TestServer, request: &str) -> String {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_long_head_is_refused() {
    let server = TestServer::start().await;
    let request = |length: usize| {
        let padding = "x".repeat(length);
        format!(
            "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Long: {padding}\r\n\r\n"
        )
    };
    assert_eq!(raw(&server, &request(16 << 10)).await, "HTTP/1.1 200 OK");
    let answer = raw(&server, &request(256 << 10)).await;
    assert!(answer.is_empty() || answer.contains("431"), "{answer}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let server = TestServer::with(|setup| setup.http.max_connections = 1).await;
    let first = TcpStream::connect(server.addr).await.unwrap();
    let health = server.get("/health");
    tokio::pin!(health);
    tokio::select! {
        answer = &mut health => panic!("it was served beside the other: {answer:?}"),
        () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {}
    }
    drop(first);
    assert_eq!(health.await.status, 200);
    wait_until("the end of all", || server.app.engine().running() == 0).await;
}

#[tokio::test]
async fn what_the_agent_says_is_shown_without_secrets() {
    let server = TestServer::start().await;
    let lines = [
        r#"{"type":"system","subtype":"init"}"#,
        r#"{"type":"result","subtype":"error","is_error":true,"result":"No luck for jane.doe@mail.example.com with crsr_0123456789abcdef and Bearer abc.def.ghi"}"#,
    ];
    std::fs::write(
        server.workspace.path().join("play.ndjson"),
        lines.join("\n") + "\n",
    )
    .unwrap();
    let request = user("fake-play", "hi");
    let whole = server.whole(&request).await.body;
    assert!(whole.contains("No luck for"), "{whole}");
    for secret in ["jane.doe", "crsr_0123", "abc.def.ghi"] {
        assert!(!whole.contains(secret), "{whole}");
    }
}

use open_cursor::http::routes;
use serde_json::{Value, json};

use crate::support::{TestServer, user};

async fn send(
    server: &TestServer,
    method: &str,
    path: &str,
) -> (u16, warp::http::HeaderMap, Value) {
    let response = warp::test::request()
        .method(method)
        .path(path)
        .reply(&routes(server.app.clone()))
        .await;
    let body = serde_json::from_slice(response.body()).unwrap_or_default();
    (response.status().as_u16(), response.headers().clone(), body)
}

#[tokio::test]
async fn paths_and_methods() {
    let server = TestServer::start().await;
    for path in [
        "/",
        "/health",
        "/v1/health",
        "/models",
        "/v1/models",
        "/v1/models/fake-ok",
        "/models/fake-ok",
    ] {
        assert_eq!(send(&server, "GET", path).await.0, 200, "{path}");
    }
    for path in [
        "/v1",
        "/v1/nothing",
        "/v1/chat",
        "/v2/models",
        "/v1/models/none-such",
    ] {
        let (status, _, body) = send(&server, "GET", path).await;
        assert_eq!(status, 404, "{path}");
        for key in ["message", "type", "param", "code"] {
            assert!(body["error"].get(key).is_some(), "{path}: {body}");
        }
    }
    for (method, path, allow) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/health", "GET"),
    ] {
        let (status, headers, _) = send(&server, method, path).await;
        assert_eq!(
            (status, &headers["allow"]),
            (405, &allow.parse().unwrap()),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn health_says_who_this_is() {
    let server = TestServer::start().await;
    let health = server.get("/health").await.json();
    assert_eq!(health["name"], "open-cursor");
    assert_eq!(health["status"], "ok");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    let workspace = server.workspace.path().canonicalize().unwrap();
    assert_eq!(health["workspace"], workspace.to_str().unwrap());
    assert!(health["agent"].as_str().unwrap().contains("fake-agent"));
}

#[tokio::test]
async fn models_are_those_of_the_agent() {
    let server = TestServer::start().await;
    let models = server.get("/v1/models").await.json();
    assert_eq!(models["object"], "list");
    let ids: Vec<&str> = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&"fake-ok"), "{ids:?}");
    let one = server.get("/v1/models/fake-ok").await.json();
    assert_eq!(
        (&one["id"], &one["object"]),
        (&json!("fake-ok"), &json!("model"))
    );
    let none = server.get("/v1/models/fake-okk").await;
    assert_eq!(none.status, 404);
    assert!(none.body.contains("fake-ok"), "{}", none.body);
}

#[tokio::test]
async fn chat_without_the_v1_prefix() {
    let server = TestServer::start().await;
    let response = warp::test::request()
        .method("POST")
        .path("/chat/completions?api-version=1")
        .header("content-type", "application/json; charset=utf-8")
        .body(user("fake-ok", "hi").to_string())
        .reply(&routes(server.app.clone()))
        .await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn bodies_must_be_json_and_bounded() {
    let server = TestServer::start().await;
    let post = |content_type: &'static str, body: Vec<u8>| {
        let routes = routes(server.app.clone());
        async move {
            let response = warp::test::request()
                .method("POST")
                .path("/v1/chat/completions")
                .header("content-type", content_type)
                .body(body)
                .reply(&routes)
                .await;
            let body: Value = serde_json::from_slice(response.body()).unwrap();
            (response.status().as_u16(), body["error"].clone())
        }
    };
    let good = user("fake-ok", "hi").to_string().into_bytes();
    assert_eq!(post("text/plain", good.clone()).await.0, 415);
    assert_eq!(
        post("application/x-www-form-urlencoded", good.clone())
            .await
            .0,
        415
    );
    let (status, error) = post("application/json", b"{\"model\": ".to_vec()).await;
    assert_eq!(
        (status, &error["type"]),
        (400, &json!("invalid_request_error"))
    );
    let (status, error) = post(
        "application/json",
        json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})
            .to_string()
            .into_bytes(),
    )
    .await;
    assert_eq!(
        (status, &error["param"]),
        (400, &json!("messages[0].content[0].image_url"))
    );
    assert_eq!(post("application/json", vec![b' '; 33 << 20]).await.0, 413);
}

#[tokio::test]
async fn chunked_bodies_work_and_are_bounded() {
    let server = TestServer::start().await;
    let chunked = |body: Vec<u8>| {
        let addr = server.addr;
        async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
            let (mut read, mut write) = stream.into_split();
            let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                        Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
            let send = async move {
                write.write_all(head.as_bytes()).await?;
                for chunk in body.chunks(1 << 20) {
                    write
                        .write_all(format!("{:x}\r\n", chunk.len()).as_bytes())
                        .await?;
                    write.write_all(chunk).await?;
                    write.write_all(b"\r\n").await?;
                }
                write.write_all(b"0\r\n\r\n").await?;
                std::io::Result::Ok(write)
            };
            let mut answer = Vec::new();
            let (_sent, _read) = tokio::join!(send, read.read_to_end(&mut answer));
            String::from_utf8_lossy(&answer)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        }
    };
    let small = user("fake-ok", "hi").to_string().into_bytes();
    assert_eq!(chunked(small).await, "HTTP/1.1 200 OK");
    let large = chunked(vec![b' '; 33 << 20]).await;
    assert!(large.is_empty() || large.contains("413"), "{large}");
}

#[tokio::test]
async fn web_pages_are_kept_out() {
    let server = TestServer::start().await;
    for (name, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
        let response = warp::test::request()
            .path("/v1/models")
            .header(name, value)
            .reply(&routes(server.app.clone()))
            .await;
        assert_eq!(response.status(), 403, "{name}");
    }
}

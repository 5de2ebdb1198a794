//! What stands between a client and its turn: ids, the log, probes, sockets, limits.

use std::{net::SocketAddr, path::Path, time::Duration};

use open_cursor::{
    dump::Dumps,
    http::{ApiKey, routes},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};

use crate::support::{Served, TestServer, user, wait_until};

/// Sends raw bytes and reads to the end of the connection.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub async fn raw(addr: SocketAddr, request: &str) -> String {
    exchange(TcpStream::connect(addr).await.unwrap(), request).await
}

pub fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn chat(extra: &str) -> String {
    let body = user("replay", "hi").to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{extra}\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn no_request_breaks_the_server() {
    let server = TestServer::start().await;
    for (request, expected) in [
        (
            "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n",
            "405",
        ),
        (
            "CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n",
            "403",
        ),
        (
            "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
            "400",
        ),
        (
            "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
            "400",
        ),
        (
            "GET /health HTTP/1.1\r\nHost: [::1].evil.example\r\n",
            "403",
        ),
        (
            "GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[::1].evil.example\r\n",
            "403",
        ),
        (
            "GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n",
            "403",
        ),
        (
            "GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n",
            "200",
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", "404"),
        (
            "GET /v1/models/%ff%2F%zz HTTP/1.1\r\nHost: localhost\r\n",
            "404",
        ),
    ] {
        let answer = raw(server.addr, &format!("{request}Connection: close\r\n\r\n")).await;
        assert_eq!(status(&answer), expected, "{request}\n{answer}");
    }
    assert_eq!(server.get("/health").await.status, 200);
}

#[tokio::test]
async fn every_answer_has_an_id_that_finds_its_dump() {
    let dir = tempfile::tempdir().unwrap();
    let dumps = Dumps::open(dir.path(), 10).unwrap();
    let server = TestServer::with(|setup| setup.http.dumps = Some(dumps)).await;
    let request = user("fake-ok", "hi");
    let own = server
        .whole_with(&[("x-request-id", "mine-1.0")], &request)
        .await;
    assert_eq!(own.headers["x-request-id"], "mine-1.0");
    let insane = server
        .whole_with(&[("x-request-id", "../../x")], &request)
        .await;
    let streamed = server.stream_status(&request).await;
    let failed = server.whole(&user("fake-crash", "hi")).await;
    assert_eq!(failed.status, 502);
    let refused = server.whole(&json!({})).await;
    assert_eq!(refused.status, 400);
    let mut seen = Vec::new();
    for answer in [&own, &insane, &streamed, &failed, &refused] {
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        assert!(!id.contains('/') && !seen.contains(&id), "{id}");
        let has_dump = || {
            let names = std::fs::read_dir(dir.path()).unwrap();
            let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.any(|name| name.ends_with(&id))
        };
        wait_until("the dump", has_dump).await;
        seen.push(id);
    }
    for path in ["/health", "/nothing", "/v1/models"] {
        assert!(
            server.get(path).await.headers.contains_key("x-request-id"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn probes_need_no_key_and_metrics_do() {
    let server = TestServer::with(|setup| setup.http.api_key = ApiKey::new("s3cret")).await;
    let get = |path: &'static str, key: &'static str| {
        let routes = routes(server.app.clone());
        async move {
            let request = warp::test::request().path(path).header("x-api-key", key);
            let answer = request.reply(&routes).await;
            let body = String::from_utf8(answer.body().to_vec()).unwrap();
            (answer.status().as_u16(), body)
        }
    };
    assert_eq!(get("/healthz", "").await.0, 200);
    let (status, body) = get("/readyz", "").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(get("/metrics", "").await.0, 401);
    // The page itself shows nothing, and what it shows needs the key.
    let (status, page) = get("/", "").await;
    assert!(
        status == 200 && page.starts_with("<!doctype html>"),
        "{page}"
    );
    for path in [
        "/page/now",
        "/page/turns",
        "/page/figures",
        "/page/models",
        "/page/setup",
    ] {
        assert_eq!(get(path, "").await.0, 401, "{path}");
    }

    server.app.engine().drain();
    assert_eq!(get("/healthz", "").await.0, 200);
    let (status, body) = get("/readyz", "").await;
    assert!(status == 503 && body.contains("stopping"), "{body}");
}

#[tokio::test]
async fn a_server_without_a_login_or_an_agent_is_not_ready() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let agent = dir.path().join("cursor-agent");
    let script = "#!/bin/sh\necho '{\"isAuthenticated\":false}'\n";
    std::fs::write(&agent, script).unwrap();
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
    let served = Served::of(agent.to_str().unwrap(), &["--fence", "off"], &[]).await;
    let addr = ([127, 0, 0, 1], served.port()).into();
    let get = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = raw(addr, get).await;
    assert_eq!(status(&answer), "503", "{answer}");
    assert!(answer.contains("not logged in"), "{answer}");
    std::fs::remove_file(&agent).unwrap();
    let answer = raw(addr, get).await;
    assert!(answer.contains("program is missing"), "{answer}");
}

#[tokio::test]
async fn metrics_count_turns() {
    let server = TestServer::start().await;
    server.whole(&user("fake-ok", "hi")).await;
    server.stream(&user("fake-ok", "hi")).await;
    server.whole(&user("fake-crash", "hi")).await;
    server.whole(&json!({})).await;
    server.get("/nothing").await;
    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = &answer.body;
    for line in [
        r#"open_cursor_turns_total{dialect="chat/completions",model="fake-ok",run="fresh",outcome="stop"} 2"#,
        r#"open_cursor_turns_total{dialect="chat/completions",model="fake-crash",run="fresh",outcome="error"} 1"#,
        r#"open_cursor_errors_total{kind="AgentFailed"} 1"#,
        r#"open_cursor_errors_total{kind="InvalidRequest"} 1"#,
        r#"open_cursor_errors_total{kind="NotFound"} 1"#,
        r#"open_cursor_phase_seconds_count{phase="first_delta"} 2"#,
        r#"open_cursor_phase_seconds_count{phase="queued"} 3"#,
        r#"open_cursor_phase_seconds_count{phase="spawn"} 3"#,
        r#"open_cursor_phase_seconds_count{phase="total"} 4"#,
        "open_cursor_agent_starts_total 3",
        "open_cursor_guard_stops_total 0",
        "open_cursor_history_lost_total 0",
        "open_cursor_running 0",
        "open_cursor_queued 0",
        "open_cursor_parked 0",
        "open_cursor_breaches_total 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "no {line} in\n{text}"
        );
    }
    // Each name is documented.
    let readme = include_str!("../../src/cli/topics/endpoints.md");
    for name in text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
    {
        assert!(
            readme.contains(&format!("`{name}`")),
            "src/cli/topics/endpoints.md lacks {name}"
        );
    }
}

#[tokio::test]
async fn another_user_of_the_machine_is_refused() {
    let us = nix::unistd::getuid().as_raw();
    let served = Served::start(&[]).await;
    let url = format!("http://127.0.0.1:{}/v1/models", served.port());
    let mut curl = std::process::Command::new("curl");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &url]);
    let code = |command: &mut std::process::Command| {
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(code(&mut curl), "200");
    if us == 0 {
        use std::os::unix::process::CommandExt as _;
        assert_eq!(code(curl.uid(65534)), "403");
        // From another address of this machine, if it has one.
        let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        if probe.connect("192.0.2.1:9").is_ok() {
            let from = probe.local_addr().unwrap().ip().to_string();
            assert_eq!(code(curl.args(["--interface", &from])), "403");
        }
        drop(served);
        for args in [&["--allow-users", "65534"][..], &["--allow-users", "all"]] {
            let served = Served::start(args).await;
            let url = format!("http://127.0.0.1:{}/v1/models", served.port());
            let mut curl = std::process::Command::new("curl");
            curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &url]);
            assert_eq!(code(curl.uid(65534)), "200", "{args:?}");
        }
    } else {
        // We can't become another user, but the server can be another's.
        let server = TestServer::with(|setup| setup.http.allowed_users = Some(vec![us + 1])).await;
        assert_eq!(server.get("/v1/models").await.status, 403);
        assert_eq!(server.get("/healthz").await.status, 200);
    }
}

#[tokio::test]
async fn a_socket_serves_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("oc.sock");
    let mut served = Served::start(&["--socket", path.to_str().unwrap()]).await;
    assert_eq!(served.info["socket"], path.to_str().unwrap());
    let stream = UnixStream::connect(&path).await.unwrap();
    let answer = exchange(stream, &chat("")).await;
    assert_eq!(status(&answer), "200", "{answer}");
    served.signal("-TERM");
    assert_eq!(served.exit_code().await, 0);
    assert!(!path.exists());
}

#[tokio::test]
async fn each_request_is_one_line_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("oc.log");
    let args = ["--log-format", "json", "--log-file", file.to_str().unwrap()];
    let mut served = Served::start(&args).await;
    let addr = ([127, 0, 0, 1], served.port()).into();
    let extra = "x-request-id: first\r\nUser-Agent: opencode/1.2 linux\r\nx-session-id: talk\r\n";
    assert_eq!(status(&raw(addr, &chat(extra)).await), "200");
    let refused = chat("x-request-id: second\r\n").replace("messages", "massages");
    assert_eq!(status(&raw(addr, &refused).await), "400");
    for path in ["/", "/health", "/healthz", "/readyz", "/v1/models"] {
        raw(
            addr,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        )
        .await;
    }
    served.signal("-TERM");
    served.exit_code().await;
    let log = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let requests: Vec<&Value> = lines
        .iter()
        .filter(|line| line["fields"]["message"] == "request")
        .collect();
    let [first, second, models] = requests[..] else {
        panic!("{log}")
    };
    let span = &first["span"];
    assert_eq!(span["name"], "turn");
    assert_eq!(span["id"], "first");
    assert_eq!(span["dialect"], "chat/completions");
    assert_eq!(span["client"], "opencode/1.2");
    assert_eq!(span["model"], "replay");
    assert_eq!(span["conversation"], "talk");
    let fields = &first["fields"];
    assert_eq!(fields["status"], 200);
    assert_eq!(fields["run"], "fresh");
    assert_eq!(fields["finish"], "stop");
    for name in [
        "first_event_ms",
        "first_delta_ms",
        "total_ms",
        "deltas",
        "input_tokens",
    ] {
        assert!(fields[name].is_u64(), "{name}: {first}");
    }
    assert_eq!(second["span"]["id"], "second");
    assert_eq!(second["fields"]["status"], 400);
    assert_eq!(second["fields"]["error"], "InvalidRequest");
    assert_eq!(second["fields"]["why"], "messages");
    assert_eq!(models["fields"]["path"], "/v1/models");
    assert!(!log.contains("\"hi\""), "{log}");
}

#[tokio::test]
async fn lines_of_a_turn_name_it_wherever_they_are_from() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("oc.log");
    let log_file = file.to_str().unwrap();
    let args = [
        "--log-format",
        "json",
        "--log-level",
        "debug",
        "--log-file",
        log_file,
    ];
    let served = Served::start(&args).await;
    let body =
        json!({"model": "replay-error-hang", "messages": [{"role": "user", "content": "hi"}]});
    let body = body.to_string();
    let mut clients = Vec::new();
    for id in ["one", "two", "three"] {
        let mut client = TcpStream::connect(("127.0.0.1", served.port()))
            .await
            .unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-request-id: {id}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        client.write_all(head.as_bytes()).await.unwrap();
        clients.push(client);
    }
    // Their turns have begun.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(clients);
    let lines = |message: &str| {
        let log = std::fs::read_to_string(&file).unwrap();
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_message = lines.filter(|line| line["fields"]["message"] == message);
        let mut ids: Vec<String> = of_message
            .map(|line| line["span"]["id"].to_string())
            .collect();
        ids.sort();
        ids
    };
    for message in ["the client hung up", "request"] {
        let expected = ["\"one\"", "\"three\"", "\"two\""];
        wait_until(message, || lines(message) == expected).await;
    }
}

#[tokio::test]
async fn a_hangup_stops_it_and_a_reload_changes_it() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("open-cursor/config.toml");
    std::fs::create_dir(config.parent().unwrap()).unwrap();
    std::fs::write(&config, "max-queued = 1\n").unwrap();
    let home = home.path().to_str().unwrap();
    let mut served = Served::with_env(&[], &[("XDG_CONFIG_HOME", home)]).await;
    let addr: SocketAddr = ([127, 0, 0, 1], served.port()).into();
    let get = "GET /healthz HTTP/1.1\r\nHost: box.lan\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&raw(addr, get).await), "403");

    let reload = |text: &str| {
        std::fs::write(&config, text).unwrap();
        let pid = served.pid().to_string();
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_open-cursor"))
            .args(["reload", "--pid", &pid])
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    // A file that is wrong changes nothing.
    reload("allow-host = 'box.lan'\nnonsense = 1\n");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(status(&raw(addr, get).await), "403");
    reload("allow-host = 'box.lan'\nmax-queued = 2\n");
    let mut allowed = false;
    for _ in 0..200 {
        allowed = status(&raw(addr, get).await) == "200";
        if allowed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(allowed);
    served.signal("-HUP");
    assert_eq!(served.exit_code().await, 0);
    let log = served.stderr();
    assert!(log.contains("nonsense"), "{log}");
    assert!(
        log.contains("need a restart") && log.contains("max-queued"),
        "{log}"
    );
}

#[test]
fn only_our_own_program_is_told_to_reload() {
    let mut other = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let pid = other.id().to_string();
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_open-cursor"))
        .args(["reload", "--pid", &pid])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(other.try_wait().unwrap().is_none(), "it still runs");
    other.kill().unwrap();
    other.wait().unwrap();
}

/// The most memory that a process has used, in KiB.
fn peak(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_large_request_takes_four_times_its_size_at_most() {
    const SIZE: usize = 31 << 20;
    let values = |unit: &str| unit.repeat(SIZE / unit.len());
    let message = r#""messages":[{"role":"user","content":"hi"}]"#;
    let text = format!(
        r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#,
        values("text ")
    );
    for (name, body, expected) in [
        ("a text", text, "200"),
        (
            "zeros",
            format!(r#"{{"metadata":[{}0],{message}}}"#, values("0,")),
            "400",
        ),
        (
            "objects",
            format!(r#"{{"metadata":[{}0],{message}}}"#, values(r#"{"a":0},"#)),
            "400",
        ),
        (
            "arrays",
            format!(r#"{{"metadata":[{}0],{message}}}"#, values("[],")),
            "400",
        ),
    ] {
        let served = Served::start(&[]).await;
        let addr = ([127, 0, 0, 1], served.port()).into();
        raw(addr, &chat("")).await;
        let before = peak(served.pid());
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = raw(addr, &(head + &body)).await;
        let ratio = (peak(served.pid()) - before) as f64 * 1024.0 / body.len() as f64;
        println!("{name}: {ratio:.2} times its size");
        assert_eq!(
            status(&answer),
            expected,
            "{name}: {}",
            &answer[..answer.len().min(300)]
        );
        assert!(ratio <= 4.0, "{name}: {ratio}");
    }
}

#[test]
fn wrong_values_are_answered_in_our_words() {
    for (args, words) in [
        (&["--port", "seventy"][..], "a whole number from 0 to 65535"),
        (&["--port", "70000"], "a whole number from 0 to 65535"),
        (&["--host", "nowhere"], "or localhost"),
        (&["--max-running", "0"], "1 or more"),
        (&["--idle-timeout", "soon"], "a whole number of seconds"),
        (&["--log-level", "loud"], "error, warn, info"),
        (&["--log-format", "xml"], "not one of text, json"),
        (&["--log-file", "/dev/null/log"], "--log-file /dev/null/log"),
        (
            &["--agent", "replay", "--allow-users", "no-such-user"],
            "no user `no-such-user`",
        ),
    ] {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_open-cursor"))
            .arg("serve")
            .args(args)
            .output()
            .unwrap();
        let stderr = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn another_program_is_no_agent() {
    let ls = ["/bin/ls", "/usr/bin/ls"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_open-cursor"))
        .args(["serve", "--port", "0", "--agent", ls.unwrap()])
        .output()
        .unwrap();
    let stderr = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("not Cursor's agent") && stderr.contains("hint:"),
        "{stderr}"
    );
}

#[tokio::test]
async fn localhost_is_an_address() {
    let served = Served::start(&["--host", "localhost"]).await;
    assert!(
        served.info["url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:")
    );
    assert!(served.port() > 0);
}

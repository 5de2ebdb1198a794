use std::{
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Served, open_cursor, process_exists, wait_until};

fn output(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let tasks = format!("/proc/{pid}/task");
    std::fs::read_dir(Path::new(&tasks))
        .into_iter()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<u32>>()
        })
        .collect()
}

#[tokio::test]
async fn it_says_where_it_listens_and_stops_on_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut serve = Served::start(&[]).await;
        assert_eq!(serve.info["pid"], serve.pid());
        let url = serve.info["url"].as_str().unwrap().to_owned();
        assert_eq!(url, format!("http://127.0.0.1:{}", serve.port()));
        serve.signal(signal);
        assert_eq!(serve.exit_code().await, 0);
        let stderr = serve.stderr();
        assert!(
            stderr.contains(&url) && stderr.contains("replay"),
            "{stderr}"
        );
    }
}

#[tokio::test]
async fn it_says_who_can_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (socket, key) = (file("socket"), file("key"));
    std::fs::write(&key, "a key of thirty-two characters, no less").unwrap();
    for (args, users) in [
        (
            &[][..],
            "only yours; other users of this machine are refused",
        ),
        (
            &["--allow-users", "4711,4712"],
            "UID, 4711, 4712; other users of this machine are refused",
        ),
        (
            &["--allow-users", "all"],
            "other users of this machine can use this server, and through it read your files; set a key",
        ),
        (&["--api-key-file", &key], "all that know the API key"),
        (&["--socket", &socket], "only yours can open the socket"),
    ] {
        let mut serve = Served::start(args).await;
        serve.signal("-TERM");
        serve.exit_code().await;
        let stderr = serve.stderr();
        let line = stderr.lines().take(5).find(|line| line.contains(" users "));
        let said = line.unwrap_or_default().trim_start();
        let said = said.trim_start_matches("users").trim();
        let users = users.replace("UID", &nix::unistd::getuid().to_string());
        assert!(said.starts_with(&users), "{args:?}: {stderr}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_leaves_no_agent() {
    let mut serve = Served::start(&[]).await;
    let _stream = serve.begin("replay-error-hang").await;
    let agents = children(serve.pid());
    assert!(!agents.is_empty());
    let begun = Instant::now();
    serve.signal("-INT");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        serve.child.try_wait().unwrap(),
        None,
        "it lets the turn finish"
    );
    serve.signal("-INT");
    serve.exit_code().await;
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "it did not wait for the grace"
    );
    for agent in agents {
        assert!(!process_exists(agent));
    }
}

#[tokio::test]
async fn a_killed_server_leaves_no_agent() {
    let mut serve = Served::start(&[]).await;
    let _stream = serve.begin("replay-error-hang").await;
    let launcher = children(serve.pid());
    let inside = children(launcher[0]);
    let agent = children(inside[0]);
    assert_eq!([launcher.len(), inside.len(), agent.len()], [1, 1, 1]);
    serve.child.kill().unwrap();
    for process in [launcher[0], inside[0], agent[0]] {
        wait_until("the end of the agent", || !process_exists(process)).await;
    }
}

#[tokio::test]
async fn a_port_in_use_says_by_whom() {
    let serve = Served::start(&[]).await;
    let port = serve.port().to_string();
    let (code, _, stderr) = output(&mut open_cursor(&[
        "serve", "--agent", "replay", "--port", &port,
    ]));
    assert_eq!(code, 1);
    assert!(stderr.contains("in use by open-cursor"), "{stderr}");
    assert!(stderr.contains(&format!("pid {}", serve.pid())), "{stderr}");
    assert!(stderr.contains("hint:"), "{stderr}");

    let foreign = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = foreign.local_addr().unwrap().port().to_string();
    let (code, _, stderr) = output(&mut open_cursor(&[
        "serve", "--agent", "replay", "--port", &port,
    ]));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("in use") && !stderr.contains("by open-cursor"),
        "{stderr}"
    );
}

#[test]
fn wrong_usage_is_exit_code_2_and_named() {
    for (args, name) in [
        (&["serve", "--port", "seventy"][..], "--port"),
        (&["serve", "--host", "nowhere"], "--host"),
        (&["serve", "--frobnicate"], "--frobnicate"),
        (&["serve", "--max-running", "0"], "--max-running"),
        (
            &["serve", "--agent", "replay", "--workspace", "/none/such"],
            "--workspace",
        ),
        (
            &["serve", "--agent", "replay", "--workspace", "/dev/null"],
            "--workspace /dev/null: is not a directory",
        ),
        (
            &["serve", "--agent", "replay", "--workspace", "/dev/.."],
            "--workspace /dev/..: is the root of the file system",
        ),
        (
            &[
                "serve",
                "--agent",
                "replay",
                "--workspace-base",
                "/dev/null",
            ],
            "--workspace-base /dev/null: is not a directory",
        ),
        (&["serve", "--log-level", "open_cursor=loud"], "--log-level"),
        (
            &["serve", "--agent", "replay", "--host", "0.0.0.0"],
            "--api-key-file",
        ),
        (
            &["serve", "--agent", "replay", "--api-key-file", "/none/such"],
            "--api-key-file",
        ),
        (
            &["serve", "--agent", "replay", "--api-key-file", "/dev/null"],
            "--api-key-file",
        ),
        (
            &["serve", "--agent", "replay", "--allow-origin", "*"],
            "--allow-origin",
        ),
    ] {
        let (code, _, stderr) = output(&mut open_cursor(args));
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(name), "{stderr}");
    }
    let (code, _, stderr) = output(open_cursor(&["serve"]).env("PORT", "many"));
    assert_eq!(code, 2);
    assert!(stderr.contains("PORT"), "{stderr}");
}

/// Which credential a run has used only the agent knows.
#[tokio::test]
async fn a_key_that_can_bill_per_use_is_said_once() {
    for (key, warnings) in [("", 0), ("key_of_nobody", 1)] {
        let mut serve = Served::with_env(&[], &[("CURSOR_API_KEY", key)]).await;
        for _ in 0..2 {
            let body = r#"{"messages":[{"role":"user","content":"hello"}]}"#;
            let addr = ([127, 0, 0, 1], serve.port()).into();
            let path = "/v1/chat/completions";
            let answer = open_cursor::http::client::send(addr, path, Some(body.to_owned())).await;
            assert_eq!(answer.unwrap().status(), 200);
        }
        serve.signal("-TERM");
        serve.exit_code().await;
        let log = serve.stderr();
        assert_eq!(log.matches("bill per use").count(), warnings, "{log}");
        assert!(!log.contains("key_of_nobody"), "{log}");
    }
}

#[tokio::test]
async fn the_log_holds_no_prompt_and_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "s3cret-key\n").unwrap();
    let mut serve = Served::start(&[
        "--log-level",
        "debug",
        "--api-key-file",
        key.to_str().unwrap(),
    ])
    .await;
    for key in ["s3cret-key", "another-key"] {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let body = r#"{"messages":[{"role":"user","content":"a very private prompt"}]}"#;
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", serve.port()))
            .await
            .unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.starts_with("HTTP/1.1 200"), key == "s3cret-key");
    }
    serve.signal("-TERM");
    serve.exit_code().await;
    let log = serve.stderr();
    assert!(log.contains("Unauthorized"), "{log}");
    for secret in ["private", "s3cret-key", "another-key"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_is_in_nobodys_way() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut serve = Served::start(&[]).await;
    drop((serve.child.stdout.take(), serve.child.stderr.take()));
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", serve.port()))
        .await
        .unwrap();
    let head = "GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    serve.signal("-TERM");
    assert_eq!(serve.exit_code().await, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn data_that_cannot_be_written_is_a_failure_and_no_panic() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let (code, _, stderr) = output(open_cursor(&["config"]).stdout(full));
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("No space left"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    // A reader that has seen enough need not be told.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (code, _, stderr) = output(open_cursor(&["config", "--json"]).stdout(writer));
    assert_eq!((code, stderr.as_str()), (1, ""));
}

#[test]
fn a_missing_agent_is_exit_code_1_with_a_hint() {
    let (code, _, stderr) = output(&mut open_cursor(&[
        "serve",
        "--port",
        "0",
        "--agent",
        "/none/such",
    ]));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("/none/such") && stderr.contains("hint:"),
        "{stderr}"
    );
}

#[test]
fn who_has_an_agent_is_not_told_to_try_another() {
    let cache = tempfile::tempdir().unwrap();
    // A slot that others can enter is not used.
    std::fs::create_dir_all(cache.path().join("open-cursor/slots/0")).unwrap();
    for (dir, mode) in [("open-cursor/slots", 0o700), ("open-cursor/slots/0", 0o755)] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(cache.path().join(dir), mode).unwrap();
    }
    let mut serve = open_cursor(&["serve", "--port", "0", "--agent", "replay"]);
    let (code, _, stderr) = output(serve.env("XDG_CACHE_HOME", cache.path()));
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("mode 0700") && !stderr.contains("--agent replay"),
        "{stderr}"
    );
}

#[test]
fn help_and_version() {
    let (code, stdout, _) = output(&mut open_cursor(&["--version"]));
    assert_eq!(
        (code, stdout.trim()),
        (0, concat!("open-cursor ", env!("CARGO_PKG_VERSION")))
    );
    for args in [&["--help"][..], &["serve", "--help"], &["demo", "--help"]] {
        let (code, stdout, _) = output(&mut open_cursor(args));
        assert_eq!(code, 0);
        assert!(
            stdout.contains("Examples:") && !stdout.contains("replay-agent"),
            "{stdout}"
        );
    }
}

#[test]
fn the_demo_shows_a_tool_loop() {
    let (code, stdout, stderr) = output(&mut open_cursor(&["demo", "--agent", "replay"]));
    assert_eq!(code, 0, "{stdout}{stderr}");
    for shown in [
        "call  write",
        "call  edit",
        "call  read",
        "result  wrote",
        "Hello from open-cursor, once more!",
        "4 requests, 1 start of the agent.",
    ] {
        assert!(stdout.contains(shown), "{shown}: {stdout}");
    }
}

#[test]
fn tools_are_converted_from_any_form() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tools.json");
    std::fs::write(
        &file,
        r#"[{"name": "now", "input_schema": {"type": "object"}}]"#,
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let convert = |to: &str| output(&mut open_cursor(&["tools", "convert", "--to", to, file]));
    let (code, stdout, _) = convert("openai");
    let tools: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &tools[0]["function"]["name"]), (0, &"now".into()));
    let (_, stdout, _) = convert("gemini");
    let tools: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(tools[0]["functionDeclarations"][0]["name"], "now");
    std::fs::write(file, r#"[{"description": "nameless"}]"#).unwrap();
    let (code, _, stderr) = convert("claude");
    assert_eq!(code, 1);
    assert!(stderr.contains("tools[0].name"), "{stderr}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised() {
    let dir = tempfile::tempdir().unwrap();
    let info = dir.path().join("server.json");
    let serve = open_cursor(&["serve", "--port", "0", "--agent", "replay"]);
    let mut shell = std::process::Command::new("/bin/sh");
    let mut server = shell
        .args(["-c", "ulimit -S -n 256; exec \"$0\" \"$@\""])
        .arg(serve.get_program())
        .args(serve.get_args())
        .arg("--server-info")
        .arg(&info)
        .env("XDG_CACHE_HOME", dir.path())
        .spawn()
        .unwrap();
    wait_until("the server's start", || info.exists()).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let [soft, hard] = [0, 1].map(|at| {
        let number = line.unwrap().split_whitespace().nth(at).unwrap();
        number.parse::<u64>().unwrap()
    });
    assert_eq!(soft, hard.min(65_536), "{limits}");
    assert!(soft > 256);
}

use std::net::TcpListener;

use serde_json::Value;

use crate::support::{Home, golden, wait_until};

/// A CLI as good as the real one, as far as it is looked at.
const CLI: &str = r#"#!/bin/sh
case "$1" in
--version) echo 2026.10.01-e373342 ;;
--help)
    echo 'Start the Cursor Agent: --print --output-format --stream-partial-output --model'
    echo '--workspace, --trust, --resume' ;;
status) echo '{"isAuthenticated": true}' ;;
models) printf 'Available models\n\nauto - Auto (default)\ngpt-5.5-high - GPT-5.5 High\n' ;;
create-chat) echo 868f1553-01ac-4335-89c6-6c1f101d6009 ;;
*)
    echo '{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"OK"}]}}'
    echo '{"type":"result","subtype":"success","is_error":false,"result":"OK"}' ;;
esac
"#;

/// OpenCode, which makes directories on every start.
const OPENCODE: &str =
    "#!/bin/sh\n/bin/mkdir -p \"${XDG_DATA_HOME:-$HOME/.local/share}/opencode\"\necho 1.18.33\n";

/// A home whose PATH leads nowhere else, with a port that is free.
fn home() -> Home {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    at(port)
}

fn at(port: u16) -> Home {
    let home = Home::new();
    let bin = home.path().join("bin");
    // So that no test depends on the network or the kernel.
    home.env("PATH", bin)
        .env("CURSOR_ACP_FENCE", "off")
        .env("PORT", port.to_string())
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
}

fn configure(home: &Home, text: &str) {
    let dir = home.path().join(".config/opencode");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("opencode.json"), text).unwrap();
}

/// What is the same on every machine.
fn stable(text: &str, home: &Home) -> String {
    let port = home.run(&["config", "--json"]).stdout;
    let port: Value = serde_json::from_str(&port).unwrap();
    let settings = port["settings"].as_array().unwrap();
    let port = settings.iter().find(|it| it["name"] == "port").unwrap();
    let text = text.replace(port["value"].as_str().unwrap(), "PORT");
    let seconds = text
        .find("answered in ")
        .map(|at| at + "answered in ".len());
    match seconds {
        Some(at) => {
            let end = at + text[at..].find(" s").unwrap();
            format!("{}N{}", &text[..at], &text[end..])
        }
        None => text,
    }
}

/// A network with a proxy.
fn online(home: Home) -> (Home, TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap().to_string();
    (
        home.env("HTTPS_PROXY", format!("http://{proxy}")),
        listener,
        proxy,
    )
}

fn findings(home: &Home, args: &[&str]) -> (i32, Vec<Value>) {
    let ended = home.run(args);
    let value: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended.code, value["findings"].as_array().unwrap().clone())
}

fn finding(findings: &[Value], name: &str) -> (String, String) {
    let found = findings.iter().find(|it| it["check"] == name).unwrap();
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("severity"), text("message"))
}

#[test]
fn a_machine_without_anything() {
    let home = home();
    let before = home.files();
    let text = home.transcript(&["doctor"]) + &home.transcript(&["doctor", "--json"]);
    let own = std::path::Path::new(env!("CARGO_BIN_EXE_open-cursor"));
    let text = text.replace(own.to_str().unwrap(), "OPEN-CURSOR");
    golden("doctor-nothing.txt", &stable(&text, &home));
    assert_eq!(home.files(), before);
}

/// What only looks, or plays a script, makes none of Cursor's directories; nor with a fence.
#[test]
fn without_a_run_cursor_gets_no_directories() {
    let home = Home::new();
    for command in [&["doctor"][..], &["demo", "--agent", "replay"]] {
        home.run(command);
        for dir in [".cursor", ".config", ".cache/cursor-compile-cache"] {
            assert!(!home.path().join(dir).exists(), "{command:?} made {dir}");
        }
    }
}

#[test]
fn a_machine_where_all_is_well() {
    let (home, _listener, proxy) = online(home());
    home.program("cursor-agent", CLI);
    home.program("opencode", OPENCODE);
    std::os::unix::fs::symlink(
        env!("CARGO_BIN_EXE_open-cursor"),
        home.path().join("bin/open-cursor"),
    )
    .unwrap();
    assert_eq!(home.run(&["sync-models", "--variants"]).code, 0);
    let text = home.transcript(&["doctor", "--deep"]);
    // Other agents of this machine are none of ours.
    let text: String = text
        .lines()
        .filter(|line| !line.contains("strays"))
        .map(|line| match line.split_once("accepts connections (") {
            Some((before, _)) => format!("{before}accepts connections (N ms)\n"),
            None => format!("{line}\n"),
        })
        .collect();
    let text = text.replace(&proxy, "PROXY");
    golden("doctor-well.txt", &stable(&text, &home));
}

#[test]
fn what_is_wrong_is_found() {
    let home = home()
        .env("CURSOR_API_KEY", "crsr_0123456789abcdef")
        .env("CURSOR_API_ENDPOINT", "http://x");
    home.program("cursor-agent", "#!/bin/sh\necho 'grok 1.0: --print'\n");
    configure(
        &home,
        r#"{"provider": {"cursor-acp": {"npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": "http://127.0.0.1:9/v1"}, "models": {"gone": {}}}}}"#,
    );
    let (code, found) = findings(&home, &["doctor", "--deep", "--no-chat", "--json"]);
    assert_eq!(code, 1);
    for (name, severity, words) in [
        ("agent", "warning", "not a version of Cursor's CLI"),
        ("agent-flags", "problem", "is not Cursor's CLI"),
        ("login", "warning", "does not say"),
        ("overrides", "warning", "CURSOR_API_ENDPOINT"),
        (
            "base-url",
            "warning",
            "no open-cursor answers at http://127.0.0.1:9/v1",
        ),
        ("models", "problem", "list of models"),
        ("create-chat", "problem", "no chat was created"),
    ] {
        let (is, message) = finding(&found, name);
        assert!(
            is == severity && message.contains(words),
            "{name}: {is}: {message}"
        );
    }
    assert!(found.iter().all(|it| it["check"] != "chat"));

    home.program("cursor-agent", &CLI.replace("true", "false"));
    let (code, found) = findings(&home, &["doctor", "--json"]);
    assert_eq!((code, finding(&found, "login").0.as_str()), (1, "problem"));
    home.program("cursor-agent", &CLI.replace("--trust", ""));
    let (code, found) = findings(&home, &["doctor", "--json"]);
    assert_eq!(code, 1);
    assert!(finding(&found, "agent-flags").1.contains("--trust"));
    assert!(finding(&found, "login").1.contains("billed"));

    configure(&home, "{\n  broken");
    let (_, found) = findings(&home, &["doctor", "--json"]);
    assert!(finding(&found, "provider").1.contains("opencode.json:2:"));
}

#[test]
fn a_login_that_needs_its_directory_is_found() {
    let home = home();
    let script = "status) [ -z \"$CURSOR_CONFIG_DIR\" ] && a=true || a=false\n  echo \"{\\\"isAuthenticated\\\": $a}\" ;;";
    home.program(
        "cursor-agent",
        &CLI.replace("status) echo '{\"isAuthenticated\": true}' ;;", script),
    );
    let (_, found) = findings(&home, &["doctor", "--json"]);
    assert_eq!(finding(&found, "login").0, "ok");
    let (severity, message) = finding(&found, "config-directory");
    assert_eq!(severity, "warning");
    assert!(message.contains("logged out"), "{message}");
}

#[test]
fn a_port_in_use_is_told_with_its_owner() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = at(listener.local_addr().unwrap().port());
    let (code, found) = findings(&home, &["doctor", "--json"]);
    let (severity, message) = finding(&found, "port");
    assert_eq!((code, severity.as_str()), (1, "problem"));
    let pid = format!("(pid {})", std::process::id());
    assert!(
        message.contains(&pid) || cfg!(not(target_os = "linux")),
        "{message}"
    );
}

#[test]
fn opencode_tells_its_version_and_leaves_nothing() {
    let home = home().env("CURSOR_API_KEY", "crsr_0123456789abcdef");
    home.program("opencode", OPENCODE);
    let found = || finding(&findings(&home, &["doctor", "--json"]).1, "opencode");
    let path = home.path().join("bin/opencode").display().to_string();
    assert_eq!(found(), ("ok".into(), format!("{path}, version 1.18.33")));
    assert!(!home.path().join(".local").exists());
    home.program(
        "opencode",
        "#!/bin/sh\necho \"no $CURSOR_API_KEY\" >&2\nexit 3\n",
    );
    let words = format!("`{path} --version` does not work: it printed `no`");
    assert_eq!(found(), ("warning".into(), words));
    // A child that keeps the output open must not keep us.
    home.program("opencode", "#!/bin/sh\nexec /bin/sleep 60\n");
    assert!(found().1.contains("no result within 4 s"), "{:?}", found());
}

#[tokio::test]
async fn a_running_server_is_recognised() {
    let home = home();
    let info = home.path().join("info.json");
    let args = [
        "serve",
        "--agent",
        "replay",
        "--server-info",
        info.to_str().unwrap(),
    ];
    let mut serve = home.command(&args).spawn().unwrap();
    wait_until("the server's start", || info.exists()).await;
    let (_, found) = findings(&home, &["doctor", "--json"]);
    assert_eq!(finding(&found, "port").0, "ok");
    let (severity, message) = finding(&found, "server");
    assert_eq!(severity, "ok");
    assert!(
        message.contains(&format!("(pid {})", serve.id())),
        "{message}"
    );
    serve.kill().unwrap();
    serve.wait().unwrap();
}

#[test]
fn an_agent_that_fails_is_not_taken_for_another_vendors() {
    let home = home();
    home.program(
        "cursor-agent",
        "#!/bin/sh\necho 'Error: boom' >&2\nexit 1\n",
    );
    let (_, found) = findings(&home, &["doctor", "--json"]);
    let (severity, message) = finding(&found, "agent-flags");
    assert_eq!(severity, "problem");
    assert!(
        message.contains("Error: boom") && !message.contains("not Cursor's"),
        "{message}"
    );
}

#[test]
fn fix_brings_the_models_and_leaves_the_rest() {
    let home = home();
    home.program("cursor-agent", CLI);
    configure(
        &home,
        r#"{"theme": "mine", "provider": {"cursor-acp": {
        "npm": "@ai-sdk/openai-compatible", "options": {"baseURL": "http://127.0.0.1:9/v1"}}}}"#,
    );
    let file = home.path().join(".config/opencode/opencode.json");
    let before = std::fs::read_to_string(&file).unwrap();
    let (code, found) = findings(&home, &["doctor", "--json"]);
    assert_eq!(
        (code, finding(&found, "provider").0.as_str()),
        (1, "problem")
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);

    let (code, found) = findings(&home, &["doctor", "--json", "--fix"]);
    assert_eq!((code, finding(&found, "provider").0.as_str()), (0, "ok"));
    let after: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(after["theme"], "mine");
    assert!(after["provider"]["cursor-acp"]["models"]["auto"].is_object());
    assert_eq!(
        after["provider"]["cursor-acp"]["options"]["baseURL"],
        "http://127.0.0.1:9/v1"
    );
}

#[test]
fn the_fence_is_tried() {
    let home = home().env("CURSOR_ACP_FENCE", "auto");
    let (_, found) = findings(&home, &["doctor", "--json"]);
    let (severity, message) = finding(&found, "fence");
    match severity.as_str() {
        "ok" => assert!(message.starts_with("view"), "{message}"),
        "warning" => assert!(
            message.contains("no view") || message.contains("no write"),
            "{message}"
        ),
        other => panic!("{other}: {message}"),
    }
}

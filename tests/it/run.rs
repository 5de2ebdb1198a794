use std::process::Child;

use serde_json::Value;

use crate::support::{Home, ended, wait_until};

/// A client: what it is told, what the server there answers, and an exit code of its own.
const CLIENT: &str = r#"
    echo "$OPENAI_BASE_URL"
    exec 3<>"/dev/tcp/127.0.0.1/$(echo "$OPENAI_BASE_URL" | sed 's/.*:\([0-9]*\).*/\1/')"
    printf 'GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n' "$OPENAI_API_KEY" >&3
    tail -n 1 <&3
    exit 7
"#;

fn health(stdout: &str) -> Value {
    let body = stdout.lines().last().unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

#[test]
fn a_client_finds_a_server_and_nothing_is_written() {
    let home = Home::new();
    let ended = home.run(&["run", "--agent", "replay", "--", "bash", "-c", CLIENT]);
    assert_eq!((ended.code, ended.stderr.as_str()), (7, ""), "{ended:?}");
    let health = health(&ended.stdout);
    assert_eq!(health["status"], "ok");
    let project = home.path().join("project");
    assert_eq!(health["workspace"], project.to_str().unwrap());
    let files = home.files();
    let not_ours = |path: &str| !path.contains("/.cache/open-cursor/");
    assert!(
        !files
            .iter()
            .any(|(path, _)| not_ours(&path.to_string_lossy())),
        "{files:?}"
    );
    // It went away with the command.
    let pid = u32::try_from(health["pid"].as_u64().unwrap()).unwrap();
    assert!(!crate::support::process_exists(pid));
}

/// Whoever else finds the port of a server of `run` must not use it.
#[test]
fn the_server_of_run_has_a_key_of_its_own() {
    let home = Home::new();
    let script = CLIENT
        .replace("$OPENAI_API_KEY", "open-cursor")
        .replace("/health", "/v1/models");
    let ended = home.run(&["run", "--agent", "replay", "--", "bash", "-c", &script]);
    assert!(ended.stdout.contains("invalid_api_key"), "{ended:?}");
    let key = || {
        let args = [
            "run",
            "--agent",
            "replay",
            "--",
            "printenv",
            "OPENAI_API_KEY",
        ];
        home.run(&args).stdout
    };
    let keys = [key(), key()];
    assert!(keys[0] != keys[1] && keys[0].trim().len() >= 32, "{keys:?}");
}

/// The user's other files are seen through the temporary directory, which is removed at the end.
#[test]
fn a_configuration_file_lasts_as_long_as_its_client() {
    let home = Home::new();
    let users = home.path().join(".pi/agent");
    std::fs::create_dir_all(&users).unwrap();
    std::fs::write(users.join("settings.json"), "mine").unwrap();
    std::fs::write(users.join("models.json"), "mine, too").unwrap();
    let script = "cd $PI_CODING_AGENT_DIR && pwd && cat settings.json models.json && touch new";
    home.program("pi", &format!("#!/bin/sh\n{script}\n"));
    let ended = home.run(&["run", "--agent", "replay", "--", "pi"]);
    let (directory, content) = ended.stdout.split_once('\n').unwrap();
    assert!(
        content.contains("mine") && content.contains("openai-completions"),
        "{ended:?}"
    );
    assert!(!content.contains("mine, too"), "{ended:?}");
    assert!(!std::path::Path::new(directory).exists(), "{directory}");
    assert_eq!(
        std::fs::read_to_string(users.join("models.json")).unwrap(),
        "mine, too"
    );
    let help = home.run(&["run", "--help-client", "pi"]);
    assert!(
        help.code == 0 && help.stdout.contains("PI_CODING_AGENT_DIR"),
        "{help:?}"
    );
}

#[test]
fn a_missing_client_can_be_installed() {
    let home = Home::new();
    let path = home.path().join("bin");
    let home = home.env("PATH", path);
    let ended = home.run(&["run", "--agent", "replay", "--", "opencode"]);
    assert_eq!(ended.code, 127);
    let hint = "hint: install it with `npm install -g opencode-ai`";
    assert!(ended.stderr.contains(hint), "{ended:?}");
}

#[test]
fn opencode_is_given_a_configuration() {
    let home = Home::new().env("OPENCODE_CONFIG_CONTENT", "{\"autoupdate\": false}");
    let args = ["run", "--agent", "replay", "--client", "opencode", "--"];
    let ended = home.run(&[&args[..], &["printenv", "OPENCODE_CONFIG_CONTENT"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let config: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(config["model"], "cursor-acp/auto");
    assert_eq!(config["autoupdate"], false);
    let provider = &config["provider"]["cursor-acp"];
    assert!(provider["models"]["replay-files"].is_object(), "{config}");
    let url = provider["options"]["baseURL"].as_str().unwrap();
    assert!(
        url.starts_with("http://127.0.0.1:") && url.ends_with("/v1"),
        "{url}"
    );
    let ended = home.run(&[&args[..], &["printenv", "OPENAI_API_KEY"]].concat());
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (1, ""),
        "its other providers are its own"
    );
}

#[test]
fn exit_codes_are_those_of_a_shell() {
    let home = Home::new();
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 3"], 3),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["no-such-program"], 127),
        (&["/etc/passwd"], 126),
    ] {
        let ended = home.run(&[&["run", "--agent", "replay", "--"], command].concat());
        assert_eq!(ended.code, code, "{command:?}: {ended:?}");
    }
    let ended = home.run(&["run"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    let ended = home.run(&["run", "--agent", "/none/such", "true"]);
    assert_eq!(ended.code, 1, "{ended:?}");
}

/// Starts a client that says when it is ready, and waits for that.
async fn ready(home: &Home, script: &str) -> Child {
    let args = ["run", "--agent", "replay", "--", "sh", "-c", script];
    let child = home.command(&args).spawn().unwrap();
    let sign = home.path().join("project/ready");
    wait_until("the client's start", || sign.exists()).await;
    child
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let kill = std::process::Command::new("kill")
        .args([name, &pid])
        .status();
    assert!(kill.unwrap().success());
}

#[tokio::test]
async fn signals_are_handed_on_and_the_command_has_the_last_word() {
    for name in ["TERM", "INT", "HUP"] {
        let home = Home::new();
        let script = format!(
            "trap 'sleep 0.3; echo bye; exit 9' {name}; touch ready; while :; do sleep 0.1; done"
        );
        let child = ready(&home, &script).await;
        signal(&child, &format!("-{name}"));
        let ended = ended(&child.wait_with_output().unwrap());
        assert_eq!((ended.code, ended.stdout.as_str()), (9, "bye\n"), "{name}");
    }
    let home = Home::new();
    let child = ready(&home, "touch ready; exec sleep 20").await;
    signal(&child, "-TERM");
    assert_eq!(ended(&child.wait_with_output().unwrap()).code, 143);
}

#[tokio::test]
async fn a_server_that_runs_already_is_used_if_it_is_the_same() {
    let home = Home::new();
    let info = home.path().join("info.json");
    let start = [
        "serve",
        "--agent",
        "replay",
        "--port",
        "0",
        "--workspace",
        ".",
    ];
    let start = [&start[..], &["--server-info", info.to_str().unwrap()]].concat();
    let mut serve = home.command(&start).spawn().unwrap();
    wait_until("the server's start", || info.exists()).await;
    let served: Value = serde_json::from_slice(&std::fs::read(&info).unwrap()).unwrap();
    let port = served["port"].to_string();
    let home = home.env("PORT", &port);
    let pid_with = |args: &[&str], home: &Home| {
        let args = [args, &["--", "bash", "-c", CLIENT]].concat();
        let ended = home.run(&args);
        assert_eq!(ended.code, 7, "{ended:?}");
        health(&ended.stdout)["pid"].clone()
    };
    let run = ["run", "--agent", "replay"];
    assert_eq!(pid_with(&run, &home), served["pid"]);
    let elsewhere = [&run[..], &["--workspace", env!("CARGO_TARGET_TMPDIR")]].concat();
    assert_ne!(pid_with(&elsewhere, &home), served["pid"]);
    let otherwise = [&run[..], &["--idle-timeout", "9"]].concat();
    assert_ne!(pid_with(&otherwise, &home), served["pid"]);
    let home = home.env("CURSOR_ACP_REUSE_EXISTING_PROXY", "false");
    assert_ne!(pid_with(&run, &home), served["pid"]);

    // It outlives those that used it.
    assert_eq!(serve.try_wait().unwrap(), None);
    signal(&serve, "-TERM");
    assert!(serve.wait().unwrap().success());
}

/// Asks a model that never ends, waits for the head of the answer, and goes away.
const IMPATIENT: &str = r#"
    exec 3<>"/dev/tcp/127.0.0.1/$(echo "$OPENAI_BASE_URL" | sed 's/.*:\([0-9]*\).*/\1/')"
    body='{"model":"replay-error-hang","stream":true,"messages":[{"role":"user","content":"x"}]}'
    printf 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' >&3
    printf 'Authorization: Bearer %s\r\n' "$OPENAI_API_KEY" >&3
    printf 'Content-Length: %d\r\n\r\n%s' "${#body}" "$body" >&3
    read -r line <&3 && echo "$line"
    ps -axww -o args= | grep -c "[r]eplay-agent.*$PWD"
"#;

#[test]
fn no_agent_outlives_the_command() {
    let home = Home::new();
    let ended = home.run(&["run", "--agent", "replay", "--", "bash", "-c", IMPATIENT]);
    let mut lines = ended.stdout.lines();
    assert_eq!(
        lines.next().map(str::trim),
        Some("HTTP/1.1 200 OK"),
        "{ended:?}"
    );
    let running: u32 = lines.next().unwrap().parse().unwrap();
    assert!(running > 0, "{ended:?}");
    let project = home.path().join("project");
    let listing = std::process::Command::new("ps")
        .args(["-axww", "-o", "args="])
        .output();
    let listing = String::from_utf8(listing.unwrap().stdout).unwrap();
    let left = listing
        .lines()
        .filter(|line| line.contains(project.to_str().unwrap()));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

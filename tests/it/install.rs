use serde_json::Value;

use crate::support::{Home, golden, wait_until};

const CLI: &str = r#"#!/bin/sh
case "$1" in
--version) echo 2026.10.01-e373342 ;;
status) echo '{"isAuthenticated": true, "userInfo": {"email": "someone@example.org"}}' ;;
models) printf 'Available models\n\nauto - Auto (default)\ngpt-5.5-high - GPT-5.5 High\n' ;;
esac
"#;

/// Whatever the system's service manager is, it is not to be asked.
const MANAGER: &str = "#!/bin/sh\necho \"$@\" >> \"$HOME/asked\"\n";

fn home() -> Home {
    let home = Home::new();
    // Nobody listens on the discard port.
    let dir = home.path().join(".config/open-cursor");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.toml"), "port = 9\n").unwrap();
    home.program("cursor-agent", CLI);
    home.program("systemctl", MANAGER);
    home.program("launchctl", MANAGER);
    home
}

/// All files but those that are meant to stay: backups, the cache, our own state.
fn files(home: &Home) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (path, content) in home.files() {
        let path = path
            .strip_prefix(home.path())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let own = [
            ".config/open-cursor/",
            ".cache/",
            ".local/state/",
            "bin/",
            "asked",
        ];
        if !own.iter().any(|own| path.starts_with(own)) && !path.contains(".bak-") {
            files.push((path, String::from_utf8(content).unwrap()));
        }
    }
    files
}

fn configure(home: &Home, text: &str) {
    let dir = home.path().join(".config/opencode");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("opencode.jsonc"), text).unwrap();
}

fn without_times(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(".bak-") {
        Some((before, after)) => {
            let end = after.find('"').map_or("", |at| &after[at..]);
            format!("{before}.bak-TIME{end}\n")
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn a_dry_run_writes_nothing() {
    let home = home();
    let text = home.transcript(&["install", "--service", "--dry-run"])
        + &home.transcript(&["uninstall", "--dry-run"]);
    assert_eq!(files(&home), []);
    if cfg!(target_os = "linux") {
        let text = text.replace(env!("CARGO_BIN_EXE_open-cursor"), "OPEN-CURSOR");
        golden("install-dry-run.txt", &text);
    }
}

#[test]
fn what_is_installed_is_removed_and_nothing_else() {
    for before in [None, Some("{\n  // mine\n  \"theme\": \"x\"\n}\n")] {
        let home = home();
        if let Some(text) = before {
            configure(&home, text);
        }
        let untouched = files(&home);
        let installed = home.run(&["install", "--service"]);
        assert_eq!(installed.code, 0, "{installed:?}");
        assert!(installed.stderr.contains("in a build directory"));
        let both = files(&home);
        assert_eq!(both.len(), 2, "{both:?}");
        // A second time changes nothing.
        assert_eq!(home.run(&["install", "--service"]).code, 0);
        assert_eq!(files(&home), both);
        let removed = home.run(&["uninstall"]);
        assert_eq!(
            (removed.code, removed.stderr.as_str()),
            (0, ""),
            "{removed:?}"
        );
        assert_eq!(files(&home), untouched);
        let asked = std::fs::read_to_string(home.path().join("asked")).unwrap();
        assert!(
            asked.contains("open-cursor") && asked.lines().count() == 1,
            "{asked}"
        );
        // No record of nothing: but for the lock, which is nobody's.
        let state = std::fs::read_dir(home.path().join(".local/state/open-cursor")).unwrap();
        let left: Vec<_> = state.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["opencode.lock"]);
    }
}

/// A file on one line is not reformatted for good; one that somebody else changed since is kept as
/// it is, apart from our entry.
#[test]
fn a_file_comes_back_byte_for_byte() {
    let file = |home: &Home| home.path().join(".config/opencode/opencode.jsonc");
    let text = r#"{"theme":"x",  "provider":{"mine":{"name":"a b"}}}"#;
    let home_of = || {
        let home = home();
        configure(&home, text);
        for _ in 0..2 {
            assert_eq!(home.run(&["install"]).code, 0);
        }
        assert_eq!(home.run(&["install", "--variants", "--service"]).code, 0);
        home
    };
    let home = home_of();
    assert_eq!(home.run(&["uninstall"]).code, 0);
    assert_eq!(std::fs::read_to_string(file(&home)).unwrap(), text);
    let home = home_of();
    let changed = std::fs::read_to_string(file(&home)).unwrap();
    let changed = changed.replace("\"theme\":\"x\",", "\"theme\":   \"x\", // mine\n");
    std::fs::write(file(&home), &changed).unwrap();
    assert_eq!(home.run(&["uninstall"]).code, 0);
    let left = std::fs::read_to_string(file(&home)).unwrap();
    assert!(
        left.contains("   \"x\", // mine\n") && !left.contains("cursor-acp"),
        "{left}"
    );
}

/// Other users of this machine must not use the service, and OpenCode must.
#[test]
fn the_service_gets_a_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = home();
    assert_eq!(home.run(&["install", "--service"]).code, 0);
    let file = home.path().join(".config/open-cursor/api-key");
    let key = std::fs::read_to_string(&file).unwrap();
    assert!(key.len() >= 32, "{key}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let config = || {
        let config = home.path().join(".config/opencode/opencode.jsonc");
        serde_json::from_slice::<Value>(&std::fs::read(config).unwrap()).unwrap()
    };
    let reference = format!("{{file:{}}}", file.display());
    assert_eq!(
        config()["provider"]["cursor-acp"]["options"]["apiKey"],
        reference
    );
    if cfg!(target_os = "linux") {
        let unit = home.path().join(".config/systemd/user/open-cursor.service");
        let unit = std::fs::read_to_string(unit).unwrap();
        let flag = format!("serve --api-key-file \"{}\"", file.display());
        assert!(unit.contains(&flag), "{unit}");
    }
    // What follows keeps the key.
    for command in [
        &["sync-models"][..],
        &["install"],
        &["install", "--service"],
    ] {
        assert_eq!(home.run(command).code, 0);
        assert_eq!(
            config()["provider"]["cursor-acp"]["options"]["apiKey"],
            reference
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
    }
    assert_eq!(home.run(&["uninstall"]).code, 0);
    assert!(!file.exists());
}

/// An agent that hangs is not waited for.
#[test]
fn a_hanging_agent_does_not_hang_what_asks_it() {
    let home = home();
    home.program("cursor-agent", "#!/bin/sh\nexec /bin/sleep 60\n");
    for (command, words) in [
        ("status", "unknown"),
        ("doctor", "within 4 s"),
        ("models", "cursor-agent models` gave no answer within 4."),
    ] {
        let started = std::time::Instant::now();
        let ended = home.run(&[command]);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains(words), "{ended:?}");
        let is_hinted = ended.stderr.contains("\nhint: ");
        assert!(command != "models" || is_hinted, "{ended:?}");
        let took = started.elapsed().as_secs_f32();
        assert!(took < 7.0, "{command} took {took} s");
    }
}

/// Where Cursor writes there may be anything.
#[test]
fn files_that_never_end_hang_no_command() {
    let home = home();
    let at = |path: &str| {
        let path = home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        path
    };
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&at(".config/cursor/auth.json"), mode).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at(".cursor/auth.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at(".cursor/cli-config.json")).unwrap();
    for sparse in [".cursor/mcp.json", ".cursor/statsig-cache.json"] {
        let file = std::fs::File::create(at(sparse)).unwrap();
        file.set_len(2 << 30).unwrap();
    }
    for command in [
        &["auth", "status"][..],
        &["status"],
        &["doctor"],
        &["models", "--agent", "replay"],
        &["mcp", "list", "--mcp-from", "cursor"],
        &["demo", "--agent", "replay"],
    ] {
        let started = std::time::Instant::now();
        let ended = home.run(command);
        let took = started.elapsed().as_secs_f32();
        assert!(took < 10.0, "{command:?} took {took} s");
        assert!(ended.code < 3, "{ended:?}");
    }
    let told = home.run(&["auth", "status"]).stdout;
    assert_eq!(told.matches("not a regular file").count(), 2, "{told}");
}

#[test]
fn every_command_that_asks_the_agent_takes_one() {
    let home = home();
    for command in [
        "models",
        "sync-models",
        "install",
        "status",
        "doctor",
        "login",
        "logout",
    ] {
        let ended = home.run(&[command, "--agent", "replay"]);
        assert_ne!(ended.code, 2, "{ended:?}");
    }
    let ended = home.run(&["models", "--agent", "replay"]);
    assert!(ended.stdout.contains("replay-files"), "{ended:?}");
    let ended = home.run(&["sync-models", "--compact", "--plain"]);
    assert_eq!(ended.code, 2, "{ended:?}");
}

#[test]
fn backups_stay_and_are_named() {
    let home = home();
    configure(&home, "{}\n");
    assert_eq!(home.run(&["install"]).code, 0);
    assert_eq!(home.run(&["sync-models", "--variants"]).code, 0);
    let removed = home.run(&["uninstall", "--json"]);
    let value: Value = serde_json::from_str(&removed.stdout).unwrap();
    let named: Vec<_> = value["config"]["backups"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let backups = || home.files().into_iter().map(|(path, _)| path);
    let there: Vec<_> = backups()
        .filter(|path| path.to_string_lossy().contains(".bak-"))
        .collect();
    assert_eq!(
        named,
        there
            .iter()
            .map(|path| path.to_str().unwrap())
            .collect::<Vec<_>>()
    );
    assert!(there.len() > 1, "{there:?}");
    let again = home.run(&["uninstall"]);
    let line = format!("not removed: {} backups, ", there.len());
    assert!(again.stdout.contains(&line), "{again:?}");
}

/// What was written elsewhere, or under another name, is not forgotten, nor the rest gone with it.
#[test]
fn what_is_still_there_is_named_and_can_be_removed() {
    let home = home();
    let elsewhere = home.path().join("elsewhere.json").display().to_string();
    assert_eq!(home.run(&["install", "--service"]).code, 0);
    assert_eq!(home.run(&["sync-models", "--provider", "cursor"]).code, 0);
    assert_eq!(home.run(&["sync-models", "--config", &elsewhere]).code, 0);
    let whole = files(&home).len();

    let first = home.run(&["uninstall", "--provider", "cursor", "--json"]);
    let value: Value = serde_json::from_str(&first.stdout).unwrap();
    let left = value["left"].as_array().unwrap();
    assert_eq!(left.len(), 2, "{value}");
    assert_eq!(left[0]["provider"], "cursor-acp");
    assert_eq!(left[1]["config"].as_str(), Some(elsewhere.as_str()));
    assert_eq!(value["service"], Value::Null);
    assert_eq!(files(&home).len(), whole);

    let planned = home.run(&["uninstall", "--dry-run"]);
    let how = format!("open-cursor uninstall --config {elsewhere} --provider cursor-acp");
    assert!(planned.stdout.contains(&how), "{planned:?}");
    let second = home.run(&["uninstall", "--config", &elsewhere]);
    assert!(!second.stdout.contains("Service"), "{second:?}");
    let last = home.run(&["uninstall"]);
    assert!(last.stdout.contains("Service"), "{last:?}");
    assert!(!last.stdout.contains("Still there"), "{last:?}");
    for (path, text) in files(&home) {
        assert!(!text.contains("baseURL"), "{path}: {text}");
    }
}

#[test]
fn the_users_changes_stay() {
    let home = home();
    assert_eq!(home.run(&["install", "--service"]).code, 0);
    let (path, _) = files(&home)
        .into_iter()
        .find(|(path, _)| path.contains("open-cursor"))
        .unwrap();
    let unit = home.path().join(path);
    std::fs::write(&unit, "mine").unwrap();
    let refused = home.run(&["install", "--service"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("hint:"), "{refused:?}");
    let config = home.path().join(".config/opencode/opencode.jsonc");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("\"name\": \"Auto\"", "\"name\": \"Mine\""),
    )
    .unwrap();
    let removed = home.run(&["uninstall", "--json"]);
    let value: Value = serde_json::from_str(&removed.stdout).unwrap();
    assert_eq!(
        value["config"]["kept"][0],
        "provider.cursor-acp.models.auto.name"
    );
    assert_eq!(value["service"]["removed"], false);
    assert_eq!(std::fs::read_to_string(&unit).unwrap(), "mine");
    assert!(std::fs::read_to_string(&config).unwrap().contains("Mine"));
}

#[test]
fn without_a_login_the_provider_is_there_all_the_same() {
    let home = home().env("CURSOR_AGENT_EXECUTABLE", "/none/such");
    let installed = home.run(&["install"]);
    assert_eq!(installed.code, 0);
    assert!(installed.stderr.contains("only `auto`"), "{installed:?}");
    let value: Value = serde_json::from_str(&files(&home)[0].1).unwrap();
    assert!(value["provider"]["cursor-acp"]["models"]["auto"].is_object());
}

#[test]
fn the_service_is_told_what_it_lacks() {
    let home = home()
        .env("PORT", "4000")
        .env("CURSOR_API_KEY", "crsr_secret");
    let planned = home.run(&["install", "--service", "--dry-run"]);
    for words in [
        "does not see PORT; set `port`",
        "does not see CURSOR_API_KEY",
    ] {
        assert!(planned.stderr.contains(words), "{planned:?}");
    }
    assert!(!planned.stderr.contains("crsr_secret"));
}

#[test]
fn it_says_what_it_did() {
    let home = home();
    configure(&home, "{\n  \"theme\": \"x\"\n}\n");
    let mut text = home.transcript(&["status"]);
    text += &home.transcript(&["install", "--json"]);
    text += &home.transcript(&["install"]);
    text += &home.transcript(&["status"]);
    text += &home.transcript(&["status", "--json"]);
    text += &home.transcript(&["uninstall"]);
    text += &home.transcript(&["uninstall", "--json"]);
    golden("install.txt", &without_times(&text));
}

#[test]
fn a_talkative_agent_does_not_flood_the_status() {
    let home = home();
    let junk = "#!/bin/sh\nprintf '\\a\\f'; head -c 100000 /dev/zero | tr '\\0' x; exit 7\n";
    home.program("cursor-agent", junk);
    for args in [&["status"][..], &["status", "--json"]] {
        let ended = home.run(args);
        assert!(ended.stdout.len() < 1000, "{}", ended.stdout.len());
        let is_odd = |c: char| c.is_control() && c != '\n';
        assert!(!ended.stdout.contains(is_odd), "{ended:?}");
    }
}

#[tokio::test]
async fn status_shows_a_running_server() {
    let home = Home::new();
    let info = home.path().join("info.json");
    let start = ["serve", "--agent", "replay", "--port", "0", "--server-info"];
    let start = [&start[..], &[info.to_str().unwrap()]].concat();
    let mut serve = home.command(&start).spawn().unwrap();
    wait_until("the server's start", || info.exists()).await;
    let served: Value = serde_json::from_slice(&std::fs::read(&info).unwrap()).unwrap();
    let home = home
        .env("PORT", served["port"].to_string())
        .env("CURSOR_AGENT_EXECUTABLE", "replay");
    let status = home.run(&["status", "--json"]);
    let value: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(
        (status.code, &value["ready"]),
        (0, &Value::Bool(true)),
        "{value}"
    );
    assert_eq!(value["server"]["pid"], serve.id());
    assert_eq!(value["server"]["url"], served["url"]);
    serve.kill().unwrap();
    serve.wait().unwrap();
}

//! Whatever is wrong with a command, it says so in words, with a hint, at once.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::support::{Ended, Home};

fn home() -> Home {
    // Nobody listens on the discard port.
    Home::new().env("PORT", "9")
}

/// One line that says what is wrong, one that says what to do, and nothing of the system's numbers.
#[track_caller]
fn assert_answers(ended: &Ended, code: i32) {
    assert_eq!(ended.code, code, "{ended:?}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let [.., error, hint] = lines.as_slice() else {
        panic!("{ended:?}");
    };
    assert!(error.starts_with("error: "), "{ended:?}");
    assert!(hint.starts_with("hint: "), "{ended:?}");
    assert!(!ended.stderr.contains("os error"), "{ended:?}");
}

/// The files that are not the program's own.
fn of_the_user(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = home.files();
    files.retain(|(path, _)| {
        let ours = [".cache", ".local"].map(|dir| home.path().join(dir));
        !ours.iter().any(|dir| path.starts_with(dir))
    });
    files
}

#[test]
fn a_wrong_command_line_is_exit_2_with_a_hint() {
    let home = home();
    let before = of_the_user(&home);
    for args in [
        &["nonsense"][..],
        &["serve", "--fort", "1"],
        &["serve", "--port", "99999"],
        &["serve", "--host", "999.1.1.1"],
        &["serve", "--fence", "maybe"],
        &["serve", "--agent", "replay", "--host", "0.0.0.0"],
        &["serve", "--agent", "replay", "--workspace", "/nowhere"],
        &["serve", "--agent", "replay", "--api-key-file", "/nowhere"],
        &["serve", "--agent", "replay", "--keys-file", "/"],
        &["serve", "--agent", "replay", "--dump-dir", "/dev/null/x"],
        &[
            "serve",
            "--agent",
            "replay",
            "--log-file",
            "/dev/null/x/log",
        ],
        &[
            "serve",
            "--agent",
            "replay",
            "--allow-users",
            "nobody-at-all",
        ],
        &["usage", "--by", "moon"],
        &["doctor", "--no-chat"],
        &["tools", "convert"],
        &["mcp", "call", "--mcp-from", "own", "a", "b", "no json"],
        &["completions", "tcsh"],
        &["help", "nothing"],
        &["run"],
        &["run", "--client", "nobody", "--", "true"],
    ] {
        assert_answers(&home.run(args), 2);
    }
    for (name, value) in [("PORT", "x"), ("CURSOR_ACP_MAX_RUNNING", "-2")] {
        assert_answers(&Home::new().env(name, value).run(&["status"]), 2);
    }
    assert_eq!(of_the_user(&home), before);
}

#[test]
fn what_fails_is_exit_1_with_a_hint() {
    let home = home();
    let before = of_the_user(&home);
    for args in [
        &["models", "--agent", "/nowhere"][..],
        &["sync-models", "--agent", "/nowhere"],
        &[
            "sync-models",
            "--agent",
            "replay",
            "--config",
            "/dev/null/x",
        ],
        &["serve", "--agent", "/bin/ls"],
        &["serve", "--agent", "replay", "--socket", "/nowhere/s"],
        &["login"],
        &["demo", "--agent", "replay", "--model", "no-such-model"],
        &["reload"],
        &["mcp", "list"],
        &["tools", "convert", "--to", "openai", "/dev/null"],
    ] {
        assert_answers(&home.run(args), 1);
    }
    let run = |program| home.run(&["run", "--agent", "replay", "--", program]);
    assert_answers(&run("no-such-program"), 127);
    assert_answers(&run("/dev/null"), 126);
    assert_eq!(of_the_user(&home), before);
}

#[test]
fn without_a_home_directory_the_hint_names_what_to_set() {
    let home = home().env("HOME", "");
    for command in ["sync-models", "install", "uninstall", "usage", "requests"] {
        let mut args = vec![command];
        if matches!(command, "sync-models" | "install") {
            args.extend(["--agent", "replay"]);
        }
        let ended = home.run(&args);
        assert_answers(&ended, 1);
        assert!(ended.stderr.contains("set HOME"), "{ended:?}");
    }
}

/// A program that can't be started is named, with the system's words.
#[test]
fn an_agent_that_cannot_be_started_is_named() {
    let home = home();
    home.program("cursor-agent", "#!/no/such/interpreter\n");
    let began = Instant::now();
    for command in ["models", "login"] {
        let ended = home.run(&[command]);
        assert_answers(&ended, 1);
        assert!(
            ended.stderr.contains("bin/cursor-agent: No such"),
            "{ended:?}"
        );
    }
    let status = home.run(&["status"]);
    assert!(status.stdout.contains("could not start"), "{status:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Notes of libraries are not for users.
#[test]
fn a_directory_for_the_log_is_made_without_a_word() {
    let home = home();
    let log = home.path().join("logs/today/server.log");
    let ended = home.run(&[
        "serve",
        "--agent",
        "/nowhere",
        "--log-file",
        log.to_str().unwrap(),
    ]);
    assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    assert!(log.parent().unwrap().is_dir());
}

use serde_json::Value;

use crate::support::{Home, golden};

fn with_file(text: &str) -> Home {
    let home = Home::new();
    let dir = home.path().join(".config/open-cursor");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.toml"), text).unwrap();
    home
}

#[test]
fn every_value_and_where_it_is_from() {
    let plain = Home::new();
    let mut text = plain.transcript(&["config"]);
    let set = with_file("# mine\nport = 4000\nagent-timeout = 5\n").env("RUST_LOG", "debug");
    text += &set.transcript(&["config", "--agent", "replay"]);
    text += &set.transcript(&["config", "--json"]);
    golden("config.txt", &text);
}

#[test]
fn a_wrong_file_is_wrong_usage_for_every_command_that_reads_it() {
    let home = with_file("port = 4000\nprot = 1\n");
    let mut text = String::new();
    for args in [
        &["config"][..],
        &["serve"],
        &["run", "true"],
        &["sync-models"],
    ] {
        text += &home.transcript(args);
    }
    golden("config-wrong.txt", &text);
}

#[test]
fn the_file_is_used() {
    let home = with_file("agent = \"replay\"\n");
    let ended = home.run(&["models", "--json"]);
    assert!(ended.stdout.contains("replay-files"), "{ended:?}");
}

#[test]
fn completions_and_manual_pages() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = home.run(&["completions", shell]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        for word in ["sync-models", "agent-timeout"] {
            assert!(ended.stdout.contains(word), "{shell} lacks {word}");
        }
    }
    assert_eq!(home.run(&["man", "pages"]).code, 0);
    let page = home.path().join("project/pages/open-cursor-run.1");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("Examples"), "{page}");
}

/// The reference names every key that scripts may rely on.
#[test]
fn json_is_documented() {
    let readme = concat!(
        include_str!("../../src/cli/topics/clients.md"),
        include_str!("../../src/cli/topics/settings.md"),
        include_str!("../../src/cli/topics/troubleshooting.md"),
    );
    let home = Home::new().env("CURSOR_AGENT_EXECUTABLE", "replay");
    for command in [
        &["models"][..],
        &["sync-models", "--dry-run"],
        &["install", "--dry-run"],
        &["uninstall", "--dry-run"],
        &["status"],
        &["doctor"],
        &["config"],
        &["auth", "status"],
    ] {
        let ended = home.run(&[command, &["--json"]].concat());
        let value: Value = serde_json::from_str(&ended.stdout).unwrap();
        for key in value.as_object().unwrap().keys() {
            assert!(readme.contains(&format!("`{key}`")), "{command:?}: {key}");
        }
    }
}

#[test]
fn every_command_has_help_with_examples() {
    let home = Home::new();
    let help = home.run(&["--help"]).stdout;
    let list = help.split("Commands:").nth(1).unwrap();
    // What is indented more goes on from the line before.
    let lines = list.lines().skip(1).take_while(|line| !line.is_empty());
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    let names: Vec<&str> = names
        .filter(|name| !matches!(*name, "help" | "auth"))
        .collect();
    assert!(names.len() > 10 && !names.contains(&"man"), "{help}");
    for name in names {
        let ended = home.run(&[name, "--help"]);
        assert!(
            ended.code == 0 && ended.stdout.contains("Examples:"),
            "{name}: {ended:?}"
        );
    }
    assert!(
        home.run(&["auth", "status", "--help"])
            .stdout
            .contains("Examples:")
    );
}

//! The way in which models are presented, kept from run to run.

use std::fs;

use serde_json::Value;

use crate::support::Home;

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/opencode/models.txt");
const GROUPED: [&str; 2] = ["--variants", "--compact"];

/// An installed CLI that lists models.
fn home() -> Home {
    let home = Home::new();
    home.program("cursor-agent", &format!("#!/bin/sh\ncat {LIST}\n"));
    home
}

/// What it printed.
fn run(home: &Home, args: &[&str], more: &[&str]) -> String {
    let ended = home.run(&[args, more].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    ended.stdout
}

/// Whether a family has variants, and whether its members have entries.
fn shape(home: &Home) -> (bool, bool) {
    let file = home.path().join(".config/opencode/opencode.jsonc");
    let config: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let models = &config["provider"]["cursor-acp"]["models"];
    let variants = &models["gpt-5.2"]["variants"];
    (
        variants["high"].is_object(),
        models["gpt-5.2-high"].is_object(),
    )
}

#[test]
fn without_flags_it_stays_as_it_is() {
    for command in ["sync-models", "install"] {
        for (flags, expected) in [
            (&["--plain"][..], (false, true)),
            (&["--variants"], (true, true)),
            (&GROUPED, (true, false)),
        ] {
            let home = home();
            run(&home, &["sync-models"], flags);
            assert_eq!(shape(&home), expected, "{flags:?}");
            let before = home.files();
            let again = run(&home, &[command], &[]);
            assert_eq!(shape(&home), expected, "{command} after {flags:?}");
            let grouped = again.contains("--plain");
            assert_eq!(grouped, flags != ["--plain"], "{again:?}");
            if command == "sync-models" {
                assert_eq!(home.files(), before, "{flags:?}");
            }
        }
    }
}

#[test]
fn flags_win_in_every_direction() {
    let home = home();
    for (flags, expected) in [
        (&GROUPED[..], (true, false)),
        (&["--variants"], (true, true)),
        (&GROUPED, (true, false)),
        (&["--plain"], (false, true)),
        (&[], (false, true)),
    ] {
        run(&home, &["sync-models"], flags);
        assert_eq!(shape(&home), expected, "{flags:?}");
    }
    for wrong in [&["--plain", "--variants"][..], &["--compact"]] {
        let ended = home.run(&[&["sync-models"], wrong].concat());
        assert_eq!(ended.code, 2, "{wrong:?}");
    }
}

#[test]
fn json_tells_the_shape_that_was_kept() {
    let home = home();
    run(&home, &["install"], &GROUPED);
    let ended = run(&home, &["sync-models", "--json"], &[]);
    let value: Value = serde_json::from_str(&ended).unwrap();
    assert_eq!(
        (&value["variants"], &value["compact"]),
        (&true.into(), &true.into())
    );
    let ended = run(&home, &["install", "--json"], &["--plain"]);
    let value: Value = serde_json::from_str(&ended).unwrap();
    assert_eq!(value["config"]["variants"], false);
}

#[test]
fn doctor_mends_without_regrouping() {
    let home = home().env("HTTPS_PROXY", "http://127.0.0.1:9");
    run(&home, &["sync-models"], &["--variants"]);
    let fewer = "#!/bin/sh\nprintf 'Available models\\n\\nauto - Auto\\n";
    let fewer = format!("{fewer}gpt-5.2 - GPT-5.2\\ngpt-5.2-high - GPT-5.2 High\\n'\n");
    home.program("cursor-agent", &fewer);
    let ended = home.run(&["doctor", "--deep", "--no-chat", "--fix", "--json"]);
    let value: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(value["fixed"].as_array().unwrap().len(), 1, "{value}");
    assert_eq!(shape(&home), (true, true));
}

/// A lost record leaves the configuration itself to go by.
#[test]
fn the_configuration_tells_where_the_record_does_not() {
    let home = home();
    run(&home, &["sync-models"], &GROUPED);
    fs::remove_dir_all(home.path().join(".local")).unwrap();
    run(&home, &["sync-models"], &[]);
    assert_eq!(shape(&home), (true, false));
}

/// The user's own variants are no family of ours.
#[test]
fn variants_of_the_users_own_group_nothing() {
    let home = home();
    run(&home, &["sync-models"], &[]);
    let file = home.path().join(".config/opencode/opencode.jsonc");
    let text = fs::read_to_string(&file).unwrap();
    let own = r#""models": {"mine": {"variants": {"x": {"cursorModel": "gpt-5.2-high"}}},"#;
    fs::write(&file, text.replacen("\"models\": {", own, 1)).unwrap();
    run(&home, &["sync-models"], &[]);
    assert_eq!(shape(&home), (false, true));
}

/// Without a list there is nothing to group yet, so the note repeats the flags.
#[test]
fn the_hint_for_later_repeats_the_flags() {
    let home = Home::new().env("CURSOR_AGENT_EXECUTABLE", "/none/such");
    let ended = home.run(&["install", "--variants", "--compact"]);
    assert!(
        ended
            .stderr
            .contains("`open-cursor sync-models --variants --compact` later"),
        "{ended:?}"
    );
}

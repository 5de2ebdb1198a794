use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Home;
use open_cursor::models::{ListedModel, ModelRequest, group, parse, resolve};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// Runs the program in an empty home: exit code, stdout, stderr.
fn run(args: &[&str], list: &Path) -> (i32, String, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_open-cursor"));
    command
        .args(args)
        .arg("--fixture")
        .arg(list)
        .env_clear()
        .env("HOME", home.path());
    let output = command.output().unwrap();
    let text = |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace(home.path().canonicalize().unwrap().to_str().unwrap(), "~")
    };
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Golden output: `fixtures/cli/<name>` is what the command prints.
#[test]
fn golden_output() {
    let list = fixture("opencode/models.txt");
    for (name, args) in [
        ("models.txt", &["models"][..]),
        ("models-explain.txt", &["models", "--explain"]),
        ("models.json", &["models", "--json"]),
        ("sync-models.txt", &["sync-models"]),
        (
            "sync-models-dry-run.txt",
            &["sync-models", "--variants", "--compact", "--dry-run"],
        ),
        (
            "sync-models-dry-run.json",
            &[
                "sync-models",
                "--variants",
                "--dry-run",
                "--json",
                "--provider",
                "cursor",
            ],
        ),
    ] {
        let (code, stdout, stderr) = run(args, &list);
        assert_eq!((code, stderr.as_str()), (0, ""), "{name}");
        assert_eq!(
            stdout,
            fs::read_to_string(fixture("cli").join(name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn wrong_usage_is_exit_2() {
    let list = fixture("opencode/models.txt");
    for args in [
        &["sync-models", "--compact"][..],
        &["sync-models", "--provider", "a/b"],
        &["models", "--json", "--unpriced"],
    ] {
        assert_eq!(run(args, &list).0, 2, "{args:?}");
    }
}

#[test]
fn what_is_wrong_with_a_list_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list.txt");
    fs::write(
        &list,
        "Loading models…\nNo models available for this account.\n",
    )
    .unwrap();
    for command in ["models", "sync-models"] {
        let (code, stdout, stderr) = run(&[command], &list);
        assert_eq!((code, stdout.as_str()), (1, ""), "{command}");
        assert!(
            stderr.contains("offers no models for this account"),
            "{stderr}"
        );
    }
}

#[test]
fn a_price_gap_is_found() {
    let (code, stdout, stderr) = run(&["models", "--unpriced"], &fixture("opencode/models.txt"));
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list.txt");
    fs::write(
        &list,
        "auto - Auto\ngpt-99-high - GPT-99 High\ngpt-5.2 - GPT-5.2\n",
    )
    .unwrap();
    let (code, stdout, stderr) = run(&["models", "--unpriced"], &list);
    assert_eq!((code, stdout.as_str()), (1, "gpt-99-high\n"));
    assert_eq!(stderr, "1 of 3 models have no known price\n");
}

/// The list of a real account, where it is at hand; it is not ours to keep here.
#[test]
fn the_real_list() {
    let reference = Path::new("/work/shared/reference/cursor-agent/recordings/models");
    let Ok(text) = fs::read_to_string(reference.join("2026.09.02-live-plain.txt")) else {
        return;
    };
    let models = parse(&text).unwrap();
    let families = group(&models);
    assert_eq!((models.len(), families.len()), (217, 35));
    for model in &models {
        let request = ModelRequest {
            model: Some(&model.id),
            ..ModelRequest::default()
        };
        assert_eq!(
            resolve(request, &families, true).as_deref(),
            Ok(model.id.as_str())
        );
    }
    // Whatever part of it an account sees, the families are the same, less what it does not see.
    for step in 2..40 {
        let seen = |id: &str| {
            models
                .iter()
                .position(|m| m.id == id)
                .is_some_and(|i| i % step == 0)
        };
        let part: Vec<ListedModel> = models
            .iter()
            .filter(|model| seen(&model.id))
            .cloned()
            .collect();
        let mut restricted = families.clone();
        restricted
            .iter_mut()
            .for_each(|family| family.members.retain(|m| seen(&m.model.id)));
        restricted.retain(|family| !family.members.is_empty());
        let mut grouped = group(&part);
        grouped.sort_by(|a, b| a.name.cmp(&b.name));
        restricted.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(grouped, restricted, "every {step}th");
    }
}

#[test]
fn without_an_agent_the_hint_helps() {
    let home = Home::new().env("CURSOR_AGENT_EXECUTABLE", "no-such-agent");
    for command in ["models", "sync-models"] {
        let ended = home.run(&[command]);
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{command}");
        let (error, hint) = ended.stderr.split_once("hint:").unwrap();
        assert!(error.contains("curl https://cursor.com/install"), "{error}");
        // What this command cannot be given is no help.
        assert!(!error.contains("--agent"), "{error}");
        assert!(!hint.contains("cursor-agent models"), "{hint}");
        assert!(hint.contains("open-cursor doctor"), "{hint}");
    }
}

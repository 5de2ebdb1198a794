//! All of it once more as a user without any privilege.

use std::process::Command;

use crate::harness::{is_root, skip};

#[test]
fn every_test_again_as_nobody() {
    if !is_root() {
        return skip("already unprivileged");
    }
    let tests = std::env::current_exe().unwrap();
    let output = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps=-all",
        ])
        .arg(tests)
        .args([
            "--nocapture",
            "--test-threads=2",
            "--skip=every_test_again_as_nobody",
        ])
        .env("HOME", "/nonexistent")
        .current_dir("/")
        .output();
    let Ok(output) = output else {
        return skip("no setpriv here");
    };
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    let summary = out
        .lines()
        .find(|line| line.starts_with("test result: ok."))
        .unwrap();
    eprintln!("as nobody: {summary}");
    assert!(!summary.contains(" 0 passed"), "{summary}");
}

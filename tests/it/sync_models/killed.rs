//! `open-cursor sync-models`, killed at any moment, leaves the old or the new file, whole.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

#[test]
fn the_file_is_whole_at_any_moment() {
    let place = Place::new(Some(b"{ /* mine */ }\n"));
    let shapes: [&[&str]; 2] = [&["--plain"], &["--variants", "--compact"]];
    let command = |shape: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_open-cursor"));
        command
            .arg("sync-models")
            .args(shape)
            .arg("--config")
            .arg(place.config())
            .arg("--fixture")
            .arg(fixtures().join("models.txt"))
            .env_clear()
            .env("HOME", place.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    // What the file may hold: what a run that is left alone makes of either shape, in any order.
    let mut whole = BTreeSet::from([place.text()]);
    let mut settle = || {
        for shape in [0, 1, 0, 1] {
            assert!(command(shapes[shape]).status().unwrap().success());
            whole.insert(place.text());
        }
    };
    settle();
    let mut took = Vec::new();
    for shape in [0, 1, 0, 1] {
        let begun = std::time::Instant::now();
        assert!(command(shapes[shape]).status().unwrap().success());
        took.push(begun.elapsed());
    }
    let longest = took.into_iter().max().unwrap();

    let (mut killed, mut changed) = (0, 0);
    for round in 0..150_u32 {
        let before = place.text();
        let mut child = command(shapes[round as usize % 2]).spawn().unwrap();
        // Spread over the run's length, in an order that has no pattern of its own.
        let part = f64::from(round * 61 % 150) / 150.0;
        std::thread::sleep(longest.mul_f64(part).min(Duration::from_secs(1)));
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success());
        let after = place.text();
        changed += u32::from(after != before);
        assert!(
            whole.contains(&after),
            "round {round} left a broken file:\n{after}"
        );
    }
    assert!(
        killed > 0 && changed > 0,
        "{killed} killed, {changed} changed"
    );
    // A run that changes something sweeps what was left; one of two different ones does.
    for shape in shapes {
        assert!(command(shape).status().unwrap().success());
    }
    let others = place.others();
    let litter = others
        .iter()
        .filter(|name| !name.starts_with("opencode.jsonc.bak-"));
    assert_eq!(
        litter.collect::<Vec<_>>(),
        [".local"],
        "what killed runs left is swept"
    );
    assert_eq!(others.len(), 1 + 5, "five backups are kept");
}

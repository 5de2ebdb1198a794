//! What is on disk afterwards.

use super::*;

fn piece(turn: &str, part: DumpPart, text: &str) -> DumpPiece {
    DumpPiece {
        turn: turn.into(),
        part,
        bytes: text.into(),
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_burst_of_short_lines_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let dumps = Dumps::open(dir.path(), 1).unwrap();
    let dump = dumps.turn("1");
    for _ in 0..WAITING {
        dump.line(DumpPart::Events, b"{}");
    }
    let events = dir.path().join("turn-1/events.ndjson");
    let lines = || fs::read_to_string(&events).map_or(0, |text| text.lines().count());
    // All of them, though the dump is still in use.
    while lines() < WAITING {
        thread::yield_now();
    }
    drop((dump, dumps));
}

#[test]
fn what_waits_is_bounded() {
    let (pieces, receiver) = sync_channel(WAITING);
    let dump = Dump {
        name: "1".into(),
        pieces,
        has_gaps: Arc::default(),
    };
    dump.write(DumpPart::Events, &vec![0; PIECE * WAITING]);
    assert!(!dump.has_gaps.load(Ordering::Relaxed));
    dump.write(DumpPart::Events, b"one more");
    assert!(dump.has_gaps.load(Ordering::Relaxed));
    assert_eq!(receiver.try_iter().count(), WAITING);
}

#[test]
fn the_oldest_turns_go_and_foreign_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("turn-0")).unwrap();
    fs::write(dir.path().join("turn-0/mine.txt"), "keep").unwrap();
    fs::write(dir.path().join("notes"), "keep").unwrap();
    let mut ring = Ring {
        dir: dir.path().to_owned(),
        keep: 2,
        turns: [TurnDump::closed("0".into())].into(),
    };
    for turn in ["1", "2", "3", "3"] {
        for part in DumpPart::ALL {
            ring.append(&piece(turn, part, "a")).unwrap();
        }
    }
    ring.close_all();
    assert_eq!(names(dir.path()), ["notes", "turn-0", "turn-2", "turn-3"]);
    let response = dir.path().join("turn-3/response.txt");
    assert_eq!(fs::read_to_string(&response).unwrap(), "aa");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&response), 0o600);
        assert_eq!(mode(response.parent().unwrap()), 0o700);
    }
}

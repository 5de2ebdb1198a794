use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::*;

const SOON: Duration = Duration::from_secs(10);

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn row(id: &str) -> LedgerRow {
    LedgerRow {
        at: now(),
        id: id.to_owned(),
        client: "opencode/1.0".to_owned(),
        dialect: "chat/completions".to_owned(),
        model: "cursor-acp/gpt".to_owned(),
        cursor_model: Some("gpt".to_owned()),
        workspace: Some("/home/a/project".to_owned()),
        agent: "print".to_owned(),
        run: "fresh".to_owned(),
        status: Some(200),
        outcome: "stop".to_owned(),
        times: PhaseTimes {
            queued: Some(1),
            first_event: Some(2001),
            first_delta: Some(3000),
            total: 4000,
            ..PhaseTimes::default()
        },
        deltas: 3,
        tools: [("bash".to_owned(), [("called".to_owned(), 2)].into())].into(),
        input: Some(100),
        output: Some(10),
        cache_read: Some(900),
        cost: Some(0.5),
        cache_saved: Some(0.25),
        bytes_in: 7,
        bytes_out: 9,
        ..LedgerRow::default()
    }
}

fn ids(path: &Path) -> Vec<String> {
    let reader = LedgerReader::open(path).unwrap().unwrap();
    let rows = reader.after(0, usize::MAX).unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

/// Waits until the thread has closed the database, which empties the log into it.
fn close(history: Ledger) {
    let log = history.path().with_extension("db-wal");
    drop(history);
    let begun = Instant::now();
    while log.exists() {
        assert!(begun.elapsed() < SOON);
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ledger() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/history.db");
    (dir, path)
}

#[test]
fn a_row_comes_back_as_it_was() {
    let (_dir, path) = ledger();
    let history = Ledger::start(path.clone()).unwrap();
    history.flush(SOON);
    assert!(LedgerReader::open(&path).unwrap().is_none());
    assert!(!path.exists(), "a server without turns leaves no file");
    history.append(row("a"));
    history.append(LedgerRow {
        at: now(),
        outcome: "hung_up".to_owned(),
        ..LedgerRow::default()
    });
    history.flush(SOON);
    let reader = LedgerReader::open(&path).unwrap().unwrap();
    let rows = reader.after(0, 10).unwrap();
    let expected = LedgerRow {
        seq: 1,
        at: rows[0].at,
        ..row("a")
    };
    assert_eq!(rows[0], expected);
    assert_eq!((rows[1].seq, rows[1].status), (2, None));
    assert_eq!(reader.before(2, 10).unwrap(), rows[..1]);
    for file in [&path, &path.with_extension("db-wal")] {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn sums_and_times() {
    let (_dir, path) = ledger();
    let history = Ledger::start(path.clone()).unwrap();
    let month_ago = now() - 31 * 24 * 3600 * 1000;
    for n in 1..=100 {
        let mut row = row("a");
        row.times.total = n;
        row.client = format!("client/{n}");
        if n % 10 == 0 {
            row.error = Some("RateLimit".to_owned());
            row.run = "resumed".to_owned();
            (row.cost, row.cache_saved) = (None, None);
        }
        history.append(row);
    }
    history.append(LedgerRow {
        at: month_ago,
        ..row("of old times")
    });
    history.flush(SOON);
    let reader = LedgerReader::open(&path).unwrap().unwrap();
    let sums = |by, since| {
        let [sums] = reader.sums([(by, since)]).unwrap();
        sums
    };
    let figures = sums(GroupBy::Model, month_ago + 1).figures();
    assert_eq!((figures.all.turns, figures.all.errors), (100, 10));
    assert_eq!((figures.all.input, figures.all.unpriced), (10_000, 10));
    assert!((figures.all.cost - 45.0).abs() < 1e-9);
    let total = figures.latency.total.unwrap();
    assert_eq!((total.p50, total.p90, total.p99), (50, 90, 99));
    assert_eq!(figures.errors, [("RateLimit".to_owned(), 10)]);
    assert_eq!(figures.saved.resumed, 10);
    assert_eq!(figures.saved.mean_start_ms, Some(2000.0));
    assert_eq!(figures.saved.cached_tokens, 90_000);
    for (by, name) in [
        (GroupBy::Model, "gpt"),
        (GroupBy::Client, "client"),
        (GroupBy::Workspace, "/home/a/project"),
    ] {
        let groups = sums(by, month_ago + 1).groups();
        assert_eq!(groups.len(), 1, "{by:?}");
        assert_eq!((groups[0].name.as_str(), groups[0].turns), (name, 100));
    }
    let days = sums(GroupBy::Day, month_ago).groups();
    assert!(days.len() >= 2 && days[0].name < days[1].name, "{days:?}");
    let none = sums(GroupBy::Model, i64::MAX).figures();
    assert_eq!((none.all.turns, none.latency.total), (0, None));
}

#[test]
fn a_damaged_file_is_moved_aside() {
    let (_dir, path) = ledger();
    for _ in 0..2 {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(
            &path,
            "this is no database at all, and long enough to be taken for one".repeat(40),
        )
        .unwrap();
        assert!(matches!(
            LedgerReader::open(&path),
            Err(HistoryError::Damaged(_))
        ));
        let history = Ledger::start(path.clone()).unwrap();
        history.append(row("a"));
        history.flush(SOON);
        assert_eq!(ids(&path), ["a"]);
        assert_eq!((history.problem(), history.lost()), (None, 0));
        let aside = fs::read_to_string(path.with_extension("db.damaged")).unwrap();
        assert!(aside.starts_with("this is no database"));
        close(history);
    }
}

#[test]
fn a_file_that_is_damaged_inside_is_moved_aside_when_it_shows() {
    let (_dir, path) = ledger();
    let history = Ledger::start(path.clone()).unwrap();
    for n in 0..2000 {
        history.append(row(&n.to_string()));
    }
    history.flush(SOON);
    close(history);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096 * 3..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let history = Ledger::start(path.clone()).unwrap();
    history.append(row("after"));
    history.flush(SOON);
    assert_eq!(ids(&path), ["after"]);
    assert!(path.with_extension("db.damaged").exists());
}

/// As the first version made it, and with the column that it got later without another number.
#[test]
fn a_file_of_an_earlier_version_goes_on() {
    for has_key in [false, true] {
        let (_dir, path) = ledger();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let earlier = rusqlite::Connection::open(&path).unwrap();
        let schema = ledger_row::SCHEMA.replacen("key TEXT,", "", usize::from(!has_key));
        earlier.execute_batch(&schema).unwrap();
        earlier
            .execute_batch(
                "PRAGMA application_id = 1868785772; PRAGMA user_version = 1;
                 INSERT INTO turn (at, id, client, dialect, model, agent, run, outcome, total, deltas,
                     estimated, bytes_in, bytes_out)
                 VALUES (unixepoch() * 1000, 'before', 'c', 'd', 'm', 'print', 'fresh', 'stop', 5, 1, 0, 2, 3)",
            )
            .unwrap();
        drop(earlier);
        // Whoever comes first, a server or `open-cursor usage`.
        let is_read_first = has_key;
        if is_read_first {
            assert_eq!(ids(&path), ["before"]);
        }
        let history = Ledger::start(path.clone()).unwrap();
        let key = Some("ci".to_owned());
        history.append(LedgerRow {
            key: key.clone(),
            ..row("after")
        });
        history.flush(SOON);
        assert_eq!(history.problem(), None);
        let reader = LedgerReader::open(&path).unwrap().unwrap();
        let rows = reader.after(0, 10).unwrap();
        let told: Vec<_> = rows.iter().map(|row| (row.id.as_str(), &row.key)).collect();
        assert_eq!(told, [("before", &None), ("after", &key)]);
        assert!(!path.with_extension("db.damaged").exists());
    }
}

#[test]
fn other_files_stay_as_they_are() {
    let (_dir, path) = ledger();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let history = Ledger::start(path.clone()).unwrap();
    history.append(row("a"));
    history.flush(SOON);
    assert!(history.problem().unwrap().contains("another program"));
    assert!(matches!(
        LedgerReader::open(&path),
        Err(HistoryError::Foreign { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), before);

    let newer = path.with_file_name("newer.db");
    let made = Ledger::start(newer.clone()).unwrap();
    made.append(row("a"));
    made.flush(SOON);
    let made = rusqlite::Connection::open(&newer).unwrap();
    made.pragma_update(None, "user_version", 99).unwrap();
    let Err(error) = LedgerReader::open(&newer) else {
        unreachable!("a newer schema is not read")
    };
    assert!(error.to_string().contains("another version"), "{error}");

    let pipe = path.with_file_name("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for not_a_file in [pipe.as_path(), path.parent().unwrap()] {
        let history = Ledger::start(not_a_file.to_owned()).unwrap();
        history.flush(SOON);
        assert!(history.problem().unwrap().contains("not a regular file"));
        assert!(LedgerReader::open(not_a_file).is_err());
    }
}

#[test]
fn two_servers_share_a_file() {
    let (_dir, path) = ledger();
    let servers = [(); 2].map(|()| Ledger::start(path.clone()).unwrap());
    for n in 0..300 {
        servers[n % 2].append(row(&n.to_string()));
    }
    servers.iter().for_each(|server| server.flush(SOON));
    assert_eq!(ids(&path).len(), 300);
    assert!(servers.iter().all(|server| server.problem().is_none()));
}

#[test]
fn a_locked_database_gets_its_rows_later() {
    let (_dir, path) = ledger();
    let history = Ledger::start(path.clone()).unwrap();
    history.append(row("first"));
    history.flush(SOON);
    let locker = rusqlite::Connection::open(&path).unwrap();
    locker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    history.append(row("a"));
    assert!(
        begun.elapsed() < Duration::from_millis(100),
        "a turn does not wait"
    );
    history.flush(SOON);
    assert!(history.problem().unwrap().contains("locked"));
    locker.execute_batch("ROLLBACK").unwrap();
    history.append(row("b"));
    history.flush(SOON);
    assert_eq!(ids(&path), ["first", "a", "b"]);
    assert_eq!(history.problem(), None);
}

#[test]
fn a_removed_file_is_made_again() {
    let (_dir, path) = ledger();
    let history = Ledger::start(path.clone()).unwrap();
    history.append(row("a"));
    history.flush(SOON);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    history.append(row("b"));
    history.flush(SOON);
    assert_eq!(ids(&path), ["b"]);
}

#[test]
fn old_rows_go_and_the_size_is_bounded() {
    let (_dir, path) = ledger();
    let day = 24 * 3600 * 1000;
    let history = Ledger::start(path.clone()).unwrap();
    for (id, days) in [("old", 91), ("young", 89)] {
        let at = now() - days * day;
        history.append(LedgerRow { at, ..row(id) });
    }
    history.flush(SOON);
    drop(history);
    Ledger::start(path.clone()).unwrap().flush(SOON);
    assert_eq!(ids(&path), ["young"]);

    let largest = 400_000;
    let history = Ledger::within(path.clone(), largest).unwrap();
    for n in 0..6000 {
        history.append(row(&n.to_string()));
        if n % 500 == 0 {
            history.flush(SOON);
        }
    }
    history.flush(SOON);
    assert_eq!((history.problem(), history.lost()), (None, 0));
    let left = ids(&path);
    assert_eq!(left.last().unwrap(), "5999");
    assert!(left.len() > 500 && left.len() < 3000, "{}", left.len());
    assert!(fs::metadata(&path).unwrap().len() <= largest);
}

#[test]
fn what_waits_is_bounded() {
    let (dir, path) = ledger();
    // No directory can be made below a file.
    let path = path.parent().unwrap().join("history.db");
    fs::write(dir.path().join("new"), "").unwrap();
    let history = Ledger::start(path.clone()).unwrap();
    for n in 0..3 * WAITING {
        history.append(row(&n.to_string()));
    }
    history.flush(SOON);
    assert!(history.problem().is_some());
    assert!(history.lost() > 0);
    fs::remove_file(dir.path().join("new")).unwrap();
    history.flush(SOON);
    let kept = ids(&path);
    // Those that waited, those in the queue, and a batch between the two.
    assert!(kept.len() <= 2 * WAITING + 512, "{}", kept.len());
    assert_eq!(kept.len() as u64 + history.lost(), 3 * WAITING as u64);
}

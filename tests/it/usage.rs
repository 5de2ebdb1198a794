//! `usage` and `requests`, as a user runs them.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use open_cursor::history::{Ledger, LedgerRow, PhaseTimes};
use serde_json::{Value, json};

use crate::support::Home;

const SOON: Duration = Duration::from_secs(10);

fn row(model: &str, client: &str, cost: Option<f64>) -> LedgerRow {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    LedgerRow {
        at: i64::try_from(now.as_millis()).unwrap(),
        id: "the-id".to_owned(),
        client: client.to_owned(),
        dialect: "messages".to_owned(),
        model: model.to_owned(),
        run: "fresh".to_owned(),
        status: Some(200),
        outcome: "stop".to_owned(),
        times: PhaseTimes {
            queued: Some(0),
            first_event: Some(3000),
            first_delta: Some(4000),
            total: 5000,
            ..PhaseTimes::default()
        },
        tools: [("bash".to_owned(), [("called".to_owned(), 2)].into())].into(),
        input: Some(1000),
        output: Some(100),
        cache_read: Some(50_000),
        cost,
        cache_saved: Some(0.25),
        ..LedgerRow::default()
    }
}

/// A home whose history has a few turns.
fn used() -> (Home, Ledger) {
    let home = Home::new();
    let path = home.path().join(".local/share/open-cursor/history.db");
    let ledger = Ledger::start(path).unwrap();
    ledger.append(row("gpt", "opencode/1.0", Some(1.5)));
    ledger.append(row("gpt", "opencode/1.1", Some(0.5)));
    ledger.append(LedgerRow {
        error: Some("RateLimit".to_owned()),
        status: Some(429),
        estimated: true,
        ..row("auto", "\x1b[2Jclaude,\"cli\"/2", None)
    });
    ledger.append(LedgerRow {
        run: "resumed".to_owned(),
        ..row("gpt", "opencode/1.0", Some(1.0))
    });
    ledger.append(LedgerRow {
        at: row("", "", None).at - 80 * 24 * 3600 * 1000,
        ..row("of old times", "x", Some(99.0))
    });
    ledger.flush(SOON);
    (home, ledger)
}

#[test]
fn nothing_yet_is_no_failure() {
    let home = Home::new();
    for command in ["usage", "requests"] {
        let ended = home.run(&[command]);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (0, ""),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("no turn is recorded"),
            "{}",
            ended.stderr
        );
    }
    let json: Value = serde_json::from_str(&home.run(&["usage", "--json"]).stdout).unwrap();
    assert_eq!(json["groups"], json!([]));
    assert!(
        !home.path().join(".local").exists(),
        "reading makes no file"
    );
}

#[test]
fn sums_for_people_and_programs() {
    let (home, _ledger) = used();
    let shown = home.run(&["usage"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(lines[0]),
        [
            "model", "turns", "failed", "input", "cached", "output", "cost"
        ]
    );
    let gpt = words(lines[1]);
    assert_eq!(
        gpt[..7],
        ["gpt", "3", "0", "3000", "150.0k", "300", "$3.00"]
    );
    assert_eq!(
        words(lines[2])[..7],
        ["auto", "1", "1", "~1000", "50.0k", "~100", "-"]
    );
    assert_eq!(
        words(lines[3]),
        ["all", "4", "1", "~4000", "200.0k", "~400", "$3.00+"]
    );
    for line in [
        "saved by parking: 1 start, about 3 s (a start takes 3.0 s)",
        "saved by the cache: 200.0k input tokens were read from it, $1.00 by list price",
        "failed: 1 × RateLimit",
    ] {
        assert!(lines.contains(&line), "no {line} in\n{}", shown.stdout);
    }

    let csv = home.run(&["usage", "--by", "client", "--csv"]).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("client,turns,errors,input,"), "{csv}");
    assert_eq!(lines[1], "opencode,3,0,3000,150000,0,300,0,3.000000,0");
    assert!(
        lines[2].starts_with("\"?[2Jclaude,\"\"cli\"\"\",1,1,"),
        "{csv}"
    );

    let json = home
        .run(&["usage", "--by", "day", "--days", "1", "--json"])
        .stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["groups"][0]["turns"], 4);
    assert_eq!(json["figures"]["saved"]["resumed"], 1);
    assert_eq!(home.run(&["usage", "--days", "91"]).code, 2);
    assert_eq!(home.run(&["usage", "--by", "moon"]).code, 2);
}

#[test]
fn a_history_that_cannot_be_read_is_told() {
    let home = Home::new();
    let path = home.path().join(".local/share/open-cursor/history.db");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "no database".repeat(500)).unwrap();
    for command in ["usage", "requests"] {
        let ended = home.run(&[command]);
        assert_eq!(ended.code, 1);
        assert!(
            ended.stderr.contains("damaged") && ended.stderr.contains("hint:"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn turns_one_line_each() {
    let (home, ledger) = used();
    let shown = home.run(&["requests"]);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{}", shown.stdout);
    assert!(
        lines[4].contains("Z  200 stop  x  of old times  fresh"),
        "{}",
        lines[4]
    );
    assert!(
        lines[0].contains("first 4.0 s, all 5.0 s, 1000+50.0k in 100 out, $1.5000, bash×2"),
        "{}",
        lines[0]
    );
    assert!(
        lines[2].contains("429 RateLimit  ?[2Jclaude"),
        "{}",
        lines[2]
    );
    let json = home.run(&["requests", "--last", "2", "--json"]).stdout;
    let rows: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (rows.len(), &rows[0]["run"], &rows[1]["seq"]),
        (2, &json!("resumed"), &json!(5))
    );

    let mut follow = home
        .command(&["requests", "--follow", "--last", "1", "--json"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["seq"], 5);
    ledger.append(row("new", "x", None));
    assert_eq!(next()["model"], "new");
    // It ends with its reader.
    drop(lines);
    ledger.append(row("newer", "x", None));
    follow.wait().unwrap();
}

/// A server that plays Cursor's: answers by path, and what it was asked.
fn cursor(
    answers: &'static [(&'static str, u16, &'static str)],
    count: usize,
) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for _ in 0..count {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            let head = String::from_utf8(request).unwrap();
            if head.starts_with("POST") {
                stream.read_exact(&mut [0; 2]).unwrap();
            }
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let (status, body) = answers
                .iter()
                .find(|(known, ..)| *known == path)
                .map_or((404, "{}"), |(_, status, body)| (*status, *body));
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            asked.push(head);
        }
        asked
    });
    (address, served)
}

const PERIOD: &str = r#"{"billingCycleStart":"1768399334000","billingCycleEnd":"1771077734000","planUsage":{"totalSpend":23222,"includedSpend":23222,"bonusSpend":0,"remaining":16778,"limit":40000,"totalPercentUsed":15.48}}"#;
const REQUESTS: &str = r#"{"gpt-4":{"numRequests":7,"numRequestsTotal":7,"numTokens":123,"maxTokenUsage":null,"maxRequestUsage":500},"startOfMonth":"2026-11-01T00:00:00.000Z"}"#;
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOiAxMDAwMDAwfQ.c2lnbmF0dXJl";

#[test]
fn cursors_own_view_is_asked_with_the_login() {
    let answers = &[
        (
            "/aiserver.v1.DashboardService/GetCurrentPeriodUsage",
            200,
            PERIOD,
        ),
        ("/auth/usage", 200, REQUESTS),
        ("/aiserver.v1.AiService/GetDefaultModel", 200, "<html>"),
        ("/aiserver.v1.AiService/AvailableModels", 302, "{}"),
    ];
    let (address, served) = cursor(answers, 5);
    let home = Home::new()
        .env("CURSOR_AUTH_TOKEN", TOKEN)
        .env("CURSOR_API_ENDPOINT", &address);
    let shown = home.run(&["usage", "--from-cursor"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    for line in [
        "included in the plan: $167.78 of $400.00 left",
        "spent in this period: $232.22",
        "  gpt-4.numRequests 7",
    ] {
        assert!(
            shown.stdout.lines().any(|it| it == line),
            "no {line} in\n{}",
            shown.stdout
        );
    }
    for problem in [
        "GetPlanInfo: status 404",
        "GetDefaultModel: the answer is not JSON",
        "AvailableModels: status 302",
    ] {
        assert!(
            shown.stderr.contains(problem),
            "no {problem} in\n{}",
            shown.stderr
        );
    }
    let asked = served.join().unwrap();
    assert!(
        asked
            .iter()
            .all(|head| head.contains(&format!("Bearer {TOKEN}"))),
        "{asked:?}"
    );
    assert!(!shown.stdout.contains(TOKEN) && !shown.stderr.contains(TOKEN));
}

#[test]
fn cursors_refusal_is_told_and_no_token_is_sent_in_the_clear() {
    let refusal = r#"{"code":"unauthenticated","message":"Not logged in"}"#;
    let answers: &'static [_] = Box::leak(Box::new([("/auth/usage", 401, refusal)]));
    let (address, served) = cursor(answers, 5);
    let with = |address: &str| {
        Home::new()
            .env("CURSOR_AUTH_TOKEN", TOKEN)
            .env("CURSOR_API_ENDPOINT", address)
            .run(&["usage", "--from-cursor", "--json"])
    };
    let ended = with(&address);
    assert_eq!(ended.code, 1);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(
        json["cursor"]["problem"]
            .as_str()
            .unwrap()
            .contains("no answer"),
        "{json}"
    );
    served.join().unwrap();
    let ended = with("http://api2.cursor.sh");
    assert!(
        ended.stdout.contains("not an https:// address"),
        "{}",
        ended.stdout
    );
    let ended = Home::new().run(&["usage", "--from-cursor"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("open-cursor login"),
        "{}",
        ended.stderr
    );
}

//! Fills a history with turns that nobody asked for: `synthetic-history FILE COUNT DAYS`, for
//! scripts/e2e-page. The turns are the same each time, but for their times, which end now.
#![allow(clippy::unwrap_used)]

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use open_cursor::{
    history::{Ledger, LedgerRow, PhaseTimes},
    models::price_of,
};

const MODELS: [&str; 5] = [
    "gpt-5.5-high",
    "claude-opus-5-thinking-high",
    "composer-2.5",
    "claude-4-sonnet",
    "auto",
];
const CLIENTS: [&str; 4] = [
    "opencode/1.0.3",
    "claude-cli/2.1",
    "codex/0.9",
    "aider/0.80",
];
const TOOLS: [&str; 4] = ["bash", "read", "edit", "grep"];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, count, days] = &args[..] else {
        std::process::exit(2);
    };
    let (count, days): (i64, i64) = (count.parse().unwrap(), days.parse().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    let day = 24 * 3600 * 1000;
    // Of one day: today, as UTC counts.
    let begin = match days {
        1 => now - now.rem_euclid(day),
        days => now - days * day,
    };
    let ledger = Ledger::start(PathBuf::from(file)).unwrap();
    for n in 0..count {
        ledger.append(turn(n, begin + (now - begin) * n / count));
        if n % 2000 == 1999 {
            ledger.flush(Duration::from_secs(30));
        }
    }
    ledger.flush(Duration::from_secs(30));
    assert_eq!((ledger.problem(), ledger.lost()), (None, 0));
}

fn turn(n: i64, at: i64) -> LedgerRow {
    let spread = |salt: u64, most: u64| {
        let mixed = (n.unsigned_abs() + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ salt);
        (mixed >> 33) % most
    };
    let pick = |salt, names: &[&str]| names[spread(salt, names.len() as u64) as usize].to_owned();
    let model = pick(1, &MODELS);
    let resumed = spread(2, 3) == 0;
    let failed = spread(3, 40) == 0;
    let queued = spread(4, 20) * spread(5, 30);
    let begun = queued + if resumed { 0 } else { 1800 + spread(6, 2500) };
    let first = begun + 300 + spread(7, 3000);
    let tools = (spread(8, 2) == 0).then_some(first + spread(9, 4000));
    let (input, cached, output) = (spread(10, 9000), spread(11, 90_000), 50 + spread(12, 1500));
    let price = price_of(&model);
    LedgerRow {
        at,
        id: format!("synthetic-{n}"),
        client: pick(13, &CLIENTS),
        dialect: "chat/completions".to_owned(),
        model: format!("cursor-acp/{model}"),
        workspace: Some(format!("/home/user/project-{}", spread(14, 6))),
        conversation: Some(format!("conversation-{}", n / 12)),
        agent: "print".to_owned(),
        run: if resumed { "resumed" } else { "fresh" }.to_owned(),
        status: Some(if failed { 429 } else { 200 }),
        outcome: match (failed, tools) {
            (true, _) => "error".to_owned(),
            (_, Some(_)) => "tool_calls".to_owned(),
            _ => "stop".to_owned(),
        },
        error: failed.then(|| pick(15, &["RateLimit", "AgentFailed", "Timeout"])),
        times: PhaseTimes {
            queued: Some(queued),
            slot: (!resumed).then_some(queued + 4),
            spawn: (!resumed).then_some(queued + 12),
            first_event: Some(begun),
            first_delta: Some(first),
            tools,
            total: tools.unwrap_or(first) + spread(16, 9000),
            parked: resumed.then(|| spread(17, 20_000)),
        },
        deltas: spread(18, 400),
        tools: tools
            .map(|_| [(pick(19, &TOOLS), [("called".to_owned(), 1)].into())].into())
            .unwrap_or_default(),
        input: Some(input),
        output: Some(output),
        cache_read: Some(cached),
        estimated: tools.is_some(),
        cost: price.map(|price| price.cost(input, output, cached, 0)),
        cache_saved: price.map(|price| price.cache_saving(cached)),
        bytes_in: spread(20, 300_000),
        bytes_out: spread(21, 20_000),
        cursor_model: Some(model),
        ..LedgerRow::default()
    }
}

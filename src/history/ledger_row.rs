//! One turn as the ledger keeps it, and the table that holds it.

use std::collections::BTreeMap;

use rusqlite::{Row, ToSql};
use serde::Serialize;

/// How often each tool was called, by its name and by how that went.
pub type ToolCounts = BTreeMap<String, BTreeMap<String, u32>>;

/// A turn that is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRow {
    /// Its number in this ledger; rows are numbered as they are written.
    pub seq: i64,
    /// When its request began, in milliseconds since 1970.
    pub at: i64,
    /// The id of the request.
    pub id: String,
    /// The program that asked, by its User-Agent.
    pub client: String,
    /// The dialect that it spoke.
    pub dialect: String,
    /// The model as the client named it.
    pub model: String,
    /// The model that Cursor was asked for.
    pub cursor_model: Option<String>,
    /// The directory that the agent worked in.
    pub workspace: Option<String>,
    /// The client's name for the conversation.
    pub conversation: Option<String>,
    /// The name of the client's key, where it has one.
    pub key: Option<String>,
    /// The kind of agent.
    pub agent: String,
    /// `fresh`, `resumed`, `replayed` or `none`.
    pub run: String,
    /// The HTTP status; `None` if the client was gone before there was one.
    pub status: Option<u16>,
    /// How it ended: `stop`, `tool_calls`, `error`, `hung_up`, ...
    pub outcome: String,
    /// The class of its failure.
    pub error: Option<String>,
    /// When each phase was reached.
    pub times: PhaseTimes,
    /// Pieces of the answer.
    pub deltas: u64,
    /// Calls of tools.
    pub tools: ToolCounts,
    /// Fresh input tokens; `None` where nothing is known of tokens.
    pub input: Option<u64>,
    /// Output tokens.
    pub output: Option<u64>,
    /// Input tokens read from the cache.
    pub cache_read: Option<u64>,
    /// Input tokens written to the cache.
    pub cache_write: Option<u64>,
    /// Whether the tokens are an estimate.
    pub estimated: bool,
    /// In US dollars; `None` where the model has no known price.
    pub cost: Option<f64>,
    /// What the cache saved, in US dollars.
    pub cache_saved: Option<f64>,
    /// The size of the request's body.
    pub bytes_in: u64,
    /// The size of the answer's body.
    pub bytes_out: u64,
}

/// Milliseconds from the request's head to each phase; `None` where it was not reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTimes {
    /// It left the queue.
    pub queued: Option<u64>,
    /// It had a slot, with its directories, for its agent.
    pub slot: Option<u64>,
    /// The agent's process was started.
    pub spawn: Option<u64>,
    /// The agent's first event.
    pub first_event: Option<u64>,
    /// The first piece of the answer.
    pub first_delta: Option<u64>,
    /// The first call of a tool of the client's.
    pub tools: Option<u64>,
    /// The end.
    pub total: u64,
    /// How long the run that it resumed had waited for the client; that was before the request.
    pub parked: Option<u64>,
}

/// The columns, in the order of [`values`] and [`LedgerRow::read`], `seq` aside.
const COLUMNS: &str = "at, id, client, dialect, model, cursor_model, workspace, conversation, key, agent, \
     run, status, outcome, error, queued, slot, spawn, first_event, first_delta, tools_at, total, \
     parked, deltas, tools, input, output, cache_read, cache_write, estimated, cost, cache_saved, \
     bytes_in, bytes_out";

/// The table and its index.
pub(super) const SCHEMA: &str = "
    CREATE TABLE turn (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL, id TEXT NOT NULL, client TEXT NOT NULL, dialect TEXT NOT NULL,
        model TEXT NOT NULL, cursor_model TEXT, workspace TEXT, conversation TEXT, key TEXT,
        agent TEXT NOT NULL, run TEXT NOT NULL, status INTEGER, outcome TEXT NOT NULL, error TEXT,
        queued INTEGER, slot INTEGER, spawn INTEGER, first_event INTEGER, first_delta INTEGER,
        tools_at INTEGER, total INTEGER NOT NULL, parked INTEGER,
        deltas INTEGER NOT NULL, tools TEXT,
        input INTEGER, output INTEGER, cache_read INTEGER, cache_write INTEGER,
        estimated INTEGER NOT NULL, cost REAL, cache_saved REAL,
        bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX turn_at ON turn (at);
";

/// A statement that adds a row.
pub(super) fn insert() -> String {
    let places = vec!["?"; COLUMNS.split(',').count()].join(", ");
    format!("INSERT INTO turn ({COLUMNS}) VALUES ({places})")
}

/// A query for whole rows.
pub(super) fn select(rest: &str) -> String {
    format!("SELECT seq, {COLUMNS} FROM turn {rest}")
}

impl LedgerRow {
    /// Runs [`insert`] for this row.
    pub(super) fn write(&self, statement: &mut rusqlite::Statement<'_>) -> rusqlite::Result<()> {
        let number = |value: Option<u64>| value.map(stored);
        let tools = (!self.tools.is_empty()).then(|| serde_json::json!(self.tools).to_string());
        let times = &self.times;
        let values: [&dyn ToSql; 33] = [
            &self.at,
            &self.id,
            &self.client,
            &self.dialect,
            &self.model,
            &self.cursor_model,
            &self.workspace,
            &self.conversation,
            &self.key,
            &self.agent,
            &self.run,
            &self.status,
            &self.outcome,
            &self.error,
            &number(times.queued),
            &number(times.slot),
            &number(times.spawn),
            &number(times.first_event),
            &number(times.first_delta),
            &number(times.tools),
            &stored(times.total),
            &number(times.parked),
            &stored(self.deltas),
            &tools,
            &number(self.input),
            &number(self.output),
            &number(self.cache_read),
            &number(self.cache_write),
            &self.estimated,
            &self.cost,
            &self.cache_saved,
            &stored(self.bytes_in),
            &stored(self.bytes_out),
        ];
        statement.execute(&values[..]).map(drop)
    }

    /// Reads what [`select`] finds.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let number = |name: &str| row.get::<_, Option<i64>>(name).map(|it| it.map(read));
        let count = |name: &str| row.get(name).map(read);
        let tools: Option<String> = row.get("tools")?;
        let tools = tools.and_then(|text| serde_json::from_str(&text).ok());
        Ok(Self {
            seq: row.get("seq")?,
            at: row.get("at")?,
            id: row.get("id")?,
            client: row.get("client")?,
            dialect: row.get("dialect")?,
            model: row.get("model")?,
            cursor_model: row.get("cursor_model")?,
            workspace: row.get("workspace")?,
            conversation: row.get("conversation")?,
            key: row.get("key")?,
            agent: row.get("agent")?,
            run: row.get("run")?,
            status: row.get("status")?,
            outcome: row.get("outcome")?,
            error: row.get("error")?,
            times: PhaseTimes {
                queued: number("queued")?,
                slot: number("slot")?,
                spawn: number("spawn")?,
                first_event: number("first_event")?,
                first_delta: number("first_delta")?,
                tools: number("tools_at")?,
                total: count("total")?,
                parked: number("parked")?,
            },
            deltas: count("deltas")?,
            tools: tools.unwrap_or_default(),
            input: number("input")?,
            output: number("output")?,
            cache_read: number("cache_read")?,
            cache_write: number("cache_write")?,
            estimated: row.get("estimated")?,
            cost: row.get("cost")?,
            cache_saved: row.get("cache_saved")?,
            bytes_in: count("bytes_in")?,
            bytes_out: count("bytes_out")?,
        })
    }
}

/// SQLite's numbers have a sign.
fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn read(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

//! Sums over turns, by what they have in common.

use rusqlite::{Connection, Row};
use serde::Serialize;

use super::ledger_row::read;

/// What turns are summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// Cursor's model, else the one that the client named.
    Model,
    /// The program that asked, without its version.
    Client,
    /// The directory that the agent worked in.
    Workspace,
    /// The day, by UTC.
    Day,
}

impl GroupBy {
    /// An SQL expression.
    fn expression(self) -> &'static str {
        match self {
            Self::Model => "coalesce(cursor_model, model)",
            Self::Client => {
                "CASE instr(client, '/') WHEN 0 THEN client ELSE substr(client, 1, instr(client, '/') - 1) END"
            }
            Self::Workspace => "coalesce(workspace, '')",
            Self::Day => "date(at / 1000, 'unixepoch')",
        }
    }

    fn order(self) -> &'static str {
        match self {
            Self::Day => "1",
            _ => "coalesce(sum(cost), 0) DESC, count(*) DESC, 1",
        }
    }
}

/// The sums of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// What its turns have in common.
    pub name: String,
    /// How many turns.
    pub turns: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Fresh input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens read from the cache.
    pub cache_read: u64,
    /// Input tokens written to the cache.
    pub cache_write: u64,
    /// How many turns have estimated tokens.
    pub estimated: u64,
    /// In US dollars.
    pub cost: f64,
    /// How many turns have tokens, and no known price.
    pub unpriced: u64,
}

const SUMS: &str = "count(*), count(error), total(input), total(output), total(cache_read), \
     total(cache_write), total(estimated), total(cost), \
     count(CASE WHEN cost IS NULL AND input IS NOT NULL THEN 1 END)";

/// The turns since then, in groups.
pub(super) fn by(
    connection: &Connection,
    group: GroupBy,
    since: i64,
) -> rusqlite::Result<Vec<Totals>> {
    let (name, order) = (group.expression(), group.order());
    let query =
        format!("SELECT {name}, {SUMS} FROM turn WHERE at >= ? GROUP BY 1 ORDER BY {order}");
    let mut statement = connection.prepare(&query)?;
    let found = statement.query_map([since], totals)?;
    found.collect()
}

/// All turns since then.
pub(super) fn all(connection: &Connection, since: i64) -> rusqlite::Result<Totals> {
    let query = format!("SELECT '', {SUMS} FROM turn WHERE at >= ?");
    connection.query_row(&query, [since], totals)
}

fn totals(row: &Row<'_>) -> rusqlite::Result<Totals> {
    let count = |at: usize| row.get(at).map(read);
    // `total` gives a real number, and never overflows.
    let sum = |at: usize| row.get::<_, f64>(at).map(|sum| sum as u64);
    Ok(Totals {
        name: row.get(0)?,
        turns: count(1)?,
        errors: count(2)?,
        input: sum(3)?,
        output: sum(4)?,
        cache_read: sum(5)?,
        cache_write: sum(6)?,
        estimated: sum(7)?,
        cost: row.get(8)?,
        unpriced: count(9)?,
    })
}

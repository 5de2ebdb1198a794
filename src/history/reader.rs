//! What the ledger tells.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::Serialize;

use super::{
    GroupBy, HistoryError, LedgerRow, Totals,
    database::{self, checked},
    ledger_row::{read, select},
    totals,
};

/// Reads a ledger that others may be writing. All of it blocks.
pub struct LedgerReader {
    path: PathBuf,
    connection: Connection,
}

/// The sums and times of the turns since a moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The sums.
    pub all: Totals,
    /// How long turns took.
    pub latency: Latency,
    /// What was saved.
    pub saved: Savings,
    /// How many turns failed by each class, the most frequent first.
    pub errors: Vec<(String, u64)>,
}

/// How long turns took, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// To the agent's first event.
    pub first_event: Option<Percentiles>,
    /// To the first piece of the answer.
    pub first_delta: Option<Percentiles>,
    /// To the end.
    pub total: Option<Percentiles>,
}

/// Of a set of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Percentiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
}

/// What parking and the cache saved.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Savings {
    /// Turns that went on with a parked run: each saved a start of the agent.
    pub resumed: u64,
    /// What a start takes: the mean time of fresh turns from the queue to the agent's first event.
    pub mean_start_ms: Option<f64>,
    /// Input tokens read from the cache.
    pub cached_tokens: u64,
    /// What these would have cost more as fresh ones, in US dollars, where the price is known.
    pub cache_dollars: f64,
}

impl LedgerReader {
    /// Opens the ledger; `None` if there is none.
    ///
    /// # Errors
    /// The file can't be read, is damaged, or not ours.
    pub fn open(path: &Path) -> Result<Option<Self>, HistoryError> {
        let connection = database::open_to_read(path)?;
        Ok(connection.map(|connection| Self {
            path: path.to_owned(),
            connection,
        }))
    }

    /// The last turns before this number, the newest first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn before(&self, seq: i64, most: usize) -> Result<Vec<LedgerRow>, HistoryError> {
        self.rows("WHERE seq < ? ORDER BY seq DESC LIMIT ?", seq, most)
    }

    /// The first turns after this number, the oldest first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn after(&self, seq: i64, most: usize) -> Result<Vec<LedgerRow>, HistoryError> {
        self.rows("WHERE seq > ? ORDER BY seq LIMIT ?", seq, most)
    }

    fn rows(&self, rest: &str, seq: i64, most: usize) -> Result<Vec<LedgerRow>, HistoryError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.query(|connection| {
            let mut statement = connection.prepare(&select(rest))?;
            statement.query_map([seq, most], LedgerRow::read)?.collect()
        })
    }

    /// The sums of the turns since a time, in milliseconds since 1970, by what they have in common.
    ///
    /// # Errors
    /// SQLite's.
    pub fn totals(&self, by: GroupBy, since: i64) -> Result<Vec<Totals>, HistoryError> {
        self.query(|connection| totals::by(connection, by, since))
    }

    /// What turns cost since a time, by the names of keys.
    ///
    /// # Errors
    /// SQLite's.
    pub fn spent(&self, since: i64) -> Result<Vec<(Option<String>, f64)>, HistoryError> {
        self.query(|connection| {
            let query = "SELECT key, total(cost) FROM turn WHERE at >= ? GROUP BY 1";
            let mut statement = connection.prepare(query)?;
            let found = statement.query_map([since], |row| Ok((row.get(0)?, row.get(1)?)))?;
            found.collect()
        })
    }

    /// The figures of the turns since a time.
    ///
    /// # Errors
    /// SQLite's.
    pub fn figures(&self, since: i64) -> Result<Figures, HistoryError> {
        self.query(|connection| {
            Ok(Figures {
                all: totals::all(connection, since)?,
                latency: latency(connection, since)?,
                saved: savings(connection, since)?,
                errors: errors(connection, since)?,
            })
        })
    }

    fn query<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        checked(
            &self.path,
            work(&self.connection).map_err(HistoryError::from),
        )
    }
}

fn latency(connection: &Connection, since: i64) -> rusqlite::Result<Latency> {
    let query = "SELECT first_event, first_delta, total FROM turn WHERE at >= ?";
    let mut statement = connection.prepare(query)?;
    let mut found = statement.query([since])?;
    let mut times: [Vec<u64>; 3] = Default::default();
    while let Some(row) = found.next()? {
        for (at, times) in times.iter_mut().enumerate() {
            times.extend(row.get::<_, Option<i64>>(at)?.map(read));
        }
    }
    let [first_event, first_delta, total] = times.map(percentiles);
    Ok(Latency {
        first_event,
        first_delta,
        total,
    })
}

/// By the nearest rank.
fn percentiles(mut times: Vec<u64>) -> Option<Percentiles> {
    let last = times.len().checked_sub(1)?;
    times.sort_unstable();
    let at = |percent: usize| {
        times[(times.len() * percent)
            .div_ceil(100)
            .saturating_sub(1)
            .min(last)]
    };
    Some(Percentiles {
        p50: at(50),
        p90: at(90),
        p99: at(99),
    })
}

fn savings(connection: &Connection, since: i64) -> rusqlite::Result<Savings> {
    let query = "SELECT count(CASE WHEN run = 'resumed' THEN 1 END), \
         avg(CASE WHEN run = 'fresh' THEN first_event - queued END), \
         total(cache_read), total(cache_saved) FROM turn WHERE at >= ?";
    connection.query_row(query, [since], |row| {
        Ok(Savings {
            resumed: row.get(0).map(read)?,
            mean_start_ms: row.get(1)?,
            cached_tokens: row.get::<_, f64>(2)? as u64,
            cache_dollars: row.get(3)?,
        })
    })
}

fn errors(connection: &Connection, since: i64) -> rusqlite::Result<Vec<(String, u64)>> {
    let query = "SELECT error, count(*) FROM turn WHERE at >= ? AND error IS NOT NULL \
         GROUP BY 1 ORDER BY 2 DESC, 1";
    let mut statement = connection.prepare(query)?;
    let found = statement.query_map([since], |row| Ok((row.get(0)?, row.get(1).map(read)?)))?;
    found.collect()
}

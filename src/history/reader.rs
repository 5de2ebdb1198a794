//! What the ledger tells.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{
    GroupBy, HistoryError, LedgerRow, Sums,
    database::{self, checked},
    ledger_row::select,
    sums,
};

/// Reads a ledger that others may be writing. All of it blocks.
pub struct LedgerReader {
    path: PathBuf,
    connection: Connection,
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

    /// Adds up the turns of each span: what they are grouped by, and since when, in milliseconds since
    /// 1970.
    ///
    /// # Errors
    /// SQLite's.
    pub fn sums<const N: usize>(
        &self,
        spans: [(GroupBy, i64); N],
    ) -> Result<[Sums; N], HistoryError> {
        self.query(|connection| sums::count(connection, spans))
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

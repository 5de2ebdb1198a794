//! The ledger: one row in an embedded database for each turn, kept for 90 days and 200 MB.
//!
//! ```text
//! Ledger::append ─> queue (bounded) ─> one thread: batches ─> history.db (SQLite, WAL)
//!                                                                  └─> LedgerReader: rows, sums
//! ```
//!
//! A row says who asked for what, when, how long each phase took and what it cost. It holds no
//! prompt, no answer, no arguments and no path of a file. A turn never waits for the ledger: where
//! the database can't be written, rows wait in memory, and the oldest are lost in the end. Several
//! servers may use one file.
//!
//! This module knows nothing of the rest of the crate.

mod database;
mod figures;
mod ledger_row;
mod reader;
mod sums;
mod totals;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

pub use figures::{Figures, Latency, Percentiles, Savings};
pub use ledger_row::{LedgerRow, PhaseTimes, ToolCounts};
pub use reader::LedgerReader;
pub use sums::Sums;
pub use totals::{GroupBy, Totals};

use writer::{WriterMessage, WriterState};

/// How many rows may wait to be written.
const WAITING: usize = 4096;

/// How long a row is kept, in milliseconds.
const KEPT_MS: i64 = 90 * 24 * 3600 * 1000;

/// How large the database may get, in bytes.
const LARGEST: u64 = 200_000_000;

/// Why the ledger can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file can't be made or opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// The database.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another program's file, or that of a newer version.
    #[error("{}: {reason}", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// The file is no database, or not a whole one.
    #[error("{}: the file is damaged", .0.display())]
    Damaged(PathBuf),
    /// SQLite's own error.
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
}

/// Appends to the ledger. Clones share one thread, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct Ledger {
    path: Arc<Path>,
    queue: mpsc::SyncSender<WriterMessage>,
    state: Arc<WriterState>,
}

impl Ledger {
    /// Starts the thread that writes. The database is opened there: a problem with it is logged and
    /// shown by [`problem`](Self::problem), and stops nothing.
    ///
    /// # Errors
    /// The thread can't be started.
    pub fn start(path: PathBuf) -> std::io::Result<Self> {
        Self::within(path, LARGEST)
    }

    fn within(path: PathBuf, largest: u64) -> std::io::Result<Self> {
        let (queue, inbox) = mpsc::sync_channel(WAITING);
        let state = Arc::new(WriterState::default());
        writer::start(path.clone(), largest, inbox, Arc::clone(&state))?;
        Ok(Self {
            path: path.into(),
            queue,
            state,
        })
    }

    /// Queues a row; it is in the database a fraction of a second later. Never waits.
    pub fn append(&self, row: LedgerRow) {
        if self
            .queue
            .try_send(WriterMessage::Row(Box::new(row)))
            .is_err()
        {
            self.state.lose(1);
        }
    }

    /// Waits until all rows that were appended before are written, or for the given time. Blocking.
    pub fn flush(&self, most: Duration) {
        let (done, written) = mpsc::channel();
        let until = Instant::now() + most;
        // The queue may be full for a moment.
        while self
            .queue
            .try_send(WriterMessage::Flush(done.clone()))
            .is_err()
        {
            if Instant::now() >= until {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = written.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why nothing is written at present, if that is so.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.state.problem()
    }

    /// How many rows were lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.state.lost()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

//! The thread that writes the ledger.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, ErrorCode};

use super::{
    HistoryError, KEPT_MS, WAITING,
    database::{self, Identity, checked},
    ledger_row::{LedgerRow, insert},
};
use crate::threads::lock;

/// How long a batch waits for more rows, and how many it takes.
const SETTLE: Duration = Duration::from_millis(100);
const BATCH: usize = 512;

/// When a database that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How often old rows are removed.
const TIDY: Duration = Duration::from_secs(3600);

/// What the thread is told.
pub(super) enum WriterMessage {
    Row(Box<LedgerRow>),
    /// Answered once all rows before it are written, or can't be.
    Flush(Sender<()>),
}

/// What others may know of the thread.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    problem: Mutex<Option<String>>,
    lost: AtomicU64,
}

impl WriterState {
    pub fn lose(&self, rows: u64) {
        self.lost.fetch_add(rows, Ordering::Relaxed);
    }

    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }

    /// The problem before.
    fn set(&self, problem: Option<String>) -> Option<String> {
        std::mem::replace(&mut *lock(&self.problem), problem)
    }
}

pub(super) fn start(
    path: PathBuf,
    largest: u64,
    inbox: Receiver<WriterMessage>,
    state: Arc<WriterState>,
) -> io::Result<()> {
    let mut writer = Writer {
        path,
        largest,
        state,
        open: None,
        waiting: VecDeque::new(),
        retry: None,
        tidied: None,
    };
    let thread = thread::Builder::new().name("history".to_owned());
    thread.spawn(move || writer.run(&inbox)).map(drop)
}

struct Writer {
    path: PathBuf,
    largest: u64,
    state: Arc<WriterState>,
    open: Option<(Connection, Identity)>,
    /// The oldest first.
    waiting: VecDeque<LedgerRow>,
    /// After a failure, when to try again.
    retry: Option<Instant>,
    tidied: Option<Instant>,
}

impl Writer {
    fn run(&mut self, inbox: &Receiver<WriterMessage>) {
        // Before the first row, so that a damaged file is told at the start.
        self.write();
        loop {
            let wait = match self.retry {
                Some(at) => at.saturating_duration_since(Instant::now()),
                None => TIDY,
            };
            let flushed = match inbox.recv_timeout(wait) {
                Ok(first) => self.collect(first, inbox),
                Err(RecvTimeoutError::Timeout) => {
                    self.retry = None;
                    None
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.retry = None;
                    self.write();
                    return;
                }
            };
            if flushed.is_some() {
                self.retry = None;
            }
            if self.retry.is_none() {
                self.write();
            }
            if let Some(done) = flushed {
                let _ = done.send(());
            }
        }
    }

    /// Takes what comes within a moment, so that many rows cost one transaction.
    fn collect(
        &mut self,
        first: WriterMessage,
        inbox: &Receiver<WriterMessage>,
    ) -> Option<Sender<()>> {
        let until = Instant::now() + SETTLE;
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(message) = next {
            match message {
                WriterMessage::Row(row) => self.waiting.push_back(*row),
                WriterMessage::Flush(done) => return Some(done),
            }
            taken += 1;
            let left = until.saturating_duration_since(Instant::now());
            next = (taken < BATCH)
                .then(|| inbox.recv_timeout(left).ok())
                .flatten();
        }
        let over = self.waiting.len().saturating_sub(WAITING);
        self.waiting.drain(..over);
        self.state.lose(over as u64);
        None
    }

    /// Writes all that waits.
    fn write(&mut self) {
        let written = self.try_write().or_else(|error| match error {
            HistoryError::Damaged(_) => {
                self.open = None;
                let aside = database::move_aside(&self.path);
                let aside = aside.map_err(database::failed(&self.path))?;
                tracing::warn!(
                    file = %self.path.display(), aside = %aside.display(),
                    "the history is damaged: it was moved aside, and a new one begins"
                );
                self.try_write()
            }
            error => Err(error),
        });
        match written {
            Ok(()) => {
                if self.state.set(None).is_some() {
                    tracing::info!(file = %self.path.display(), "the history is written again");
                }
            }
            Err(error) => {
                self.open = None;
                self.retry = Some(Instant::now() + RETRY);
                let text = error.to_string();
                if self.state.set(Some(text.clone())).is_none() {
                    tracing::warn!(file = %self.path.display(), error = text, "the history can't be written; turns go on");
                }
            }
        }
    }

    fn try_write(&mut self) -> Result<(), HistoryError> {
        // Somebody may have removed or replaced the file.
        let now = database::identity(&self.path);
        if self.waiting.is_empty() && !self.path.exists() {
            // A server without turns leaves no file.
            return Ok(());
        }
        let open = self.open.take().filter(|(_, opened)| now == Some(*opened));
        let (connection, _) = match open {
            Some(open) => self.open.insert(open),
            None => {
                self.tidied = None;
                self.open.insert(database::open(&self.path, self.largest)?)
            }
        };
        let due = |tidied: Instant| tidied.elapsed() >= TIDY;
        let tidy = self.tidied.is_none_or(due);
        let mut done = append(connection, &self.waiting);
        let is_full =
            |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        // By our own limit, as the size shows: on a full disk, a shorter history would not help.
        while done.as_ref().is_err_and(is_full)
            && database::size(connection)? > self.largest / 2
            && drop_oldest(connection)? > 0
        {
            done = append(connection, &self.waiting);
        }
        let done = done.and_then(|()| match tidy {
            true => remove_old(connection, self.largest),
            false => Ok(()),
        });
        checked(&self.path, done.map_err(HistoryError::from))?;
        if tidy {
            self.tidied = Some(Instant::now());
        }
        self.waiting.clear();
        Ok(())
    }
}

fn append(connection: &mut Connection, rows: &VecDeque<LedgerRow>) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let batch = connection.transaction()?;
    {
        let mut statement = batch.prepare(&insert())?;
        for row in rows {
            row.write(&mut statement)?;
        }
    }
    batch.commit()
}

/// Removes rows past their time, and more of the oldest while the file is nearly as large as it may be.
fn remove_old(connection: &Connection, largest: u64) -> rusqlite::Result<()> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    connection.execute("DELETE FROM turn WHERE at < ?", [now - KEPT_MS])?;
    while database::used(connection)? > largest / 10 * 9 {
        if drop_oldest(connection)? == 0 {
            break;
        }
    }
    connection.execute_batch("PRAGMA incremental_vacuum")
}

/// Removes the oldest tenth of the rows; how many that were.
fn drop_oldest(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM turn WHERE seq <= (SELECT min(seq) + (max(seq) - min(seq)) / 10 FROM turn)",
        [],
    )
}

//! The database's file: opened, made, told apart from others, moved aside where it is damaged.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig};

use super::{HistoryError, ledger_row::SCHEMA};

/// Marks the file as ours: `ochl`.
const APPLICATION: i64 = 0x6f63_686c;

/// The version of the schema. The first one had no column `key` at its beginning.
const VERSION: i64 = 2;

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    Nothing,
    /// A schema of ours that is brought up to date.
    Older,
    Current,
}

/// How long another writer is waited for.
const BUSY: Duration = Duration::from_secs(2);

const PAGE: u32 = 4096;

/// Which file a path names, wherever it is moved.
pub(super) type Identity = (u64, u64);

/// Opens the database to write, and makes it where there is none.
pub(super) fn open(path: &Path, largest: u64) -> Result<(Connection, Identity), HistoryError> {
    make(path).map_err(failed(path))?;
    let connection = checked(path, connect(path)).and_then(|mut connection| {
        let set_up = checked(path, set_up(&mut connection, path, largest));
        set_up.map(|()| connection)
    })?;
    match identity(path) {
        Some(identity) => Ok((connection, identity)),
        None => Err(failed(path)(io::ErrorKind::NotFound.into())),
    }
}

/// Opens the database to read; `None` if there is none.
pub(super) fn open_to_read(path: &Path) -> Result<Option<Connection>, HistoryError> {
    let read = || {
        let mut connection = connect(path)?;
        // One that is just being made is as good as none.
        match contents(&connection, path)? {
            Contents::Nothing => return Ok(None),
            Contents::Older => bring_up_to_date(&mut connection, path)?,
            Contents::Current => {}
        }
        connection.pragma_update(None, "query_only", true)?;
        Ok(Some(connection))
    };
    match exists(path).map_err(failed(path))? {
        true => checked(path, read()),
        false => Ok(None),
    }
}

/// The file that the path names now.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Renames a damaged database, so that another can be made. One is kept.
pub(super) fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let named = |end: &str| PathBuf::from(format!("{}{end}", path.display()));
    let aside = named(".damaged");
    fs::rename(path, &aside)?;
    for end in ["-wal", "-shm"] {
        // They belong to the damaged file, and SQLite would take them for the new one's.
        let _ = fs::rename(named(end), named(&format!(".damaged{end}")));
    }
    Ok(aside)
}

/// The size of the database in bytes.
pub(super) fn size(connection: &Connection) -> rusqlite::Result<u64> {
    pages(connection, "page_count")
}

/// How much of that is in use.
pub(super) fn used(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(size(connection)? - pages(connection, "freelist_count")?)
}

fn pages(connection: &Connection, pragma: &str) -> rusqlite::Result<u64> {
    let pages: i64 = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
    Ok(super::ledger_row::read(pages) * u64::from(PAGE))
}

/// Makes the file, so that only its user can read it.
fn make(path: &Path) -> io::Result<()> {
    if exists(path)? {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        let mut private = DirBuilder::new();
        private.recursive(true).mode(0o700).create(directory)?;
    }
    let mut new = OpenOptions::new();
    new.append(true).create(true).mode(0o600);
    new.open(path).map(drop)
}

fn connect(path: &Path) -> Result<Connection, HistoryError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // Whatever the file says is data.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(connection)
}

fn set_up(connection: &mut Connection, path: &Path, largest: u64) -> Result<(), HistoryError> {
    let found = contents(connection, path)?;
    if found == Contents::Nothing {
        connection.pragma_update(None, "page_size", PAGE)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A power cut may take the last rows, and never the file.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", 4 << 20, |_| Ok(()))?;
    let pages = i64::try_from(largest / u64::from(PAGE)).unwrap_or(i64::MAX);
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    if found == Contents::Nothing {
        let making = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another server may have been faster.
        if contents(&making, path)? == Contents::Nothing {
            making.execute_batch(SCHEMA)?;
            making.pragma_update(None, "application_id", APPLICATION)?;
            making.pragma_update(None, "user_version", VERSION)?;
        }
        making.commit()?;
        return Ok(());
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(HistoryError::Damaged(path.to_owned()));
    }
    match found {
        Contents::Older => bring_up_to_date(connection, path),
        _ => Ok(()),
    }
}

/// Gives an older table the columns that it lacks.
fn bring_up_to_date(connection: &mut Connection, path: &Path) -> Result<(), HistoryError> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another program may have been faster.
    if contents(&change, path)? == Contents::Older {
        if !change.column_exists(None, "turn", "key")? {
            change.execute_batch("ALTER TABLE turn ADD COLUMN key TEXT")?;
        }
        change.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(change.commit()?)
}

/// What is in a database, if it is ours.
fn contents(connection: &Connection, path: &Path) -> Result<Contents, HistoryError> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let foreign = |reason: String| HistoryError::Foreign {
        path: path.to_owned(),
        reason,
    };
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection.query_row(tables, [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Contents::Nothing);
    }
    if number("application_id")? != APPLICATION {
        return Err(foreign("this is a database of another program".to_owned()));
    }
    match number("user_version")? {
        VERSION => Ok(Contents::Current),
        1 => Ok(Contents::Older),
        other => Err(foreign(format!(
            "it was made by another version of open-cursor (schema {other}, not {VERSION})"
        ))),
    }
}

/// Whether there is a file at a path; it is an error if there is something else.
fn exists(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(_) => Err(io::Error::other("this is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The database can't be made, opened or moved.
pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> HistoryError {
    move |source| HistoryError::Open {
        path: path.to_owned(),
        source,
    }
}

/// Turns SQLite's words for a damaged file into ours.
pub(super) fn checked<T>(path: &Path, result: Result<T, HistoryError>) -> Result<T, HistoryError> {
    result.map_err(|error| match &error {
        HistoryError::Sql(sql)
            if matches!(
                sql.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ) =>
        {
            HistoryError::Damaged(path.to_owned())
        }
        _ => error,
    })
}

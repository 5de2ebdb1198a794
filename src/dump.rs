//! Debug dumps (`--dump-dir`): request, prompt, the agent's output and the answer of each turn.
//!
//! Each turn gets a directory `turn-<name>` with one file for each [`DumpPart`]. They contain whole
//! prompts and answers, so they are made only on request and readable by the user alone. This module
//! does not know what it writes. One thread writes for all turns; if the disk can't keep up, pieces
//! are left out of the dump and never waited for.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

/// The largest file, in bytes.
const FILE: u64 = 64 << 20;

/// The largest piece that waits to be written, in bytes, and how many do: 64 MiB.
const PIECE: usize = 16 << 10;
const WAITING: usize = 4 << 10;

const PREFIX: &str = "turn-";

/// The files of a turn's dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpPart {
    /// The request's body.
    Request,
    /// The agent's prompt.
    Prompt,
    /// The lines of the agent's stdout.
    Events,
    /// The answer's body.
    Response,
}

impl DumpPart {
    const ALL: [Self; 4] = [Self::Request, Self::Prompt, Self::Events, Self::Response];

    fn file(self) -> &'static str {
        match self {
            Self::Request => "request.json",
            Self::Prompt => "prompt.txt",
            Self::Events => "events.ndjson",
            Self::Response => "response.txt",
        }
    }
}

/// A directory that keeps the dumps of the last turns.
#[derive(Debug, Clone)]
pub struct Dumps {
    pieces: SyncSender<DumpPiece>,
}

/// The dump of one turn. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Dump {
    turn: Arc<DumpedTurn>,
    pieces: SyncSender<DumpPiece>,
}

#[derive(Debug)]
struct DumpedTurn {
    name: String,
    /// Whether something was left out.
    has_gaps: AtomicBool,
}

#[derive(Debug)]
struct DumpPiece {
    turn: Arc<DumpedTurn>,
    part: DumpPart,
    bytes: Vec<u8>,
}

impl Dumps {
    /// Opens or makes the directory. It keeps `keep` turns, older dumps included.
    ///
    /// # Errors
    /// The directory can't be made or listed.
    pub fn open(dir: &Path, keep: usize) -> io::Result<Self> {
        private_dirs().recursive(true).create(dir)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let name = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            names.extend(name.map(str::to_owned));
        }
        // Names begin with the time.
        names.sort();
        let mut ring = Ring {
            dir: dir.to_owned(),
            keep: keep.max(1),
            turns: names.into(),
        };
        let (pieces, receiver) = sync_channel(WAITING);
        let work = move || receiver.iter().for_each(|piece| ring.write(&piece));
        thread::Builder::new().name("dump".to_owned()).spawn(work)?;
        Ok(Self { pieces })
    }

    /// The dump of a turn. Names must be valid in file names and sort by time.
    #[must_use]
    pub fn turn(&self, name: &str) -> Dump {
        let turn = DumpedTurn {
            name: name.to_owned(),
            has_gaps: AtomicBool::new(false),
        };
        Dump {
            turn: Arc::new(turn),
            pieces: self.pieces.clone(),
        }
    }
}

impl DumpedTurn {
    /// Notes that something is left out, and says whether it is the first: a full disk fails each
    /// piece.
    fn is_first_gap(&self) -> bool {
        !self.has_gaps.swap(true, Ordering::Relaxed)
    }
}

impl Dump {
    /// Appends to a file.
    pub fn write(&self, part: DumpPart, bytes: &[u8]) {
        for bytes in bytes.chunks(PIECE) {
            let piece = DumpPiece {
                turn: Arc::clone(&self.turn),
                part,
                bytes: bytes.to_vec(),
            };
            if self.pieces.try_send(piece).is_err() {
                if self.turn.is_first_gap() {
                    tracing::warn!(
                        turn = self.turn.name,
                        "the disk is too slow for --dump-dir; a dump has gaps"
                    );
                }
                return;
            }
        }
    }

    /// Appends a line to a file.
    pub fn line(&self, part: DumpPart, line: &[u8]) {
        self.write(part, &[line, b"\n"].concat());
    }
}

/// The dumps on disk.
struct Ring {
    dir: PathBuf,
    keep: usize,
    /// Their names, the oldest first.
    turns: VecDeque<String>,
}

impl Ring {
    /// Writes a piece, or warns that it can't.
    fn write(&mut self, piece: &DumpPiece) {
        if let Err(error) = self.append(piece)
            && piece.turn.is_first_gap()
        {
            tracing::warn!(%error, dir = %self.dir.display(), "a dump could not be written");
        }
    }

    fn append(&mut self, piece: &DumpPiece) -> io::Result<()> {
        let dir = self.make(&piece.turn.name)?;
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(dir.join(piece.part.file()))?;
        if file.metadata()?.len() < FILE {
            file.write_all(&piece.bytes)?;
        }
        Ok(())
    }

    /// The directory of this turn. If there is none, it replaces the oldest.
    fn make(&mut self, name: &str) -> io::Result<PathBuf> {
        let dir = self.path(name);
        if !self.turns.iter().rev().any(|turn| turn == name) {
            while self.turns.len() >= self.keep
                && let Some(oldest) = self.turns.pop_front()
            {
                self.remove(&oldest);
            }
            private_dirs().create(&dir)?;
            self.turns.push_back(name.to_owned());
        }
        Ok(dir)
    }

    /// Removes the files of a dump, and its directory if nothing else is in it.
    fn remove(&self, name: &str) {
        let dir = self.path(name);
        for part in DumpPart::ALL {
            let _ = fs::remove_file(dir.join(part.file()));
        }
        let _ = fs::remove_dir(dir);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{PREFIX}{name}"))
    }
}

fn private_dirs() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn turn(name: &str) -> Arc<DumpedTurn> {
        Arc::new(DumpedTurn {
            name: name.to_owned(),
            has_gaps: AtomicBool::new(false),
        })
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_burst_of_short_lines_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let dumps = Dumps::open(dir.path(), 1).unwrap();
        let dump = dumps.turn("1");
        for _ in 0..WAITING {
            dump.line(DumpPart::Events, b"{}");
        }
        let events = dir.path().join("turn-1/events.ndjson");
        let lines = || fs::read_to_string(&events).map_or(0, |text| text.lines().count());
        // All of them, though the dump is still in use.
        while lines() < WAITING {
            thread::yield_now();
        }
        drop((dump, dumps));
    }

    #[test]
    fn what_waits_is_bounded() {
        let (pieces, receiver) = sync_channel(WAITING);
        let dump = Dump {
            turn: turn("1"),
            pieces,
        };
        dump.write(DumpPart::Events, &vec![0; PIECE * WAITING]);
        assert!(!dump.turn.has_gaps.load(Ordering::Relaxed));
        dump.write(DumpPart::Events, b"one more");
        assert!(dump.turn.has_gaps.load(Ordering::Relaxed));
        assert_eq!(receiver.try_iter().count(), WAITING);
    }

    #[test]
    fn the_oldest_turns_go_and_foreign_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("turn-0")).unwrap();
        fs::write(dir.path().join("turn-0/mine.txt"), "keep").unwrap();
        fs::write(dir.path().join("notes"), "keep").unwrap();
        let mut ring = Ring {
            dir: dir.path().to_owned(),
            keep: 2,
            turns: ["0".to_owned()].into(),
        };
        for name in ["1", "2", "3", "3"] {
            for part in DumpPart::ALL {
                let piece = DumpPiece {
                    turn: turn(name),
                    part,
                    bytes: b"a".to_vec(),
                };
                ring.append(&piece).unwrap();
            }
        }
        assert_eq!(names(dir.path()), ["notes", "turn-0", "turn-2", "turn-3"]);
        let response = dir.path().join("turn-3/response.txt");
        assert_eq!(fs::read_to_string(&response).unwrap(), "aa");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&response), 0o600);
            assert_eq!(mode(response.parent().unwrap()), 0o700);
        }
    }
}

//! Debug dumps (`--dump-dir`): what came in, what the agent was told and said, what went out.
//!
//! Each turn gets a directory `turn-<id>` with one file for each [`Part`]. They hold whole prompts
//! and answers, so they are made only on request and readable by the user alone. This module knows
//! nothing of what it writes. A thread of its own does the writing; if the disk can't keep up,
//! pieces are left out of the dump and never waited for.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

/// The largest file, in bytes.
const FILE: u64 = 64 << 20;

/// The largest piece that waits to be written, and how much does in all, in bytes.
const PIECE: usize = 1 << 20;
const WAITING: usize = 64 << 20;

const PREFIX: &str = "turn-";

/// The files of a turn's dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The request's body.
    Request,
    /// What the agent was told.
    Prompt,
    /// The lines of the agent's stdout.
    Events,
    /// The answer's body.
    Response,
}

impl Part {
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
    queue: Queue,
}

/// What waits to be written.
#[derive(Debug, Clone)]
struct Queue {
    pieces: Sender<Piece>,
    /// How many bytes.
    waiting: Arc<AtomicUsize>,
}

/// The dump of one turn. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Dump {
    turn: Arc<str>,
    queue: Queue,
    /// Whether something was left out.
    has_gaps: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Piece {
    turn: Arc<str>,
    part: Part,
    bytes: Vec<u8>,
}

impl Piece {
    /// What it takes in memory.
    fn weight(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }
}

impl Dumps {
    /// Opens or makes the directory. It keeps `keep` turns, older dumps included.
    ///
    /// # Errors
    /// The directory can't be made or listed.
    pub fn open(dir: &Path, keep: usize) -> io::Result<Self> {
        private_dirs().recursive(true).create(dir)?;
        let mut turns = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            turns.extend(
                name.to_str()
                    .and_then(|name| name.strip_prefix(PREFIX))
                    .map(Arc::from),
            );
        }
        // Ids begin with the time.
        turns.sort();
        let (pieces, receiver) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&waiting);
        let mut ring = Ring {
            dir: dir.to_owned(),
            keep: keep.max(1),
            turns: turns.into(),
        };
        thread::Builder::new()
            .name("dump".to_owned())
            .spawn(move || ring.run(&receiver, &written))?;
        Ok(Self {
            queue: Queue { pieces, waiting },
        })
    }

    /// The dump of a turn. Ids must be valid file names and sort by time.
    #[must_use]
    pub fn turn(&self, id: &str) -> Dump {
        Dump {
            turn: id.into(),
            queue: self.queue.clone(),
            has_gaps: Arc::default(),
        }
    }
}

impl Dump {
    /// Appends to a file.
    pub fn write(&self, part: Part, bytes: &[u8]) {
        for bytes in bytes.chunks(PIECE) {
            let piece = Piece {
                turn: Arc::clone(&self.turn),
                part,
                bytes: bytes.to_vec(),
            };
            if !self.queue.push(piece) {
                if !self.has_gaps.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        turn = &*self.turn,
                        "the disk is too slow for --dump-dir; a dump has gaps"
                    );
                }
                return;
            }
        }
    }

    /// Appends a line to a file.
    pub fn line(&self, part: Part, line: &[u8]) {
        self.write(part, &[line, b"\n"].concat());
    }
}

impl Queue {
    /// Adds a piece, unless too much waits already.
    fn push(&self, piece: Piece) -> bool {
        let weight = piece.weight();
        let before = self.waiting.fetch_add(weight, Ordering::Relaxed);
        let fits = before + weight <= WAITING && self.pieces.send(piece).is_ok();
        if !fits {
            self.waiting.fetch_sub(weight, Ordering::Relaxed);
        }
        fits
    }
}

/// The dumps on disk, oldest first.
struct Ring {
    dir: PathBuf,
    keep: usize,
    turns: VecDeque<Arc<str>>,
}

impl Ring {
    fn run(&mut self, pieces: &Receiver<Piece>, waiting: &AtomicUsize) {
        let mut failed: Option<Arc<str>> = None;
        for piece in pieces {
            // Once for a turn: a full disk fails each piece of it.
            if let Err(error) = self.append(&piece)
                && failed.as_ref() != Some(&piece.turn)
            {
                tracing::warn!(%error, dir = %self.dir.display(), "a dump could not be written");
                failed = Some(Arc::clone(&piece.turn));
            }
            waiting.fetch_sub(piece.weight(), Ordering::Relaxed);
        }
    }

    fn append(&mut self, piece: &Piece) -> io::Result<()> {
        let dir = self.path(&piece.turn);
        if !self.turns.contains(&piece.turn) {
            while self.turns.len() >= self.keep
                && let Some(oldest) = self.turns.pop_front()
            {
                self.remove(&oldest);
            }
            private_dirs().create(&dir)?;
            self.turns.push_back(Arc::clone(&piece.turn));
        }
        let mut file = open_private(&dir.join(piece.part.file()))?;
        if file.metadata()?.len() < FILE {
            file.write_all(&piece.bytes)?;
        }
        Ok(())
    }

    /// Removes what we made and nothing else.
    fn remove(&self, turn: &str) {
        let dir = self.path(turn);
        for part in Part::ALL {
            let _ = fs::remove_file(dir.join(part.file()));
        }
        let _ = fs::remove_dir(dir);
    }

    fn path(&self, turn: &str) -> PathBuf {
        self.dir.join(format!("{PREFIX}{turn}"))
    }
}

fn private_dirs() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn open_private(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn piece(turn: &str, part: Part, text: &str) -> Piece {
        Piece {
            turn: turn.into(),
            part,
            bytes: text.into(),
        }
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
        for _ in 0..5000 {
            dump.line(Part::Events, b"{}");
        }
        while dumps.queue.waiting.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
        let events = fs::read_to_string(dir.path().join("turn-1/events.ndjson")).unwrap();
        assert_eq!(events.lines().count(), 5000);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (pieces, receiver) = channel();
        let queue = Queue {
            pieces,
            waiting: Arc::default(),
        };
        let large = || Piece {
            turn: "1".into(),
            part: Part::Events,
            bytes: vec![0; PIECE],
        };
        let mut held = 0;
        while queue.push(large()) {
            held += 1;
        }
        assert_eq!(held, WAITING / (PIECE + size_of::<Piece>()));
        let waiting = queue.waiting.load(Ordering::Relaxed);
        assert!(waiting <= WAITING, "{waiting}");
        drop(receiver);
        assert!(!queue.push(piece("1", Part::Events, "")), "nobody writes");
        assert_eq!(queue.waiting.load(Ordering::Relaxed), waiting);
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
            turns: ["0".into()].into(),
        };
        for turn in ["1", "2", "3", "3"] {
            for part in Part::ALL {
                ring.append(&piece(turn, part, "a")).unwrap();
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

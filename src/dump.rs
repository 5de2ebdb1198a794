//! Debug dumps (`--dump-dir`): request, prompt, the agent's output and the answer of each turn.
//!
//! Each turn gets a directory `turn-<name>` with one file for each [`DumpPart`]. They contain whole
//! prompts and answers, so they are made only on request and readable by the user alone. This module
//! does not know what it writes. One thread writes for all turns; if the disk can't keep up, pieces
//! are left out of the dump and never waited for.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread,
};

/// The largest file, in bytes.
const FILE: usize = 64 << 20;

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
    name: Arc<str>,
    pieces: SyncSender<DumpPiece>,
    /// Whether something was left out.
    has_gaps: Arc<AtomicBool>,
}

#[derive(Debug)]
struct DumpPiece {
    turn: Arc<str>,
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
            names.extend(name.map(Arc::from));
        }
        // Names begin with the time.
        names.sort();
        let mut ring = Ring {
            dir: dir.to_owned(),
            keep: keep.max(1),
            turns: names.into_iter().map(TurnDump::closed).collect(),
        };
        let (pieces, receiver) = sync_channel(WAITING);
        thread::Builder::new()
            .name("dump".to_owned())
            .spawn(move || ring.run(&receiver))?;
        Ok(Self { pieces })
    }

    /// The dump of a turn. Names must be valid in file names and sort by time.
    #[must_use]
    pub fn turn(&self, name: &str) -> Dump {
        Dump {
            name: name.into(),
            pieces: self.pieces.clone(),
            has_gaps: Arc::default(),
        }
    }
}

impl Dump {
    /// Appends to a file.
    pub fn write(&self, part: DumpPart, bytes: &[u8]) {
        for bytes in bytes.chunks(PIECE) {
            let piece = DumpPiece {
                turn: Arc::clone(&self.name),
                part,
                bytes: bytes.to_vec(),
            };
            if self.pieces.try_send(piece).is_err() {
                if !self.has_gaps.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        turn = &*self.name,
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

/// The dumps on disk, oldest first.
struct Ring {
    dir: PathBuf,
    keep: usize,
    turns: VecDeque<TurnDump>,
}

/// A turn's directory, and its files while pieces come.
struct TurnDump {
    name: Arc<str>,
    files: [Option<DumpFile>; DumpPart::ALL.len()],
    has_failed: bool,
}

/// An open file and its size.
struct DumpFile(BufWriter<File>, usize);

impl TurnDump {
    fn closed(name: Arc<str>) -> Self {
        Self {
            name,
            files: Default::default(),
            has_failed: false,
        }
    }

    /// Writes the buffers and closes the files: a turn can wait for hours.
    fn close(&mut self) -> io::Result<()> {
        let mut files = std::mem::take(&mut self.files);
        let mut open = files.iter_mut().flatten();
        open.try_for_each(|DumpFile(file, _)| file.flush())
    }
}

impl Ring {
    /// Writes pieces as they come; buffers are written whenever none waits.
    fn run(&mut self, pieces: &Receiver<DumpPiece>) {
        loop {
            let piece = match pieces.try_recv() {
                Ok(piece) => piece,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.close_all();
                    let Ok(piece) = pieces.recv() else { break };
                    piece
                }
            };
            if let Err(error) = self.append(&piece) {
                self.report(&piece.turn, &error);
            }
        }
        self.close_all();
    }

    fn close_all(&mut self) {
        for at in 0..self.turns.len() {
            if let Err(error) = self.turns[at].close() {
                let name = Arc::clone(&self.turns[at].name);
                self.report(&name, &error);
            }
        }
    }

    /// Warns once for a turn: a full disk fails each piece of it.
    fn report(&mut self, name: &Arc<str>, error: &io::Error) {
        let turn = self.turns.iter_mut().find(|turn| turn.name == *name);
        let said = turn.is_some_and(|turn| std::mem::replace(&mut turn.has_failed, true));
        if !said {
            tracing::warn!(%error, dir = %self.dir.display(), "a dump could not be written");
        }
    }

    fn append(&mut self, piece: &DumpPiece) -> io::Result<()> {
        let dir = self.path(&piece.turn);
        let turn = self.turn(&piece.turn)?;
        let slot = &mut turn.files[piece.part as usize];
        let DumpFile(file, size) = match slot {
            Some(file) => file,
            None => slot.insert(open_private(&dir.join(piece.part.file()))?),
        };
        if *size < FILE {
            *size += piece.bytes.len();
            file.write_all(&piece.bytes)?;
        }
        Ok(())
    }

    /// The turn of this name. If there is none, it replaces the oldest.
    fn turn(&mut self, name: &Arc<str>) -> io::Result<&mut TurnDump> {
        let known = self.turns.iter().rposition(|turn| turn.name == *name);
        let at = match known {
            Some(at) => at,
            None => {
                while self.turns.len() >= self.keep
                    && let Some(oldest) = self.turns.pop_front()
                {
                    self.remove(&oldest.name);
                }
                private_dirs().create(self.path(name))?;
                self.turns.push_back(TurnDump::closed(Arc::clone(name)));
                self.turns.len() - 1
            }
        };
        Ok(&mut self.turns[at])
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

fn open_private(path: &Path) -> io::Result<DumpFile> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    Ok(DumpFile(BufWriter::new(file), size))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

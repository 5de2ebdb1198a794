//! A server that is a command: its process, its pipes, its end.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    process::{ChildStdin, ChildStdout},
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    sandbox::{
        fence::attended,
        process::{Process, SpawnSpec, Tail},
    },
    threads::lock,
};

/// The longest message that is taken.
pub(super) const LONGEST: usize = 16 << 20;

/// How long the last words of a process that has closed its stdout may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A running server. Dropping it ends it with all that it started, in the background.
#[derive(Debug)]
pub(super) struct ServerProcess {
    stderr: Arc<Mutex<Tail>>,
    /// Cancelled when nothing more comes on its stderr.
    silent: CancellationToken,
    too_long: Arc<AtomicBool>,
    _stop: DropGuard,
}

impl ServerProcess {
    /// Starts a command. `program` is ours, which sees to it that the command ends with us.
    pub fn start(
        program: &Path,
        spec: SpawnSpec,
        reaper: &TaskTracker,
    ) -> io::Result<(Self, BoundedLines<ChildStdout>, ChildStdin)> {
        let stderr = Arc::new(Mutex::new(Tail::default()));
        let silent = CancellationToken::new();
        let (kept, silence) = (Arc::clone(&stderr), silent.clone().drop_guard());
        let tap = move |chunk: &[u8]| {
            // It goes when the tap does.
            let _ = &silence;
            lock(&kept).push(chunk);
        };
        let spec = attended(program, spec);
        let (stdin, stdout, stop) = Process::converse(&spec, reaper, Box::new(tap))?;
        let too_long = Arc::new(AtomicBool::new(false));
        let lines = BoundedLines {
            inner: stdout,
            open: 0,
            too_long: Arc::clone(&too_long),
        };
        let process = Self {
            stderr,
            silent,
            too_long,
            _stop: stop,
        };
        Ok((process, lines, stdin))
    }

    /// What went wrong, with what is known of why: its own last words, or what we object to.
    pub async fn explain(&self, error: String) -> String {
        if self.too_long.load(Ordering::Relaxed) {
            let most = LONGEST >> 20;
            return format!("{error}: it sent a message of more than {most} MiB");
        }
        // Its stdout may be seen to close before its stderr is read.
        let _ = timeout(LAST_WORDS, self.silent.cancelled()).await;
        let mut stderr = lock(&self.stderr);
        match stderr.text().lines().last() {
            Some(words) => format!("{error}: {words}"),
            None => error,
        }
    }
}

/// A stream of lines that breaks off at one that is too long: rmcp would pass over it, and whoever
/// waits for it would wait in vain.
#[derive(Debug)]
pub(super) struct BoundedLines<R> {
    inner: R,
    /// How long the line is that has begun.
    open: usize,
    too_long: Arc<AtomicBool>,
}

impl<R: AsyncRead + Unpin> AsyncRead for BoundedLines<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let new = &buffer.filled()[before..];
        self.open = match memchr::memrchr(b'\n', new) {
            Some(at) => new.len() - at - 1,
            None => self.open + new.len(),
        };
        if self.open > LONGEST {
            self.too_long.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}

/// What a command gets of our environment, beside what its entry names: nothing that is a key.
pub(super) fn environment(
    ours: &[(OsString, OsString)],
    entry: &[(String, String)],
) -> Vec<(OsString, OsString)> {
    let named = |name: &OsString| entry.iter().any(|(own, _)| name == own.as_str());
    let passed = ours.iter().filter(|(name, _)| !named(name)).cloned();
    let own = entry
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    passed.chain(own).collect()
}

/// Where a program is: a path, or a name on PATH.
pub(super) fn find(program: &str, env: &[(OsString, OsString)], cwd: &Path) -> Option<PathBuf> {
    if program.contains('/') {
        let path = cwd.join(program);
        return path.exists().then_some(path);
    }
    let path = env
        .iter()
        .find(|(name, _)| name == "PATH")
        .map(|(_, path)| path)?;
    std::env::split_paths(path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

//! A server that is a command: its process, its pipes, its end.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, ReadBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::sandbox::{
    fence::attended,
    process::{SpawnSpec, Tail},
};

/// The longest message that is taken.
pub(super) const LONGEST: usize = 16 << 20;

/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(1);

/// How long the last words of a process that has closed its stdout may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A running server. Dropping it ends it with all that it started, in the background.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Option<Child>,
    stderr: Arc<Mutex<Tail>>,
    /// Cancelled when it has closed its stderr.
    silent: CancellationToken,
    too_long: Arc<AtomicBool>,
    reaper: TaskTracker,
}

impl ServerProcess {
    /// Starts a command. `program` is ours, which sees to it that the command ends with us.
    pub fn start(
        program: &Path,
        spec: SpawnSpec,
        reaper: TaskTracker,
    ) -> io::Result<(Self, BoundedLines<ChildStdout>, ChildStdin)> {
        let spec = attended(program, spec);
        let mut child = Command::new(&spec.program)
            .args(&spec.args)
            .env_clear()
            .envs(spec.env)
            .current_dir(&spec.cwd)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let lost = || io::Error::other("the new process has no pipe");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (stdin, stdout) = stdin.zip(stdout).ok_or_else(lost)?;
        let stderr = Arc::new(Mutex::new(Tail::default()));
        let silent = CancellationToken::new();
        if let Some(pipe) = child.stderr.take() {
            let kept = keep_end(pipe, Arc::clone(&stderr));
            let closed = silent.clone().drop_guard();
            reaper.spawn(async move {
                kept.await;
                drop(closed);
            });
        }
        let too_long = Arc::new(AtomicBool::new(false));
        let lines = BoundedLines {
            inner: stdout,
            open: 0,
            too_long: Arc::clone(&too_long),
        };
        let process = Self {
            child: Some(child),
            stderr,
            silent,
            too_long,
            reaper,
        };
        Ok((process, lines, stdin))
    }

    /// What is known of why it does not answer: its own last words, or what we object to.
    pub async fn last_words(&self) -> String {
        if self.too_long.load(Ordering::Relaxed) {
            return format!("it sent a message of more than {} MiB", LONGEST >> 20);
        }
        // Its stdout may be seen to close before its stderr is read.
        let _ = timeout(LAST_WORDS, self.silent.cancelled()).await;
        let mut stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        stderr.text().lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        self.reaper.spawn(async move {
            let signal = |signal| {
                if let Some(group) = group {
                    // The only error says that nobody is left.
                    let _ = kill_process_group(group, signal);
                }
            };
            signal(Signal::TERM);
            if timeout(GRACE, child.wait()).await.is_err() {
                signal(Signal::KILL);
                let _ = child.wait().await;
            }
        });
    }
}

async fn keep_end(mut pipe: ChildStderr, tail: Arc<Mutex<Tail>>) {
    let mut buffer = vec![0; 8 << 10];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push(&buffer[..read]);
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

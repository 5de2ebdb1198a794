//! A running child, as its owner sees it.

use std::{io, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStdin, ChildStdout},
    sync::oneshot,
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    Exit, SpawnSpec, Start, StderrTap,
    group::Group,
    supervise::{feed, supervise, write_now},
};

/// How long a child whose stdout is no longer read may take to exit before it is ended.
const LINGER: Duration = Duration::from_secs(1);

/// After the exit stdout can't grow unless a grandchild holds it; what the child wrote is there.
const SILENCE: Duration = Duration::from_millis(100);

/// The most that a pipe can hold at the exit, unless root has raised the limit.
const PIPE: usize = 1 << 20;

fn lost() -> io::Error {
    io::Error::other("the new process has no id or pipe")
}

/// A child process. Dropping it ends its whole group, in the background.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    stdout: ChildStdout,
    output: StdoutEnd,
    /// Comes once, when the child has exited, whoever still holds its pipes.
    report: oneshot::Receiver<Exit>,
    exit: Option<Exit>,
    stop: DropGuard,
    /// Until it is fed: its stdin, and what of its order the pipe has not taken.
    stdin: Option<(ChildStdin, Bytes)>,
}

/// How far stdout was read.
#[derive(Debug, Clone, Copy)]
enum StdoutEnd {
    Open,
    /// The child has exited; at most so many bytes of its own are still there.
    Left(usize),
    Closed,
}

impl Process {
    /// Starts the child and feeds it its stdin, which is then closed. The tasks that look after it
    /// run on the tracker: once that is idle, the group is gone and reaped.
    ///
    /// # Errors
    /// What the operating system says if the child can't be started.
    pub fn start(spec: &SpawnSpec, stdin: Bytes, tracker: &TaskTracker) -> io::Result<Self> {
        Self::start_tapped(spec, stdin, tracker, None)
    }

    /// The same; `tap` gets each chunk of stderr as it comes, until the child has exited.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn start_tapped(
        spec: &SpawnSpec,
        stdin: Bytes,
        tracker: &TaskTracker,
        tap: Option<StderrTap>,
    ) -> io::Result<Self> {
        let mut process = Self::attend(spec.command().spawn()?, Bytes::new(), tracker, tap)?;
        process.feed(stdin, tracker);
        Ok(process)
    }

    /// Starts a child that may be there already, and that is to be [fed](Process::feed). Blocking, for as
    /// long as a program takes to be loaded; to be called within the runtime.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn begin(start: Start, tracker: &TaskTracker) -> io::Result<Self> {
        match start {
            Start::New(spec) => Self::attend(spec.command().spawn()?, Bytes::new(), tracker, None),
            Start::Waiting(waiting, spec) => {
                let order = spec.to_order()?.into_bytes();
                Self::attend(waiting.child, order.into(), tracker, None)
            }
        }
    }

    /// Starts a child to talk with: its stdin and stdout, and what ends its group when it is dropped.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn converse(
        spec: &SpawnSpec,
        tracker: &TaskTracker,
        tap: StderrTap,
    ) -> io::Result<(ChildStdin, ChildStdout, DropGuard)> {
        let child = spec.command().spawn()?;
        let process = Self::attend(child, Bytes::new(), tracker, Some(tap))?;
        let (stdin, _) = process.stdin.ok_or_else(lost)?;
        Ok((stdin, process.stdout, process.stop))
    }

    /// Looks after a child, and gives it its order.
    fn attend(
        mut child: Child,
        mut order: Bytes,
        tracker: &TaskTracker,
        tap: Option<StderrTap>,
    ) -> io::Result<Self> {
        let group = Group::of(child.id()).ok_or_else(lost)?;
        let pid = child.id().ok_or_else(lost)?;
        let pipe = child.stdin.take().ok_or_else(lost)?;
        write_now(&pipe, &mut order);
        // The stream would read it in small pieces, and only while stderr is silent.
        let stdout = child.stdout.take().ok_or_else(lost)?;
        let (reporter, report) = oneshot::channel();
        let stop = CancellationToken::new();
        tracker.spawn(supervise(child.into(), group, stop.clone(), reporter, tap));
        Ok(Self {
            pid,
            stdout,
            output: StdoutEnd::Open,
            report,
            exit: None,
            stop: stop.drop_guard(),
            stdin: Some((pipe, order)),
        })
    }

    /// Gives the child its stdin, which is then closed: what the pipe takes at once, since a task would
    /// have to wait for its turn, and the rest by a task.
    pub fn feed(&mut self, stdin: Bytes, tracker: &TaskTracker) {
        let Some((pipe, order)) = self.stdin.take() else {
            return;
        };
        let mut input = order.chain(stdin);
        write_now(&pipe, &mut input);
        if input.has_remaining() {
            tracker.spawn(feed(pipe, input, self.stop.token().clone()));
        }
    }

    /// The child's id, which is also its group's.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether all of stdout was read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.output, StdoutEnd::Closed)
    }

    /// Appends what stdout has to the buffer's free space; may append nothing. Stdout counts as
    /// closed as soon as the child has exited and all that it wrote was read. Safe to cancel.
    pub async fn read(&mut self, buffer: &mut BytesMut) {
        let read = self.stdout.read_buf(buffer);
        let read = match self.output {
            StdoutEnd::Closed => return,
            StdoutEnd::Left(_) => timeout(SILENCE, read).await.unwrap_or(Ok(0)),
            StdoutEnd::Open => tokio::select! {
                read = read => read,
                exit = &mut self.report => {
                    self.exit = Some(exit.unwrap_or_default());
                    self.output = StdoutEnd::Left(PIPE);
                    return;
                }
            },
        };
        // A stdout that can't be read is as good as closed.
        let read = read.unwrap_or_default();
        self.output = match self.output {
            _ if read == 0 => StdoutEnd::Closed,
            StdoutEnd::Left(left) if left <= read => StdoutEnd::Closed,
            StdoutEnd::Left(left) => StdoutEnd::Left(left - read),
            other => other,
        };
    }

    /// Asks the child's group to end. Not needed before a drop, which does the same.
    pub fn stop(&self) {
        self.stop.token().cancel();
    }

    /// How the child ended. Stdout is not read any more; if it does not end by itself, it is
    /// ended. Safe to cancel.
    pub async fn exit(&mut self) -> &Exit {
        self.output = StdoutEnd::Closed;
        if self.exit.is_none() {
            let exit = match timeout(LINGER, &mut self.report).await {
                Ok(exit) => exit,
                Err(_) => {
                    self.stop.token().cancel();
                    (&mut self.report).await
                }
            };
            // It is lost only if the runtime goes down.
            self.exit = Some(exit.unwrap_or_default());
        }
        self.exit.get_or_insert_default()
    }
}

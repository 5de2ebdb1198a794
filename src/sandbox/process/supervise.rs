//! The tasks that look after a running child.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStderr, ChildStdin},
    sync::oneshot,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{StderrTap, Tail, group::Group};

/// How long stderr is read after the exit. Without grandchildren it is closed by then; a
/// grandchild may hold it open for ever.
const DRAIN: Duration = Duration::from_millis(100);

/// How much of stderr is read at once: agents write little to it.
const CHUNK: usize = 1 << 10;

/// How a child ended.
#[derive(Debug, Clone, Default)]
pub struct Exit {
    /// Its status, unless it was stopped.
    pub status: Option<ExitStatus>,
    /// The end of its stderr, redacted.
    pub stderr: String,
}

/// Writes all of stdin, the order first. A child that does not read it to the end is
/// not an error by itself.
pub(super) async fn feed(
    mut pipe: ChildStdin,
    order: Vec<u8>,
    input: Arc<str>,
    stop: CancellationToken,
) {
    let write = async {
        pipe.write_all(&order).await?;
        pipe.write_all(input.as_bytes()).await
    };
    tokio::select! {
        written = write => {
            if let Err(error) = written {
                tracing::debug!(%error, "the child did not read all of its input");
            }
        }
        () = stop.cancelled() => {}
    }
}

/// Keeps the end of stderr, ends the group on request or when the child has exited, reaps the
/// child and reports.
pub(super) async fn supervise(
    mut child: Child,
    mut group: Group,
    stop: CancellationToken,
    report: oneshot::Sender<Exit>,
    tap: Option<StderrTap>,
) {
    let mut stderr = Stderr {
        pipe: child.stderr.take(),
        buffer: Vec::with_capacity(CHUNK),
        tail: Tail::default(),
        tap,
    };
    let status = tokio::select! {
        status = exited(&mut child, &mut stderr) => {
            group.kill();
            status
        }
        () = stop.cancelled() => {
            group.terminate().await;
            exited(&mut child, &mut stderr).await;
            None
        }
    };
    let drained = timeout(DRAIN, async {
        while stderr.pipe.is_some() {
            stderr.read().await;
        }
    });
    if drained.await.is_err() {
        tracing::debug!("somebody still holds the stderr of a child that has exited");
    }
    // Nobody listens if the process was dropped.
    let _ = report.send(Exit {
        status,
        stderr: stderr.tail.text(),
    });
}

/// What is read of stderr, and where it goes.
struct Stderr {
    /// None once it is closed.
    pipe: Option<ChildStderr>,
    buffer: Vec<u8>,
    tail: Tail,
    tap: Option<StderrTap>,
}

impl Stderr {
    /// Waits for a piece; once it is closed, for ever. Safe to cancel.
    async fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return std::future::pending().await;
        };
        self.buffer.clear();
        // What can't be read is as good as closed.
        let read = pipe.read_buf(&mut self.buffer).await.unwrap_or_default();
        if read == 0 {
            self.pipe = None;
        }
        self.tail.push(&self.buffer);
        if let Some(tap) = &mut self.tap
            && read > 0
        {
            tap(&self.buffer);
        }
    }
}

/// Collects stderr until the child has exited, also where a grandchild still holds it open.
async fn exited(child: &mut Child, stderr: &mut Stderr) -> Option<ExitStatus> {
    loop {
        tokio::select! {
            biased;
            status = child.wait() => return status.ok(),
            () = stderr.read() => {}
        }
    }
}

//! A running child, and the task that looks after it.

use std::{future::poll_fn, io, pin::pin, process::ExitStatus, task::Poll, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use tokio::{
    io::AsyncWriteExt,
    process::{ChildStdin, ChildStdout},
    sync::oneshot,
    time::timeout,
};
use tokio_process_stream::{Item, ProcessChunkStream};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{SpawnSpec, Tail, group::Group};

/// How long stderr is read after the exit. Without grandchildren it is closed by then; a
/// grandchild may hold it open for ever.
const DRAIN: Duration = Duration::from_millis(100);

/// A child process. Dropping it ends its whole group, in the background.
#[derive(Debug)]
pub struct Process {
    /// The child's id, which is also its group's.
    pub pid: u32,
    /// What it prints.
    pub stdout: ChildStdout,
    /// Comes once, when the child has exited, whoever still holds its pipes. It is lost if the
    /// runtime goes down.
    pub exit: oneshot::Receiver<Exit>,
    stop: DropGuard,
}

/// How a child ended.
#[derive(Debug, Clone, Default)]
pub struct Exit {
    /// Its status, unless it was stopped.
    pub status: Option<ExitStatus>,
    /// The end of its stderr, redacted.
    pub stderr: String,
}

impl Process {
    /// Starts the child and feeds it its stdin, which is then closed. The tasks that look after it
    /// run on the tracker: once that is idle, the group is gone and reaped.
    ///
    /// # Errors
    /// What the operating system says if the child can't be started.
    pub fn start(spec: &SpawnSpec, stdin: String, tracker: &TaskTracker) -> io::Result<Self> {
        let mut child = spec.spawn()?;
        let lost = || io::Error::other("the new process has no id or pipe");
        let mut group = Group::of(child.id()).ok_or_else(lost)?;
        let pid = child.id().ok_or_else(lost)?;
        let pipe = child.stdin.take().ok_or_else(lost)?;
        // The stream would read it in small pieces, and only while stderr is silent.
        let stdout = child.stdout.take().ok_or_else(lost)?;
        let (report, exit) = oneshot::channel();
        let stop = CancellationToken::new();
        tracker.spawn(feed(pipe, stdin, stop.clone()));
        let stopped = stop.clone();
        tracker.spawn(async move {
            let exit = supervise(child.into(), &mut group, stopped).await;
            // Nobody listens if the process was dropped.
            let _ = report.send(exit);
        });
        Ok(Self {
            pid,
            stdout,
            exit,
            stop: stop.drop_guard(),
        })
    }

    /// Ends the group as a drop does, but leaves the exit to be waited for.
    pub fn stop(&self) {
        self.stop.token().cancel();
    }
}

/// Writes all of stdin. A child that does not read it to the end is no error by itself.
async fn feed(mut pipe: ChildStdin, input: String, stop: CancellationToken) {
    tokio::select! {
        written = pipe.write_all(input.as_bytes()) => {
            if let Err(error) = written {
                tracing::debug!(%error, "the child did not read all of its input");
            }
        }
        () = stop.cancelled() => {}
    }
}

async fn supervise(
    mut child: ProcessChunkStream,
    group: &mut Group,
    stop: CancellationToken,
) -> Exit {
    let mut tail = Tail::default();
    let status = tokio::select! {
        status = exited(&mut child, &mut tail) => {
            group.kill();
            status
        }
        () = stop.cancelled() => {
            group.terminate().await;
            exited(&mut child, &mut tail).await;
            None
        }
    };
    let drained = timeout(DRAIN, async {
        while let Some(Item::Stderr(chunk)) = child.next().await {
            tail.push(&chunk);
        }
    });
    if drained.await.is_err() {
        tracing::debug!("somebody still holds the stderr of a child that has exited");
    }
    Exit {
        status,
        stderr: tail.text(),
    }
}

/// Collects stderr until the child has exited.
async fn exited(child: &mut ProcessChunkStream, tail: &mut Tail) -> Option<ExitStatus> {
    loop {
        match exit_or_stderr(child).await {
            Some(Item::Stderr(chunk) | Item::Stdout(chunk)) => tail.push(&chunk),
            Some(Item::Done(status)) => return status.ok(),
            None => return None,
        }
    }
}

/// The stream's next item. By itself the stream asks for the exit only after stderr was closed,
/// which a grandchild can put off for ever; so here the exit comes first.
async fn exit_or_stderr(child: &mut ProcessChunkStream) -> Option<Item<Bytes>> {
    poll_fn(|context| {
        if let Some(process) = child.child_mut()
            && let Poll::Ready(status) = pin!(process.wait()).poll(context)
        {
            return Poll::Ready(Some(Item::Done(status)));
        }
        child.poll_next_unpin(context)
    })
    .await
}

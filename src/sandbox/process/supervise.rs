//! The tasks that look after a running child.

use std::{
    future::poll_fn, io::IoSlice, pin::pin, process::ExitStatus, task::Poll, time::Duration,
};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::{io::AsyncWriteExt, process::ChildStdin, sync::oneshot, time::timeout};
use tokio_process_stream::{Item, ProcessChunkStream};
use tokio_util::sync::CancellationToken;

use super::{StderrTap, Tail, group::Group};

/// How long stderr is read after the exit. Without grandchildren it is closed by then; a
/// grandchild may hold it open for ever.
const DRAIN: Duration = Duration::from_millis(100);

/// How a child ended.
#[derive(Debug, Clone, Default)]
pub struct Exit {
    /// Its status, unless it was stopped.
    pub status: Option<ExitStatus>,
    /// The end of its stderr, redacted.
    pub stderr: String,
}

/// Writes what the pipe has room for.
pub(super) fn write_now(pipe: &ChildStdin, input: &mut impl Buf) {
    while input.has_remaining() {
        let mut parts = [IoSlice::new(&[]); 2];
        let count = input.chunks_vectored(&mut parts);
        match rustix::io::writev(pipe, &parts[..count]) {
            // It is full, or broken: who writes the rest will see.
            Ok(0) | Err(_) => return,
            Ok(written) => input.advance(written),
        }
    }
}

/// Writes all of the input. A child that does not read it to the end is not an error by itself.
pub(super) async fn feed(mut pipe: ChildStdin, mut input: impl Buf, stop: CancellationToken) {
    tokio::select! {
        written = pipe.write_all_buf(&mut input) => {
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
    mut child: ProcessChunkStream,
    mut group: Group,
    stop: CancellationToken,
    report: oneshot::Sender<Exit>,
    tap: Option<StderrTap>,
) {
    let mut tail = Stderr {
        tail: Tail::default(),
        tap,
    };
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
    // Nobody listens if the process was dropped.
    let _ = report.send(Exit {
        status,
        stderr: tail.tail.text(),
    });
}

/// Where stderr goes.
struct Stderr {
    tail: Tail,
    tap: Option<StderrTap>,
}

impl Stderr {
    fn push(&mut self, chunk: &[u8]) {
        self.tail.push(chunk);
        if let Some(tap) = &mut self.tap {
            tap(chunk);
        }
    }
}

/// Collects stderr until the child has exited.
async fn exited(child: &mut ProcessChunkStream, tail: &mut Stderr) -> Option<ExitStatus> {
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

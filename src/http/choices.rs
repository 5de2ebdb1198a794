//! The turns that answer one request, side by side.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::{body::Reserved, record::Record};
use crate::{
    engine::{TurnProgress, TurnStream},
    turn::{TurnEnd, TurnEvent, Usage},
};

/// The events of all choices. Dropping this cancels their turns.
pub(super) struct Choices {
    streams: Vec<TurnStream>,
    /// The stream that is polled first, so that none starves.
    first: usize,
    /// How many have not ended.
    open: usize,
    usage: Option<Usage>,
    lost_changes: Vec<String>,
    record: Record,
    /// The memory of the request, which is in use until the agent has its prompt.
    reserved: Option<Reserved>,
}

impl Choices {
    /// Follows the turns of the request that the record is about.
    pub fn new(streams: Vec<TurnStream>, record: Record, reserved: Option<Reserved>) -> Self {
        Self {
            open: streams.len(),
            streams,
            first: 0,
            usage: None,
            lost_changes: Vec::new(),
            record,
            reserved,
        }
    }

    /// How far each turn is.
    pub fn progress(&self) -> Vec<Arc<TurnProgress>> {
        self.streams.iter().map(TurnStream::progress).collect()
    }

    /// How many choices there are.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// The next events of any choice, with its number; `None` after the end of all.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Vec<TurnEvent>)>> {
        let count = self.streams.len();
        let mut waiting = false;
        for choice in (self.first..count).chain(0..self.first) {
            match self.streams[choice].poll_next(cx) {
                Poll::Ready(Some(batch)) => {
                    self.first = (choice + 1) % count;
                    self.reserved = None;
                    self.record.see(&batch);
                    return Poll::Ready(Some((choice, batch)));
                }
                Poll::Ready(None) => {}
                Poll::Pending => waiting = true,
            }
        }
        if waiting {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    }

    /// The same, to wait for.
    pub async fn next(&mut self) -> Option<(usize, Vec<TurnEvent>)> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Counts what was written of the answer.
    pub fn sent(&self, bytes: usize) {
        self.record.sent(bytes);
    }

    /// Notes that a choice ended. `Some` if the answer ends with it: at the last choice, with the
    /// usage and the lost changes of all, or at a failure.
    pub fn end(&mut self, end: &TurnEnd) -> Option<TurnEnd> {
        self.open = self.open.saturating_sub(1);
        let known = [self.usage, end.usage].into_iter().flatten();
        self.usage = known.reduce(|sum, usage| sum + usage);
        self.lost_changes.extend_from_slice(&end.lost_changes);
        let end = (self.open == 0 || end.outcome.is_err()).then(|| TurnEnd {
            outcome: end.outcome.clone(),
            usage: self.usage,
            lost_changes: std::mem::take(&mut self.lost_changes),
        })?;
        self.record.end(&end);
        Some(end)
    }
}

//! Which assistant text is new (SCHEMA 2).
//!
//! The agent says its text up to three times: as deltas, as a recap of the deltas before a batch of
//! tools or at the end, and joined in the result. After a lost connection it may say it again. This
//! keeps what was said since the last recap or tool and lets through what goes beyond. Of the text
//! before that, and of a stretch that grows too long to keep, only length and hash are kept: enough
//! to know a repetition. It knows nothing of tools except that one has been used.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// A stretch without recap or tool that is longer than this is not kept as text. A replay of it
/// after a lost connection can't be told from new text then.
const KEEP: usize = 256 << 10;

/// The text of one run.
#[derive(Debug)]
pub(super) struct Segments {
    keep: usize,
    /// All text let through.
    all: Digest,
    /// The text let through since the earlier of the two marks.
    said: String,
    /// Where in `said` the text begins that no recap has repeated yet.
    recapped: usize,
    /// Where in `said` the text begins that follows the last tool event.
    tool: usize,
    /// What stands in for `said` and its marks once it was too long.
    long: Option<Long>,
    /// The part of `said` that a replay is being matched with.
    replay: Option<Replay>,
    /// A recap that names its model request, as long as nothing has followed it: the same text may
    /// be recapped once more.
    named: Option<Digest>,
    /// Whether a replay was dropped, after which the result may hold text twice.
    replayed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Replay {
    start: usize,
    at: usize,
}

/// The text since each mark.
#[derive(Debug)]
struct Long {
    recapped: Digest,
    tool: Digest,
}

/// The length and hash of a text that is not kept.
#[derive(Default)]
struct Digest {
    len: usize,
    hash: Xxh3,
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

impl Digest {
    fn of(text: &str) -> Self {
        let mut digest = Self::default();
        digest.push(text);
        digest
    }

    fn push(&mut self, text: &str) {
        self.len += text.len();
        self.hash.update(text.as_bytes());
    }

    /// What follows this text in another that begins with it.
    fn rest_of<'t>(&self, text: &'t str) -> Option<&'t str> {
        let (begin, rest) = text.split_at_checked(self.len)?;
        (xxh3_64(begin.as_bytes()) == self.hash.digest()).then_some(rest)
    }
}

impl Default for Segments {
    fn default() -> Self {
        Self::keeping(KEEP)
    }
}

impl Segments {
    fn keeping(keep: usize) -> Self {
        Self {
            keep,
            all: Digest::default(),
            said: String::new(),
            recapped: 0,
            tool: 0,
            long: None,
            replay: None,
            named: None,
            replayed: false,
        }
    }

    /// A delta: new text, unless it repeats what was said before a retry.
    pub(super) fn delta(&mut self, text: String) -> String {
        self.named = None;
        let new = match self.replay {
            Some(replay) => self.after_replay(replay, text),
            None => text,
        };
        self.push(&new);
        new
    }

    /// A recap of deltas, or a whole segment that no delta announced; `named` if it names its model
    /// request.
    pub(super) fn segment(&mut self, text: String, named: bool) -> String {
        let again = self.named.take();
        if again.is_some_and(|known| known.rest_of(&text) == Some("")) {
            return String::new();
        }
        self.named = named.then(|| Digest::of(&text));
        let replay = self.replay.take();
        let repeats_replay = replay.is_some_and(|r| text == self.said[r.start..r.at]);
        let known = self.beyond(&text, replay).map(str::to_owned);
        let new = match known {
            Some(rest) => rest,
            None if repeats_replay => String::new(),
            None if self.is_silent() => text,
            // An edited recap. The deltas have been shown and can't be taken back.
            None => String::new(),
        };
        self.push(&new);
        match &mut self.long {
            Some(long) => long.recapped = Digest::default(),
            None => self.recapped = self.said.len(),
        }
        self.forget();
        new
    }

    /// A tool was announced or is over: what follows is another segment.
    pub(super) fn tool_event(&mut self) {
        self.named = None;
        match &mut self.long {
            Some(long) => long.tool = Digest::default(),
            None => self.tool = self.said.len(),
        }
        self.replay = None;
        self.forget();
    }

    /// The agent asks its model again, and may repeat the text since the last tool.
    pub(super) fn retrying(&mut self) {
        self.replay = (self.tool < self.said.len()).then_some(Replay {
            start: self.tool,
            at: self.tool,
        });
    }

    /// The result holds all text of the run: what of it was never said?
    pub(super) fn finish(&mut self, result: &str) -> String {
        let rest = self.all.rest_of(result).filter(|_| !self.replayed);
        let rest = rest.unwrap_or_default().to_owned();
        self.push(&rest);
        rest
    }

    /// What a recap says beyond the text that it repeats; `None` if it repeats none.
    fn beyond<'t>(&self, text: &'t str, replay: Option<Replay>) -> Option<&'t str> {
        // Widest first: a recap covers everything since the last one, even across a tool event
        // that had no announcement ("...replying DONE.DONE").
        if let Some(long) = &self.long {
            let shorter = std::cmp::min_by_key(&long.recapped, &long.tool, |digest| digest.len);
            return [&long.recapped, shorter]
                .into_iter()
                .filter(|pending| pending.len > 0)
                .find_map(|pending| pending.rest_of(text));
        }
        let recent = self.recapped.max(self.tool);
        let starts = [
            Some(self.recapped),
            Some(recent),
            replay.map(|replay| replay.start),
        ];
        starts
            .into_iter()
            .flatten()
            .map(|start| &self.said[start..])
            .filter(|pending| !pending.is_empty())
            .find_map(|pending| text.strip_prefix(pending))
    }

    /// Whether nothing was said since the later of the two marks.
    fn is_silent(&self) -> bool {
        match &self.long {
            Some(long) => long.recapped.len.min(long.tool.len) == 0,
            None => self.recapped.max(self.tool) == self.said.len(),
        }
    }

    fn push(&mut self, new: &str) {
        self.all.push(new);
        if let Some(long) = &mut self.long {
            long.recapped.push(new);
            long.tool.push(new);
            return;
        }
        self.said.push_str(new);
        if self.said.len() > self.keep {
            self.long = Some(Long {
                recapped: Digest::of(&self.said[self.recapped..]),
                tool: Digest::of(&self.said[self.tool..]),
            });
            self.replay = None;
            self.said = String::new();
            (self.recapped, self.tool) = (0, 0);
        }
    }

    /// Forgets the text before the earlier mark.
    fn forget(&mut self) {
        match &self.long {
            Some(long) if long.recapped.len.max(long.tool.len) == 0 => self.long = None,
            Some(_) => {}
            None if self.replay.is_none() => {
                let before = self.recapped.min(self.tool);
                self.said.drain(..before);
                self.recapped -= before;
                self.tool -= before;
            }
            None => {}
        }
    }

    /// Drops the part of `text` that repeats `said` from the replay's mark on. If the text takes
    /// another course before the repetition is complete, it was none: all of it counts.
    fn after_replay(&mut self, replay: Replay, text: String) -> String {
        let rest = &self.said[replay.at..];
        if let Some(new) = text.strip_prefix(rest) {
            let new = new.to_owned();
            self.replay = None;
            self.replayed = true;
            new
        } else if rest.starts_with(&text) {
            self.replay = Some(Replay {
                at: replay.at + text.len(),
                ..replay
            });
            String::new()
        } else {
            let dropped = &self.said[replay.start..replay.at];
            let new = format!("{dropped}{text}");
            self.replay = None;
            new
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

//! Which assistant text is new (SCHEMA 2).
//!
//! The agent says its text up to three times: as deltas, as a recap of the deltas before a batch of
//! tools or at the end, and joined in the result. After a lost connection it may say it again. This
//! keeps one copy of what was said and three marks in it, and lets through what goes beyond.
//! It knows nothing of tools except that one has been used.

/// The text of one run.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// All text let through, in order.
    said: String,
    /// Where the text begins that no recap has repeated yet.
    recapped: usize,
    /// Where the text begins that follows the last tool event.
    tool: usize,
    /// The part of `said` that a replay is being matched with.
    replay: Option<Replay>,
    /// Whether a replay was dropped, after which the result may hold text twice.
    replayed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Replay {
    start: usize,
    at: usize,
}

impl Segments {
    /// A delta: new text, unless it repeats what was said before a retry.
    pub(super) fn delta(&mut self, text: String) -> String {
        let new = match self.replay {
            Some(replay) => self.after_replay(replay, text),
            None => text,
        };
        self.said.push_str(&new);
        new
    }

    /// A recap of deltas, or a whole segment that no delta announced.
    pub(super) fn segment(&mut self, text: String) -> String {
        let replay = self.replay.take();
        let recent = self.recapped.max(self.tool);
        // Widest first: a recap covers everything since the last one, even across a tool event
        // that had no announcement ("...replying DONE.DONE").
        let starts = [
            Some(self.recapped),
            Some(recent),
            replay.map(|replay| replay.start),
        ];
        let known = starts
            .into_iter()
            .flatten()
            .map(|start| &self.said[start..])
            .find(|pending| !pending.is_empty() && text.starts_with(pending))
            .map(str::len);
        let repeats_replay = replay.is_some_and(|r| text == self.said[r.start..r.at]);
        let new = match known {
            Some(len) => text[len..].to_owned(),
            None if repeats_replay => String::new(),
            None if self.said[recent..].is_empty() => text,
            // An edited recap. The deltas have been shown and can't be taken back.
            None => String::new(),
        };
        self.said.push_str(&new);
        self.recapped = self.said.len();
        new
    }

    /// A tool was announced or is over: what follows is another segment.
    pub(super) fn tool_event(&mut self) {
        self.tool = self.said.len();
        self.replay = None;
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
        match result.strip_prefix(self.said.as_str()) {
            Some(rest) if !self.replayed => {
                self.said.push_str(rest);
                rest.to_owned()
            }
            _ => String::new(),
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

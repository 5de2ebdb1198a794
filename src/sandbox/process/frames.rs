//! Lines out of arbitrary chunks, with a bound on their length.

use bytes::{Buf, BytesMut};

/// The longest line that is delivered. File contents and shell output make lines of megabytes
/// (SCHEMA 0).
const MAX_LINE: usize = 64 << 20;

/// Room for a read: at first little, since most agents print little at a time, and up to the usual
/// capacity of a pipe while reads fill it.
const READ: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 10;

/// A buffer above this size is given back once it is empty.
const KEEP: usize = 1 << 20;

/// Splits a byte stream at `\n`. A line beyond the limit is dropped up to its newline and counted.
#[derive(Debug)]
pub struct Frames {
    buffer: BytesMut,
    limit: usize,
    /// The length, newline included, of the line that was handed out last.
    used: usize,
    /// How far the buffer is known to hold no newline.
    scanned: usize,
    skipping: bool,
    skipped: u64,
    /// Room for the next read.
    room: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self::with_limit(MAX_LINE)
    }
}

impl Frames {
    /// Frames with another bound, in bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
            used: 0,
            scanned: 0,
            skipping: false,
            skipped: 0,
            room: *READ.start(),
        }
    }

    /// The buffer with room for a read, to append to and nothing else.
    pub fn space(&mut self) -> &mut BytesMut {
        // The last read has filled its room: there may be more.
        if self.buffer.len() == self.buffer.capacity() && !self.buffer.is_empty() {
            self.room = (self.room * 2).min(*READ.end());
        }
        self.release();
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP {
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(self.room);
        &mut self.buffer
    }

    /// The next whole line, without its newline.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        loop {
            self.release();
            let Some(at) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                if self.skipping || self.scanned > self.limit {
                    self.skip(self.scanned);
                    self.skipping = true;
                }
                return None;
            };
            let length = self.scanned + at;
            if self.skipping || length > self.limit {
                self.skip(length + 1);
                self.skipping = false;
                continue;
            }
            self.used = length + 1;
            return Some(&self.buffer[..length]);
        }
    }

    /// What stands after the last newline, once the stream has ended; empty if nothing does.
    pub fn finish(&mut self) -> BytesMut {
        self.release();
        self.scanned = 0;
        let rest = self.buffer.split();
        if self.skipping || rest.len() > self.limit {
            BytesMut::new()
        } else {
            rest
        }
    }

    /// How many lines were too long.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Drops the line that was handed out last.
    fn release(&mut self) {
        self.buffer.advance(self.used);
        self.scanned = self.scanned.saturating_sub(self.used);
        self.used = 0;
    }

    fn skip(&mut self, length: usize) {
        self.skipped += u64::from(!self.skipping);
        self.buffer.advance(length);
        self.scanned = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds the input in chunks of the given lengths and collects the lines.
    fn frame(input: &[u8], chunks: &[usize], limit: usize) -> (Vec<Vec<u8>>, u64) {
        let mut frames = Frames::with_limit(limit);
        let mut lines = Vec::new();
        let mut rest = input;
        let mut lengths = chunks.iter().copied().cycle();
        while !rest.is_empty() {
            let length = lengths.next().unwrap_or(rest.len()).clamp(1, rest.len());
            frames.space().extend_from_slice(&rest[..length]);
            rest = &rest[length..];
            while let Some(line) = frames.next_line() {
                lines.push(line.to_vec());
            }
        }
        let last = frames.finish();
        if !last.is_empty() {
            lines.push(last.to_vec());
        }
        (lines, frames.skipped())
    }

    /// The same by the definition.
    fn split(input: &[u8], limit: usize) -> (Vec<Vec<u8>>, u64) {
        let mut lines: Vec<_> = input
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        if lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        let skipped = lines.iter().filter(|line| line.len() > limit).count() as u64;
        lines.retain(|line| line.len() <= limit);
        (lines, skipped)
    }

    proptest! {
        #[test]
        fn any_chunking_splits_at_newlines(
            input in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n')], 0..400),
            chunks in proptest::collection::vec(1usize..60, 0..8),
            limit in 0usize..50,
        ) {
            prop_assert_eq!(frame(&input, &chunks, limit), split(&input, limit));
        }
    }

    #[test]
    fn line_after_an_over_long_one_is_whole() {
        let input = [&[b'x'; 300][..], b"\nnext\nlast"].concat();
        let (lines, skipped) = frame(&input, &[7], 64);
        assert_eq!(lines, [b"next".to_vec(), b"last".to_vec()]);
        assert_eq!(skipped, 1);
    }

    #[test]
    fn large_buffer_is_given_back() {
        let mut frames = Frames::default();
        frames.space().extend_from_slice(&vec![b'x'; 3 << 20]);
        frames.space().extend_from_slice(b"\n");
        assert!(frames.next_line().is_some());
        assert!(frames.space().capacity() < KEEP);
    }
}

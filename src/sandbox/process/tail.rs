//! The end of a text stream, for error messages.

use bytes::{Buf, BytesMut};

use crate::sandbox::redact;

/// How much is kept, in bytes.
const KEPT: usize = 16 << 10;

/// The last 16 KiB of what was pushed.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: BytesMut,
    cut: bool,
}

impl Tail {
    /// Appends, and forgets what is too old.
    pub fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        // Moving the rest down is cheap if done once for many chunks.
        if self.bytes.len() > 2 * KEPT {
            self.shorten();
        }
    }

    /// Whole lines, as far as there are any, without colours and secrets.
    pub fn text(&mut self) -> String {
        self.shorten();
        let mut bytes = &self.bytes[..];
        if self.cut
            && let Some(newline) = memchr::memchr(b'\n', bytes)
        {
            bytes = &bytes[newline + 1..];
        }
        let text = String::from_utf8_lossy(bytes);
        let plain = anstream::adapter::strip_str(&text).to_string();
        redact::redact(plain.trim()).into_owned()
    }

    fn shorten(&mut self) {
        let surplus = self.bytes.len().saturating_sub(KEPT);
        self.cut |= surplus > 0;
        self.bytes.advance(surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_whole_lines_of_the_end() {
        let mut tail = Tail::default();
        for number in 0..10_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.len() < KEPT && text.len() > KEPT - 20);
        assert!(text.starts_with("line ") && text.ends_with("line 9999"));
        assert!(tail.bytes.capacity() <= 4 * KEPT);
    }

    #[test]
    fn text_is_plain() {
        let mut tail = Tail::default();
        tail.push(b"\x1b[31mkey_0123456789\x1b[0m \xff\n");
        assert_eq!(tail.text(), "[redacted] \u{fffd}");
    }
}

//! The bounds of a tool's text: 200 KB and 2,000 lines, and what is left out is said.

use std::collections::VecDeque;

/// The most bytes of a text.
pub(super) const BYTES: usize = 200_000;

/// The most lines of a text.
pub(super) const LINES: usize = 2_000;

/// A text that keeps its beginning and its end, each half of what there may be: a command says what
/// matters in its last lines.
#[derive(Debug, Default)]
pub(in crate::hands) struct Clip {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// How many bytes there were between them.
    lost: u64,
}

impl Clip {
    pub fn push(&mut self, bytes: &[u8]) {
        let room = (BYTES / 2).saturating_sub(self.head.len());
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        // Of a large piece only the end can stay.
        let skipped = rest.len().saturating_sub(BYTES / 2);
        self.lost += skipped as u64;
        self.tail.extend(&rest[skipped..]);
        let surplus = self.tail.len().saturating_sub(BYTES / 2);
        self.lost += surplus as u64;
        self.tail.drain(..surplus);
    }

    /// The text, with a line in the place of what is missing.
    pub fn text(mut self) -> String {
        let tail = self.tail.make_contiguous();
        if self.lost == 0 {
            let whole = [&self.head[..], tail].concat();
            return fewer_lines(&String::from_utf8_lossy(&whole));
        }
        let head = String::from_utf8_lossy(&self.head);
        let tail = String::from_utf8_lossy(tail);
        // The first line of the end is a piece of one.
        let tail = tail.split_once('\n').map_or(&*tail, |(_, rest)| rest);
        let lost = self.lost;
        fewer_lines(&format!(
            "{head}\n[... {lost} bytes are left out here ...]\n{tail}"
        ))
    }
}

/// The text without its middle, if it has too many lines.
fn fewer_lines(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.len() <= LINES {
        return text.to_owned();
    }
    let half = LINES / 2;
    let (head, rest) = lines.split_at(half);
    let (middle, tail) = rest.split_at(rest.len() - half);
    let head = head.concat();
    let head = head.trim_end_matches('\n');
    format!(
        "{head}\n[... {} lines are left out here ...]\n{}",
        middle.len(),
        tail.concat()
    )
}

/// Collects whole lines up to the bounds. False, and nothing is added, once they are reached.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// A note about the text itself may be added to it.
    pub text: String,
    count: usize,
}

impl Lines {
    pub fn push(&mut self, line: &str) -> bool {
        if self.count >= LINES || self.text.len() + line.len() >= BYTES {
            return false;
        }
        self.text.push_str(line);
        self.text.push('\n');
        self.count += 1;
        true
    }

    /// As many of these lines as have room; of those that have none, the note says how many there are.
    pub fn of(
        mut lines: impl ExactSizeIterator<Item = String>,
        note: impl Fn(usize) -> String,
    ) -> Self {
        let mut kept = Self::default();
        while let Some(line) = lines.next() {
            if !kept.push(&line) {
                kept.text.push_str(&note(lines.len() + 1));
                break;
            }
        }
        kept
    }

    /// The text, or `nothing` if it is empty.
    pub fn or(self, nothing: &str) -> String {
        match self.text.is_empty() {
            true => nothing.to_owned(),
            false => self.text,
        }
    }
}

/// The beginning of a line, with a mark if that is not all of it.
pub(in crate::hands) fn shorten(line: &str, most: usize) -> String {
    if line.len() <= most {
        return line.to_owned();
    }
    let end = (0..=most).rev().find(|at| line.is_char_boundary(*at));
    format!("{}[... cut]", &line[..end.unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_stay() {
        let mut clip = Clip::default();
        for number in 0..1_000_000 {
            clip.push(format!("{number}\n").as_bytes());
        }
        let text = clip.text();
        assert!(text.len() <= BYTES + 200, "{}", text.len());
        assert!(text.lines().count() <= LINES + 2);
        assert!(text.starts_with("0\n1\n") && text.ends_with("999999\n"));
        assert!(text.contains("lines are left out here"));
    }

    #[test]
    fn a_long_line_is_cut_too() {
        let mut clip = Clip::default();
        clip.push(&vec![b'x'; 3_000_000]);
        clip.push(b"\nend\n");
        let text = clip.text();
        assert!(text.len() <= BYTES + 200);
        assert!(text.contains("bytes are left out here") && text.ends_with("end\n"));
    }

    #[test]
    fn what_fits_is_untouched() {
        let mut clip = Clip::default();
        for _ in 0..LINES {
            clip.push(b"a\n");
        }
        assert_eq!(clip.text(), "a\n".repeat(LINES));
    }
}

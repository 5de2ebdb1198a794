//! Text that arrives in pieces, broken between words at the width of the terminal.

use std::os::fd::AsFd;

use anstyle::Style;

/// The columns of a terminal; `None` on a pipe.
pub(super) fn width_of(stream: &impl AsFd) -> Option<usize> {
    let size = terminal_size::terminal_size_of(stream);
    size.map(|(width, _)| usize::from(width.0))
}

/// A text that begins in column `indent`, where all its lines begin then.
pub(super) fn wrapped(text: &str, width: Option<usize>, indent: usize) -> String {
    let mut wrapped = Wrapped {
        width,
        ..Wrapped::new(indent, indent, Style::new())
    };
    let mut out = wrapped.wrap(text);
    wrapped.flush(&mut out);
    out
}

/// Prints text on stdout. On a pipe, lines stay as they are.
pub struct Wrapped {
    width: Option<usize>,
    indent: usize,
    column: usize,
    style: Style,
    /// Spaces before the next word, which are printed unless it starts a line.
    spaces: usize,
    /// A word whose end has not arrived.
    word: String,
}

impl Wrapped {
    /// Continues in `column`; every further line begins with `indent` spaces.
    pub fn new(column: usize, indent: usize, style: Style) -> Self {
        Self {
            width: width_of(&std::io::stdout()),
            indent,
            column,
            style,
            spaces: 0,
            word: String::new(),
        }
    }

    /// Whether somebody watches.
    pub fn is_on_terminal(&self) -> bool {
        self.width.is_some()
    }

    /// Prints all whole words of the text.
    pub fn text(&mut self, text: &str) {
        let printed = self.wrap(text);
        self.print(&printed);
    }

    /// Prints the last word, and ends the line.
    pub fn end(mut self) {
        let mut printed = String::new();
        self.flush(&mut printed);
        self.print(&printed);
        super::line("");
    }

    fn print(&self, text: &str) {
        if !text.is_empty() {
            let style = self.style;
            super::piece(format_args!("{style}{text}{style:#}"));
        }
    }

    fn wrap(&mut self, text: &str) -> String {
        if self.width.is_none() {
            return text.to_owned();
        }
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '\n' => {
                    self.flush(&mut out);
                    self.new_line(&mut out);
                }
                ' ' => {
                    self.flush(&mut out);
                    self.spaces += 1;
                }
                _ => self.word.push(c),
            }
        }
        out
    }

    fn flush(&mut self, out: &mut String) {
        if self.word.is_empty() {
            return;
        }
        let word = std::mem::take(&mut self.word);
        let length = word.chars().count();
        let end = self.column + self.spaces + length;
        if self.column > self.indent && self.width.is_some_and(|width| end > width) {
            self.new_line(out);
        }
        out.extend(std::iter::repeat_n(' ', self.spaces));
        out.push_str(&word);
        self.column += self.spaces + length;
        self.spaces = 0;
    }

    fn new_line(&mut self, out: &mut String) {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', self.indent));
        self.column = self.indent;
        self.spaces = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces(width: Option<usize>, pieces: &[&str]) -> String {
        let mut wrapped = Wrapped {
            width,
            ..Wrapped::new(3, 2, Style::new())
        };
        let mut out: String = pieces.iter().map(|piece| wrapped.wrap(piece)).collect();
        wrapped.flush(&mut out);
        out
    }

    #[test]
    fn lines_break_between_words() {
        for (width, pieces, expected) in [
            (
                Some(10),
                &["one two thr", "ee four"][..],
                "one two\n  three\n  four",
            ),
            (Some(10), &["a\n\nb"], "a\n  \n  b"),
            (
                Some(10),
                &["longer-than-the-line x"],
                "\n  longer-than-the-line\n  x",
            ),
            (
                None,
                &["one two three ", "four five\nsix"],
                "one two three four five\nsix",
            ),
        ] {
            assert_eq!(in_pieces(width, pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_message_is_broken_on_a_terminal_only() {
        let text = "cannot read the file";
        assert_eq!(
            wrapped(text, Some(16), 7),
            "cannot\n       read the\n       file"
        );
        assert_eq!(wrapped(text, None, 7), text);
    }
}

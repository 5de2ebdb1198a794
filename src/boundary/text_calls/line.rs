//! What has been seen of one line of Markdown: whether what comes next on it is code or a quotation.

/// Where a line stands. Feeding it in other pieces makes no difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LinePlace {
    /// How many bytes of white space it begins with.
    indent: usize,
    /// Whether it holds anything else.
    begun: bool,
    /// Whether all of it is a quotation or code.
    whole: bool,
    /// Whether an inline code span is open.
    span: bool,
}

impl LinePlace {
    /// Whether nothing of the line has been passed.
    pub(super) fn is_start(self) -> bool {
        self.indent == 0 && !self.begun && !self.whole
    }

    /// Whether what comes next is quoted.
    pub(super) fn is_quoted(self) -> bool {
        self.whole || self.span
    }

    /// The rest of the line is a quotation, whatever it is.
    pub(super) fn quote(&mut self) {
        self.whole = true;
    }

    /// Takes text that was passed on.
    pub(super) fn pass(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' => *self = Self::default(),
                ' ' | '\t' if !self.begun => {
                    self.indent += 1;
                    self.whole |= self.indent > 3;
                }
                _ => {
                    self.whole |= c == '>' && !self.begun;
                    self.begun = true;
                    self.span ^= c == '`';
                }
            }
        }
    }
}

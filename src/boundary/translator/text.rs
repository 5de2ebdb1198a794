//! What the agent says and thinks becomes deltas, and the calls in its text become calls.

use std::ops::ControlFlow::Continue;

use super::{Flow, Translator};
use crate::{
    boundary::{Source, text_calls::Piece},
    turn::Delta,
};

impl Translator {
    /// New answer text, which may hold calls.
    pub(super) fn text(&mut self, text: String, out: &mut Vec<Delta>) -> Flow {
        if text.is_empty() {
            return Continue(());
        }
        let pieces = self.recognizer.push(text, &self.decider);
        self.pieces(pieces, out)
    }

    /// What the recognizer made of the text.
    pub(super) fn pieces(
        &mut self,
        pieces: impl IntoIterator<Item = Piece>,
        out: &mut Vec<Delta>,
    ) -> Flow {
        for piece in pieces {
            match piece {
                // White space between two calls.
                Piece::Text(text) if self.batch.is_ready() && text.trim().is_empty() => {}
                Piece::Text(text) => {
                    self.close(out)?;
                    self.say(text, out);
                }
                Piece::Call(made) if self.refuses(&made) => {
                    return self.refuse(&made, out);
                }
                Piece::Call(made) => self.batch.push(Source::Text, made, None),
            }
        }
        Continue(())
    }

    /// New reasoning: the model's next word after a batch, which is then complete.
    pub(super) fn thought(&mut self, text: String, out: &mut Vec<Delta>) -> Flow {
        if !text.is_empty() {
            self.close(out)?;
            out.push(Delta::Reasoning(text));
        }
        Continue(())
    }

    /// A tool event: the text before it is complete.
    pub(super) fn tool_event(&mut self, out: &mut Vec<Delta>) -> Flow {
        self.segments.tool_event();
        self.thoughts.tool_event();
        let last = self.recognizer.interrupt(&self.decider);
        let step = self.pieces(last, out);
        self.release_text(out);
        step
    }

    /// Says why the run is stopped, in a paragraph of its own.
    pub(super) fn explain(&mut self, reason: &str, out: &mut Vec<Delta>) {
        self.explained = true;
        let space = if self.spoke { "\n\n" } else { "" };
        self.release_text(out);
        out.push(Delta::Text(format!("{space}{reason}")));
    }
}

//! Ends the text at a stop sequence or at its greatest length.

use crate::turn::{BYTES_PER_TOKEN, FinishReason, OutputRules};

/// Cuts a text that comes in pieces. Holds back only what could begin a stop sequence.
pub struct Cut {
    stop: Vec<String>,
    /// How many bytes may still be shown.
    room: usize,
    held: String,
}

impl Cut {
    pub fn new(shape: &OutputRules) -> Self {
        let room = shape.max_tokens.map_or(usize::MAX, |tokens| {
            usize::try_from(tokens.saturating_mul(BYTES_PER_TOKEN)).unwrap_or(usize::MAX)
        });
        Self {
            stop: shape.stop.clone(),
            room,
            held: String::new(),
        }
    }

    /// The text that may be shown after this piece, and why nothing follows it, if so.
    pub fn text(&mut self, piece: String) -> (String, Option<FinishReason>) {
        let mut text = if self.held.is_empty() {
            piece
        } else {
            std::mem::take(&mut self.held) + &piece
        };
        let mut reason = None;
        if let Some((at, stop)) = self.first_stop(&text) {
            text.truncate(at);
            reason = Some(FinishReason::StopSequence(stop.to_owned()));
        } else {
            self.held = text.split_off(text.len() - self.open_suffix(&text));
        }
        if self.shorten(&mut text) {
            reason = Some(FinishReason::Length);
        }
        if reason.is_some() {
            self.held.clear();
        }
        (text, reason)
    }

    /// What was held back: the text is over. `Some` if even that is too long.
    pub fn rest(&mut self) -> (String, Option<FinishReason>) {
        let mut text = std::mem::take(&mut self.held);
        let reason = self.shorten(&mut text).then_some(FinishReason::Length);
        (text, reason)
    }

    /// Shortens the text to the room that is left, and takes the room.
    fn shorten(&mut self, text: &mut String) -> bool {
        let is_long = text.len() > self.room;
        if is_long {
            let boundary = (0..=self.room).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(boundary.unwrap_or(0));
        }
        self.room -= text.len();
        is_long
    }

    /// The stop sequence that is complete first, which does not depend on how the text is split.
    fn first_stop(&self, text: &str) -> Option<(usize, &str)> {
        self.stop
            .iter()
            .filter_map(|stop| Some((text.find(stop.as_str())?, stop.as_str())))
            .min_by_key(|(at, stop)| (at + stop.len(), *at))
    }

    /// How many bytes at the end could be the beginning of a stop sequence.
    fn open_suffix(&self, text: &str) -> usize {
        self.stop
            .iter()
            .flat_map(|stop| {
                let lengths = stop.char_indices().map(|(at, _)| at).skip(1);
                lengths.filter(|length| text.ends_with(&stop[..*length]))
            })
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(stop: &[&str], max_tokens: Option<u64>) -> OutputRules {
        OutputRules {
            stop: stop.iter().map(|stop| (*stop).to_owned()).collect(),
            max_tokens,
            ..OutputRules::default()
        }
    }

    fn run(shape: &OutputRules, pieces: &[&str]) -> (String, Option<FinishReason>) {
        let mut cut = Cut::new(shape);
        let mut shown = String::new();
        for piece in pieces {
            let (text, reason) = cut.text((*piece).to_owned());
            shown += &text;
            if reason.is_some() {
                return (shown, reason);
            }
        }
        let (rest, reason) = cut.rest();
        (shown + &rest, reason)
    }

    fn stopped(stop: &str) -> Option<FinishReason> {
        Some(FinishReason::StopSequence(stop.to_owned()))
    }

    #[test]
    fn stops_also_where_deltas_meet() {
        let end = shape(&["END", "\n\n"], None);
        for (pieces, shown, reason) in [
            (vec!["one END two"], "one ", stopped("END")),
            (vec!["one E", "N", "D two"], "one ", stopped("END")),
            (vec!["one EN", "X"], "one ENX", None),
            (vec!["EEN", "D"], "E", stopped("END")),
            (vec!["one E"], "one E", None),
            (vec!["a\n", "\nEND"], "a", stopped("\n\n")),
            (vec!["END"], "", stopped("END")),
        ] {
            assert_eq!(run(&end, &pieces), (shown.to_owned(), reason), "{pieces:?}");
        }
    }

    #[test]
    fn only_what_could_go_on_is_held() {
        let mut cut = Cut::new(&shape(&["\n\nHuman:"], None));
        assert_eq!(cut.text("a\n".to_owned()).0, "a");
        assert_eq!(cut.text("b\n\nHu".to_owned()).0, "\nb");
        assert_eq!(cut.text("go".to_owned()).0, "\n\nHugo");
    }

    #[test]
    fn length_is_cut_between_characters() {
        let two = shape(&[], Some(2));
        assert_eq!(run(&two, &["12345678"]), ("12345678".to_owned(), None));
        for (pieces, shown) in [
            (vec!["123456789"], "12345678"),
            (vec!["1234", "5678", "9"], "12345678"),
            (vec!["1234567é"], "1234567"),
        ] {
            let wanted = (shown.to_owned(), Some(FinishReason::Length));
            assert_eq!(run(&two, &pieces), wanted, "{pieces:?}");
        }
    }

    #[test]
    fn a_stop_within_the_length_wins() {
        let both = shape(&["."], Some(1));
        assert_eq!(run(&both, &["ab.cdefg"]), ("ab".to_owned(), stopped(".")));
        let (shown, reason) = run(&both, &["abcdefg."]);
        assert_eq!(
            (shown.as_str(), reason),
            ("abcd", Some(FinishReason::Length))
        );
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            pieces in prop::collection::vec("[ab.é]{0,4}", 0..8),
            stop in prop::collection::vec("[ab.é]{1,4}", 0..3),
            max_tokens in prop::option::of(1_u64..6),
        ) {
            let shape = OutputRules { stop, max_tokens, ..OutputRules::default() };
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let whole = pieces.concat();
            let (shown, reason) = run(&shape, &pieces);
            prop_assert_eq!(&shown, &run(&shape, &[&whole]).0);
            prop_assert!(whole.starts_with(&shown));
            prop_assert!(!shape.stop.iter().any(|stop| shown.contains(stop.as_str())));
            prop_assert!(reason.is_some() || shown == whole);
        }
    }
}

//! The lines of which there are the most, read without parsing them: a few words of an answer or a
//! thought (SCHEMA 2). Only in the spelling that Cursor uses, without escapes; any other is for the parser.

use memchr::memchr2;

use crate::agent::AgentEvent;

/// What stands before the text and after it, up to the session's id, and what the text is.
type Spelling = (&'static [u8], &'static [u8], fn(String) -> AgentEvent);

const SPELLINGS: [Spelling; 2] = [
    (
        br#"{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":""#,
        br#""}]},"session_id":""#,
        AgentEvent::TextDelta,
    ),
    (
        br#"{"type":"thinking","subtype":"delta","text":""#,
        br#"","session_id":""#,
        AgentEvent::Thinking,
    ),
];

/// What stands after the session's id.
const STAMP: &[u8] = br#"","timestamp_ms":"#;

/// The event of a line that is spelled so, and holds some text.
pub(super) fn decode(line: &[u8]) -> Option<AgentEvent> {
    let spelled = |(head, middle, event): &Spelling| {
        let (text, rest) = until_quote(line.strip_prefix(*head)?)?;
        let (id, rest) = until_quote(rest.strip_prefix(*middle)?)?;
        let stamp = rest.strip_prefix(STAMP)?.strip_suffix(b"}")?;
        let is_number = stamp.first()? != &b'0' && stamp.iter().all(u8::is_ascii_digit);
        let is_plain = !text.iter().any(|byte| *byte < b' ') && id.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(text).ok()?;
        (is_number && is_plain && !text.is_empty()).then(|| event(text.to_owned()))
    };
    SPELLINGS.iter().find_map(spelled)
}

/// The rest of a string that holds no escape, and what begins with its closing quote.
fn until_quote(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr2(b'"', b'\\', rest)?;
    (rest[end] == b'"').then(|| rest.split_at(end))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::{super::decode::parse, *};

    fn line(nth: usize, text: &str, id: &str, stamp: &str) -> Vec<u8> {
        let (head, middle, _) = SPELLINGS[nth];
        let stamp = stamp.as_bytes();
        [
            head,
            text.as_bytes(),
            middle,
            id.as_bytes(),
            STAMP,
            stamp,
            b"}",
        ]
        .concat()
    }

    #[test]
    fn frequent_lines_need_no_parser() {
        for (nth, expected) in [
            AgentEvent::TextDelta("Grüße, ".to_owned()),
            AgentEvent::Thinking("Grüße, ".to_owned()),
        ]
        .into_iter()
        .enumerate()
        {
            let line = line(nth, "Grüße, ", "5e55-10n", "1795231213291");
            assert_eq!(decode(&line), Some(expected));
        }
    }

    proptest! {
        #[test]
        fn the_parser_reads_the_same(
            nth in 0..2usize,
            text in ".{0,8}",
            id in "[ -~é\"\\\\]{0,6}",
            stamp in "[0-9.e]{0,4}",
            at: prop::sample::Index,
            byte: Option<u8>,
        ) {
            let mut line = line(nth, &text, &id, &stamp);
            if let Some(byte) = byte {
                let at = at.index(line.len());
                line[at] = byte;
            }
            if let Some(event) = decode(&line) {
                let mut events = Vec::new();
                prop_assert_eq!(parse(&line, &mut events), None);
                prop_assert_eq!(events, [event]);
            }
        }
    }
}

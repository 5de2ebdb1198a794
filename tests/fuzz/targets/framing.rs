//! The agent's stdout, in any chunks: the same lines and events as in one piece, however long the
//! lines are, and never more held than a line may have.
//!
//! A byte `CUT` of the input is no content but the end of a chunk.

#![no_main]

use libfuzzer_sys::fuzz_target;
use open_cursor::{
    agent::{AgentEvent, print},
    sandbox::process::Frames,
};

const CUT: u8 = 0xff;

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Read {
    events: Vec<AgentEvent>,
    notes: Vec<String>,
    skipped: u64,
}

fn read(chunks: &[&[u8]], limit: usize) -> Read {
    let mut frames = Frames::with_limit(limit);
    let (mut events, mut notes) = (Vec::new(), Vec::new());
    for chunk in chunks {
        frames.space().extend_from_slice(chunk);
        while let Some(line) = frames.next_line() {
            assert!(line.len() <= limit);
            notes.extend(print::decode(line, &mut events));
        }
        assert!(
            frames.space().len() <= limit,
            "an unfinished line is kept beyond the limit"
        );
    }
    notes.extend(print::decode(&frames.finish(), &mut events));
    Read {
        events,
        notes,
        skipped: frames.skipped(),
    }
}

/// The same by the definition: what is between two newlines is a line.
fn by_definition(stream: &[u8], limit: usize) -> Read {
    let (mut events, mut notes, mut skipped) = (Vec::new(), Vec::new(), 0);
    for line in stream.split(|byte| *byte == b'\n') {
        if line.len() > limit {
            skipped += 1;
        } else {
            notes.extend(print::decode(line, &mut events));
        }
    }
    Read {
        events,
        notes,
        skipped,
    }
}

fuzz_target!(|input: &[u8]| {
    let chunks: Vec<&[u8]> = input.split(|byte| *byte == CUT).collect();
    let stream = chunks.concat();
    for limit in [64, 1 << 20] {
        let expected = by_definition(&stream, limit);
        assert_eq!(read(&[&stream], limit), expected);
        assert_eq!(read(&chunks, limit), expected);
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read(&bytes, 64), by_definition(&stream, 64));
});

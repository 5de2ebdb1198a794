use proptest::prelude::*;

use super::*;

/// One step of a run, as the agent may send it.
#[derive(Debug, Clone)]
enum Step {
    Delta(String),
    /// A recap of the deltas since the last recap (true) or since the last tool event (false).
    Recap(bool),
    Tool,
    /// A lost connection, after which the text since the last tool comes again.
    Replay,
}

fn said(segments: &mut Segments, out: &mut String, text: &str, whole: bool) {
    let new = match whole {
        true => segments.segment(text.to_owned(), false),
        false => segments.delta(text.to_owned()),
    };
    out.push_str(&new);
}

#[test]
fn the_shapes_of_the_schema() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        // Deltas and their final recap.
        (&[("d", "do"), ("d", "ne"), ("s", "done")], "done"),
        // Repeated tokens are not a recap.
        (&[("d", "**"), ("d", "**"), ("s", "****")], "****"),
        // Without partial output each line is a segment, even if two are equal.
        (&[("s", "OK"), ("t", ""), ("s", "OK")], "OKOK"),
        // No recap before the tool; the last one covers only what follows it.
        (&[("d", "a"), ("t", ""), ("d", "b"), ("s", "b")], "ab"),
        // A tool call without announcement: the recap merges both sides.
        (&[("d", "a"), ("t", ""), ("d", "b"), ("s", "ab")], "ab"),
        // Deltas without recap, then a segment that no delta announced.
        (&[("d", "a"), ("t", ""), ("s", "b")], "ab"),
        // A recap that says more than the deltas did.
        (&[("d", "a"), ("s", "abc")], "abc"),
        // An edited recap can't be taken back.
        (&[("d", "colour"), ("s", "color")], "colour"),
        // A recap that names its model request, and the same without; then a new segment.
        (&[("d", "a"), ("n", "a"), ("s", "a")], "a"),
        (&[("n", "a"), ("s", "a")], "a"),
        (&[("n", "a"), ("t", ""), ("s", "a")], "aa"),
        (&[("n", "a"), ("d", "a"), ("s", "a")], "aa"),
        // Empty deltas change nothing.
        (&[("d", ""), ("d", "x"), ("d", ""), ("s", "x")], "x"),
        // A replay after a retry, complete and then continued.
        (
            &[
                ("d", "one "),
                ("d", "two"),
                ("r", ""),
                ("d", "one"),
                ("d", " two three"),
            ],
            "one two three",
        ),
        // The model simply continues after a retry.
        (&[("d", "one "), ("r", ""), ("d", "two")], "one two"),
        // What looked like a replay and took another course is new.
        (&[("d", "ab"), ("r", ""), ("d", "a"), ("d", "c")], "abac"),
        // A replayed segment, whole.
        (&[("s", "one"), ("r", ""), ("s", "one")], "one"),
        (&[("s", "one"), ("r", ""), ("s", "two")], "onetwo"),
    ];
    for (steps, want) in cases {
        let mut segments = Segments::default();
        let mut out = String::new();
        for (kind, text) in *steps {
            match *kind {
                "d" => said(&mut segments, &mut out, text, false),
                "s" => said(&mut segments, &mut out, text, true),
                "n" => out.push_str(&segments.segment((*text).to_owned(), true)),
                "t" => segments.tool_event(),
                _ => segments.retrying(),
            }
        }
        assert_eq!(out, *want, "{steps:?}");
    }
}

#[test]
fn the_result_delivers_what_was_never_said() {
    let cases = [
        ("", "answer", "answer"),
        ("ans", "answer", "wer"),
        ("answer", "answer", ""),
        ("another", "answer", ""),
    ];
    for (before, result, want) in cases {
        let mut segments = Segments::default();
        segments.delta(before.to_owned());
        assert_eq!(segments.finish(result), want, "{before:?}");
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => "[ab*é]{0,3}".prop_map(Step::Delta),
        2 => any::<bool>().prop_map(Step::Recap),
        2 => Just(Step::Tool),
        1 => Just(Step::Replay),
    ]
}

proptest! {
    /// Whatever is recapped, replayed or interrupted: every delta is said exactly once.
    #[test]
    fn every_text_is_said_once(steps in prop::collection::vec(step(), 0..40)) {
        let mut segments = Segments::default();
        let (mut out, mut all, mut recent, mut since_tool) =
            (String::new(), String::new(), String::new(), String::new());
        for step in steps {
            match step {
                Step::Delta(text) => {
                    said(&mut segments, &mut out, &text, false);
                    all.push_str(&text);
                    recent.push_str(&text);
                    since_tool.push_str(&text);
                }
                // The agent recaps nothing where there is nothing to recap, and after a recap
                // counts from there.
                Step::Recap(wide) => {
                    let text = if wide || since_tool.len() > recent.len() { &recent } else { &since_tool };
                    let nothing = text.is_empty() || (wide && since_tool.is_empty());
                    if !nothing {
                        said(&mut segments, &mut out, &text.clone(), true);
                        recent.clear();
                    }
                }
                Step::Tool => {
                    segments.tool_event();
                    since_tool.clear();
                }
                Step::Replay => {
                    segments.retrying();
                    for part in since_tool.split_inclusive('a') {
                        said(&mut segments, &mut out, part, false);
                    }
                }
            }
            prop_assert_eq!(&out, &all);
        }
        let mut result = all.clone();
        result.push_str("end");
        if !segments.replayed {
            out.push_str(&segments.finish(&result));
            prop_assert_eq!(out, result);
        }
    }

    /// Without partial output every line is a segment of its own.
    #[test]
    fn segments_without_deltas_all_count(
        parts in prop::collection::vec(("[ab]{0,3}", any::<bool>()), 0..20),
    ) {
        let mut segments = Segments::default();
        let (mut out, mut all) = (String::new(), String::new());
        for (text, tool) in parts {
            said(&mut segments, &mut out, &text, true);
            all.push_str(&text);
            if tool {
                segments.tool_event();
            }
        }
        prop_assert_eq!(segments.finish(&all), "");
        prop_assert_eq!(out, all);
    }
}

/// What lets through of the steps, and what it should have.
fn run(mut segments: Segments, steps: &[Step]) -> (String, String) {
    let (mut out, mut all) = (String::new(), String::new());
    let (mut recapped, mut tool) = (0, 0);
    for step in steps {
        match step {
            Step::Delta(text) => {
                all.push_str(text);
                said(&mut segments, &mut out, text, false);
            }
            Step::Recap(wide) => {
                let start = if *wide { recapped } else { recapped.max(tool) };
                let text = all[start..].to_owned();
                if !text.is_empty() {
                    said(&mut segments, &mut out, &text, true);
                    recapped = all.len();
                }
            }
            Step::Tool => {
                segments.tool_event();
                tool = all.len();
            }
            Step::Replay => {}
        }
    }
    out.push_str(&segments.finish(&all));
    (out, all)
}

proptest! {
    /// A stretch that is too long to keep is known by its hash all the same.
    #[test]
    fn long_texts_are_said_once_too(
        steps in prop::collection::vec(step(), 0..40),
        keep in 0usize..20,
    ) {
        let (out, all) = run(Segments::keeping(keep), &steps);
        prop_assert_eq!(out, all);
    }
}

#[test]
fn memory_is_bounded_whatever_the_answer() {
    let mut segments = Segments::default();
    for _ in 0..10_000 {
        segments.delta("0123456789".repeat(100));
    }
    assert!(segments.said.capacity() <= 2 * KEEP);
    assert_eq!(segments.segment("0123456789".repeat(1_000_000), false), "");
    segments.tool_event();
    assert_eq!(segments.segment("next".to_owned(), false), "next");
    segments.retrying();
    assert_eq!(segments.delta("ne".to_owned()), "");
}

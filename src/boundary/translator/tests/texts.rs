//! Calls that the answer's text holds.

use super::*;

#[test]
fn calls_from_text_end_the_turn_like_native_ones() {
    let answer = format!("Two cities.\n{}\n{}\n", written("Oslo"), written("Bergen"));
    let mut boundary = Translator::new(
        &with_weather(),
        Path::new(WORKSPACE),
        &BoundaryOptions::default(),
    );
    let mut out = Vec::new();
    for part in answer.split_inclusive('"') {
        // More calls may follow: the engine is not to settle.
        assert_eq!(boundary.on_event(text(part), &mut out), Verdict::Continue);
    }
    let recap = AgentEvent::TextSegment {
        text: answer.clone(),
        before_tools: false,
    };
    assert_eq!(boundary.on_event(recap, &mut out), Verdict::Continue);
    let made = made(boundary.on_event(finished(&answer), &mut out));
    let cities: Vec<&Value> = made.iter().map(|(_, args)| &args["city"]).collect();
    assert_eq!(cities, ["Oslo", "Bergen"]);
    assert_eq!(crate::boundary::testing::text_of(&out), "Two cities.\n");
}

#[test]
fn what_follows_a_call_in_the_text_ends_the_turn() {
    let events = [
        text(&format!("{}\nThe weather is", written("Oslo"))),
        text(" fine."),
        finished(""),
    ];
    let outcome = run(&with_weather(), &BoundaryOptions::default(), events);
    assert_eq!((outcome.text().as_str(), outcome.calls().len()), ("", 1));
    assert!(tool_calls(&outcome));
}

#[test]
fn native_calls_join_those_from_the_text() {
    let events = [
        text(&written("Oslo")),
        started("shell", "a", json!({"command": "ls"})),
        started("read", "b", json!({"path": "/a"})),
    ];
    let outcome = run(&with_weather(), &BoundaryOptions::default(), events);
    assert_eq!(outcome.calls().len(), 3);
}

#[test]
fn an_answer_only_in_the_result_is_read_as_well() {
    let outcome = run(
        &with_weather(),
        &BoundaryOptions::default(),
        [finished(&written("Oslo"))],
    );
    assert_eq!((outcome.text().as_str(), outcome.calls().len()), ("", 1));
    let outcome = run(
        &with_weather(),
        &BoundaryOptions::default(),
        [finished("Hello.")],
    );
    assert_eq!(outcome.text(), "Hello.");
}

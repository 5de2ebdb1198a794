use serde_json::json;

use super::*;
use crate::turn::{Format, OutputRules, ToolCall, ToolSpec};

fn shaper(format: Format) -> Shaper {
    shaped(OutputRules {
        format,
        ..OutputRules::default()
    })
}

fn shaped(output: OutputRules) -> Shaper {
    let turn = Turn {
        output,
        ..Turn::default()
    };
    Shaper::new(&turn).unwrap()
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn finished(input: u64) -> TurnEnd {
    let usage = Usage {
        input,
        ..Usage::default()
    };
    TurnEnd::finished(FinishReason::Stop, Some(usage))
}

/// Feeds deltas; what is shown.
fn feed(shaper: &mut Shaper, deltas: &[Delta]) -> Vec<TurnEvent> {
    let mut out = Vec::new();
    for delta in deltas {
        assert_eq!(shaper.delta(delta.clone(), &mut out), None);
    }
    out
}

fn shown(deltas: &[Delta]) -> Vec<TurnEvent> {
    deltas.iter().cloned().map(TurnEvent::Delta).collect()
}

#[test]
fn json_is_shown_when_it_is_whole() {
    let mut shaper = shaper(Format::JsonObject);
    let mut out = feed(&mut shaper, &[text("```json\n{\"a\""), text(": 1}\n```")]);
    assert_eq!(out, []);
    assert_eq!(shaper.end(finished(1), &mut out), Next::End(finished(1)));
    assert_eq!(out, shown(&[text("{\"a\": 1}")]));
}

#[test]
fn one_more_try_and_the_cost_of_both() {
    let mut shaper = shaper(Format::JsonObject);
    assert!(shaper.may_repeat());
    let mut out = feed(&mut shaper, &[text("Sure!")]);
    let Next::Again([answer, complaint]) = shaper.end(finished(1), &mut out) else {
        panic!("accepted");
    };
    assert_eq!(answer, Message::text(Role::Assistant, "Sure!"));
    assert_eq!(complaint.role, Role::User);
    assert!(out.is_empty() && !shaper.may_repeat());
    out = feed(&mut shaper, &[text("{}")]);
    assert_eq!(shaper.end(finished(2), &mut out), Next::End(finished(3)));
    assert_eq!(out, shown(&[text("{}")]));
}

#[test]
fn the_second_failure_is_an_error_with_the_text() {
    let mut shaper = shaper(Format::JsonSchema(json!({"type": "array"})));
    let mut out = feed(&mut shaper, &[text("{}")]);
    assert!(matches!(shaper.end(finished(1), &mut out), Next::Again(_)));
    out = feed(&mut shaper, &[text("{\"still\": \"wrong\"}")]);
    let Next::End(end) = shaper.end(finished(1), &mut out) else {
        panic!("a third try");
    };
    let error = end.outcome.unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadAnswer);
    assert!(
        error.message.contains("{\"still\": \"wrong\"}"),
        "{}",
        error.message
    );
    assert_eq!(out, []);
}

#[test]
fn calls_and_reasoning_pass_and_text_beside_calls_may_be_any() {
    let call = Delta::ToolCall(Box::new(ToolCall {
        id: "c".to_owned(),
        name: "read".to_owned(),
        arguments: "{}".to_owned(),
    }));
    let reasoning = Delta::Reasoning("hm".to_owned());
    let mut shaper = shaper(Format::JsonObject);
    let mut out = feed(
        &mut shaper,
        &[text("I will look."), reasoning.clone(), call.clone()],
    );
    let end = TurnEnd::finished(FinishReason::ToolCalls, None);
    assert_eq!(shaper.end(end.clone(), &mut out), Next::End(end));
    assert_eq!(out, shown(&[reasoning, text("I will look."), call]));
}

#[test]
fn what_is_cut_or_broken_off_is_shown_as_it_is() {
    let shape = OutputRules {
        max_tokens: Some(1),
        format: Format::JsonObject,
        ..OutputRules::default()
    };
    let mut shaper = shaped(shape);
    let mut out = Vec::new();
    let reason = shaper.delta(text("{\"a\": 1}"), &mut out).unwrap();
    assert_eq!(reason, FinishReason::Length);
    let end = TurnEnd::finished(reason, None);
    assert_eq!(shaper.end(end.clone(), &mut out), Next::End(end));
    assert_eq!(out, shown(&[text("{\"a\"")]));

    let mut shaper = super::tests::shaper(Format::JsonObject);
    let mut out = feed(&mut shaper, &[text("{\"a\"")]);
    let end = TurnEnd::failed(TurnError::new(ErrorKind::AgentFailed, "died"));
    assert_eq!(shaper.end(end.clone(), &mut out), Next::End(end));
    assert_eq!(out, shown(&[text("{\"a\"")]));
}

#[test]
fn a_held_suffix_is_shown_at_the_end() {
    let shape = OutputRules {
        stop: vec!["END".to_owned()],
        ..OutputRules::default()
    };
    let mut shaper = shaped(shape);
    let mut out = feed(&mut shaper, &[text("the E")]);
    assert_eq!(out, shown(&[text("the ")]));
    assert_eq!(shaper.end(finished(1), &mut out), Next::End(finished(1)));
    assert_eq!(out, shown(&[text("the "), text("E")]));
}

fn demanding(choice: ToolChoice) -> Shaper {
    let read = ToolSpec {
        name: "read".to_owned(),
        description: String::new(),
        schema: json!({"type": "object"}).into(),
    };
    let turn = Turn {
        tools: vec![read],
        tool_choice: choice,
        ..Turn::default()
    };
    Shaper::new(&turn).unwrap()
}

#[test]
fn a_demanded_call_is_asked_for_once_more() {
    let mut shaper = demanding(ToolChoice::Named(vec!["read".to_owned()]));
    let mut out = feed(&mut shaper, &[text("I'd rather talk.")]);
    let Next::Again([_, complaint]) = shaper.end(finished(1), &mut out) else {
        panic!("accepted");
    };
    assert!(format!("{complaint:?}").contains("Call read now."));
    assert_eq!(out, []);
    out = feed(&mut shaper, &[text("No.")]);
    let Next::End(end) = shaper.end(finished(2), &mut out) else {
        panic!("a third try");
    };
    let error = end.outcome.unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadAnswer);
    assert!(error.message.contains("tool_choice") && error.message.contains("No."));
}

#[test]
fn the_text_beside_a_demanded_call_is_kept() {
    let call = Delta::ToolCall(Box::new(ToolCall {
        id: "1".to_owned(),
        name: "read".to_owned(),
        arguments: "{}".to_owned(),
    }));
    let mut shaper = demanding(ToolChoice::Required);
    let mut out = feed(&mut shaper, &[text("Reading."), call.clone()]);
    let end = TurnEnd::finished(FinishReason::ToolCalls, None);
    assert_eq!(shaper.end(end.clone(), &mut out), Next::End(end));
    assert_eq!(out, shown(&[text("Reading."), call]));
}

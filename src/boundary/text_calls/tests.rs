use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::boundary::BoundaryOptions;
use crate::boundary::testing::{WORKSPACE, opencode, tool, turn};
use crate::turn::{ToolChoice, Turn};

fn decider() -> Decider {
    decider_for(&with_weather())
}

fn decider_for(turn: &Turn) -> Decider {
    let workspace = std::path::Path::new(WORKSPACE);
    Decider::new(turn, workspace, &BoundaryOptions::default())
}

fn with_weather() -> Turn {
    let mut tools = opencode();
    tools.push(tool(
        "get_weather",
        "",
        json!({"city": {"type": "string"}, "days": {"type": "integer"}}),
        &["city"],
    ));
    turn(tools)
}

/// The text and the calls that come of an answer given in these parts.
fn read(mode: TextCalls, parts: &[&str]) -> (String, Vec<(String, Value)>) {
    read_for(&decider(), mode, parts)
}

fn read_for(decider: &Decider, mode: TextCalls, parts: &[&str]) -> (String, Vec<(String, Value)>) {
    let mut recognizer = Recognizer::new(mode, true);
    let mut pieces: Vec<Piece> = parts
        .iter()
        .flat_map(|part| recognizer.push((*part).to_owned(), decider))
        .collect();
    pieces.extend(recognizer.finish(decider));
    let (mut text, mut calls) = (String::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Call(made) => calls.push((made.name, Value::Object(made.arguments))),
        }
    }
    (text, calls)
}

fn weather(city: &str) -> (String, Value) {
    ("get_weather".to_owned(), json!({ "city": city }))
}

type Calls = Vec<(String, Value)>;

/// An answer, the text that is left of it, and its calls.
type Case = (String, &'static str, Calls);

fn lenient() -> Vec<Case> {
    let bergen = || vec![weather("Bergen")];
    let file = |path: &str, content: &str| {
        vec![(
            "write".to_owned(),
            json!({"filePath": format!("/home/ada/engine/{path}"), "content": content}),
        )]
    };
    let cases: Vec<(&str, &'static str, Calls)> = vec![
        // Claude's style, plain and with a namespace, several in one.
        (
            "I look.\n<function_calls>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Bergen</parameter>\n</invoke>\n</function_calls>",
            "I look.\n",
            bergen(),
        ),
        (
            "<x:function_calls><x:invoke name=\"get_weather\"><x:parameter name=\"city\">Bergen</x:parameter></x:invoke></x:function_calls>",
            "",
            bergen(),
        ),
        (
            "<invoke name=\"get_weather\">\n<parameter name=\"city\">Bergen</parameter>\n<parameter name=\"days\">3</parameter></invoke>",
            "",
            vec![(
                "get_weather".to_owned(),
                json!({"city": "Bergen", "days": 3}),
            )],
        ),
        (
            "<function_calls><invoke name=\"get_weather\"><parameter name=\"city\">Oslo</parameter></invoke>\n<invoke name=\"get_weather\"><parameter name=\"city\">Bergen</parameter></invoke></function_calls>",
            "",
            vec![weather("Oslo"), weather("Bergen")],
        ),
        // Cline's style, under its names.
        (
            "<read_file>\n<path>src/a.rs</path>\n</read_file>",
            "",
            vec![(
                "read".to_owned(),
                json!({"filePath": "/home/ada/engine/src/a.rs"}),
            )],
        ),
        (
            "<write_to_file><path>a.html</path><content>\n<p>1 < 2 && \"x\"</p>\n<content>y</content>!\n</content></write_to_file>",
            "",
            file("a.html", "<p>1 < 2 && \"x\"</p>\n<content>y</content>!\n"),
        ),
        (
            "<write_to_file><path>a</path><content><![CDATA[ <b> ]]></content></write_to_file>",
            "",
            file("a", " <b> "),
        ),
        (
            "<write_to_file><path>a</path><content>\nsee </write_to_file>\nend\n</content></write_to_file>",
            "",
            file("a", "see </write_to_file>\nend\n"),
        ),
        (
            "<execute_command>\n<command>ls -l</command>\n<requires_approval>false</requires_approval>\n</execute_command>",
            "",
            vec![(
                "bash".to_owned(),
                json!({"command": "ls -l", "requires_approval": "false"}),
            )],
        ),
        (
            "<search_files><path>src</path><regex>TODO</regex><file_pattern>*.rs</file_pattern></search_files>",
            "",
            vec![(
                "grep".to_owned(),
                json!({"path": "src", "pattern": "TODO", "include": "*.rs"}),
            )],
        ),
        (
            "<list_files><path>src</path></list_files>",
            "",
            vec![(
                "read".to_owned(),
                json!({"filePath": "/home/ada/engine/src"}),
            )],
        ),
        (
            "<replace_in_file><path>a</path><diff>\n------- SEARCH\none\n=======\ntwo\n+++++++ REPLACE\n</diff></replace_in_file>",
            "",
            vec![(
                "edit".to_owned(),
                json!({"filePath": "/home/ada/engine/a", "oldString": "one", "newString": "two"}),
            )],
        ),
        (
            "<ask_followup_question><question>Which?</question></ask_followup_question>",
            "",
            vec![(
                "question".to_owned(),
                json!({"questions": [{"question": "Which?", "header": "Which?", "options": [], "multiple": false}]}),
            )],
        ),
        (
            "<attempt_completion>\n<result>\nAll done.\n</result>\n</attempt_completion>",
            "All done.",
            vec![],
        ),
        // Fenced JSON: as the whole answer, or under its name.
        (
            "```json\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bergen\"}}\n```\n",
            "",
            bergen(),
        ),
        (
            "So:\n```tool_call\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bergen\"}}\n```",
            "So:\n",
            bergen(),
        ),
        // Behind text on its line, at the end.
        (
            "In a sentence: <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bergen\"}}</tool_call>",
            "In a sentence:",
            bergen(),
        ),
        (
            "1 < 2, so `x`: <tool_call>{\"name\": \"get_weather\",\n\"arguments\": {\"city\": \"Bergen\"}}\n</tool_call>\n\n",
            "1 < 2, so `x`:",
            bergen(),
        ),
        (
            "- <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}</tool_call> <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bergen\"}}</tool_call><tool_call>[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bodø\"}}]</tool_call>\n",
            "-",
            vec![weather("Oslo"), weather("Bergen"), weather("Bodø")],
        ),
        // JSON alone.
        (
            "\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bergen\"}}\n",
            "",
            bergen(),
        ),
        (
            "{\n  \"tool\": \"get_weather\",\n  \"parameters\": {\"city\": \"Bergen\"}\n}",
            "",
            bergen(),
        ),
        // As transcripts show it.
        (
            "[Called tool: get_weather({\"city\": \"Bergen\"})]",
            "",
            bergen(),
        ),
    ];
    cases
        .into_iter()
        .map(|(answer, text, calls)| (answer.to_owned(), text, calls))
        .collect()
}

fn strict() -> Vec<Case> {
    let call = |city: &str| {
        format!(
            "<tool_call>{{\"name\": \"get_weather\", \"arguments\": {{\"city\": \"{city}\"}}}}</tool_call>"
        )
    };
    vec![
        (call("Bergen"), "", vec![weather("Bergen")]),
        (format!("Let me see.\n\n{}", call("Bergen")), "Let me see.\n\n", vec![weather("Bergen")]),
        (format!("{}\n{}{}", call("Oslo"), call("Bergen"), call("Bodø")), "\n", vec![weather("Oslo"), weather("Bergen"), weather("Bodø")]),
        ("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"</tool_call>\"}}\n</tool_call>".to_owned(), "", vec![weather("</tool_call>")]),
        ("  <tool_call> {\"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\": \\\"Oslo\\\"}\"} </tool_call>".to_owned(), "", vec![weather("Oslo")]),
        ("<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"a\nb\"}}</tool_call>".to_owned(), "", vec![weather("a\nb")]),
        ("<tool_call>[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}]</tool_call>".to_owned(), "", vec![weather("Oslo")]),
        // What does not fit goes to the client, which says so to the model.
        ("<tool_call>{\"name\": \"get_weather\", \"arguments\": {}}</tool_call>".to_owned(), "", vec![("get_weather".to_owned(), json!({}))]),
    ]
}

/// Answers that hold no call.
const TEXTS: &[&str] = &[
    "",
    "Plain text with 1 < 2 and a > b.",
    "To call a tool, write `<tool_call>{\"name\": \"get_weather\", \"arguments\": {}}</tool_call>`.",
    "In a sentence: <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call> is a call.",
    "In a sentence: <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call>\nThat was a call.",
    "In a sentence: <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"town\": \"x\"}}</tool_call>",
    "In a sentence: <tool_call>{\"name\": \"launch_rocket\", \"arguments\": {}}</tool_call>",
    "In a sentence: <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call> <tool_call>",
    "First `<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call>`",
    "First `<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call>",
    "> Said: <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call>",
    "```\nSaid: <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call>",
    "      Said: <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call>",
    "Now <tool_",
    "> <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call>",
    "    <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call>",
    "```\n<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}</tool_call>\n```",
    "~~~xml\n<read_file>\n<path>a</path>\n</read_file>\n~~~\nThat is Cline's way.",
    "````md\n```\n<read_file><path>a</path></read_file>\n```\n<read_file><path>a</path></read_file>\n````\n",
    // Not closed, not offered, not JSON.
    "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}",
    "<tool_call>{\"name\": \"get_weather\"",
    "<tool_call>{\"name\": \"launch_rocket\", \"arguments\": {}}</tool_call>",
    "<tool_call>{name: get_weather}</tool_call>\nand on",
    "<tool_call> is the tag.\nUse it well.",
    "<tool_call",
    "<",
    "``",
    // Markup that is none of ours.
    "<div>\n<p>Hello</p>\n</div>\n",
    "<task>\n<title>Buy milk</title>\n</task>\n",
    "<read_file> reads a file.\n",
    "<read_file>\n<nothing/>\n</read_file>\n",
    "<function_calls>\nare how Claude calls.\n",
    "<invoke name=\"launch_rocket\"><parameter name=\"x\">1</parameter></invoke>",
    "<write_to_file><path>a</path></write_to_file>\nlacks its content.",
    "<bash>\n",
    "<edit>x</edit>",
    // JSON that is shown, not called.
    "For example:\n```json\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}\n```",
    "```json\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}\n```\nis how you would call it.",
    "```json\n{\"name\": \"my-package\", \"version\": \"1.0\"}\n```",
    "```\n{\"a\": 1}\n```",
    "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}} is a call.",
    "{\"name\": \"get_weather\", \"arguments\": {\"town\": \"Oslo\"}}",
    "{\"name\": \"my-package\", \"version\": \"1.0\"}",
    "{\"city\": \"Oslo\"}",
    "{\"name\"",
    "So:\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}",
    "```tool_call\nnot json\n```\n",
    "[Called tool: launch_rocket({})]",
    "[Called tool: get_weather] and then [more](x)",
    "[link](https://example.com)",
];

#[test]
fn the_protocol_is_recovered_in_both_modes() {
    for (answer, text, calls) in strict() {
        for mode in [TextCalls::Strict, TextCalls::Lenient] {
            let (got, made) = read(mode, &[&answer]);
            assert_eq!(
                (got.trim_start_matches(' '), made),
                (text, calls.clone()),
                "{answer}"
            );
        }
    }
}

#[test]
fn other_forms_are_recovered_in_lenient_mode_only() {
    for (answer, text, calls) in lenient() {
        let (got, made) = read(TextCalls::Lenient, &[&answer]);
        assert_eq!((got.trim(), made), (text.trim(), calls), "{answer}");
        assert_eq!(
            read(TextCalls::Strict, &[&answer]),
            (answer.clone(), vec![])
        );
        assert_eq!(read(TextCalls::Off, &[&answer]), (answer, vec![]));
    }
}

#[test]
fn quoted_and_explained_markup_stays_text() {
    for answer in TEXTS {
        assert_eq!(
            read(TextCalls::Lenient, &[answer]),
            ((*answer).to_owned(), vec![])
        );
    }
}

#[test]
fn a_forced_call_may_be_its_arguments_alone() {
    let mut turn = with_weather();
    turn.tool_choice = ToolChoice::Named(vec!["get_weather".to_owned()]);
    let forced = decider_for(&turn);
    for (answer, is_call) in [
        ("{\"city\": \"Oslo\"}", true),
        ("```json\n{\"city\": \"Oslo\", \"days\": 2}\n```\n", true),
        (
            "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}",
            true,
        ),
        ("{\"town\": \"Oslo\"}", false),
        ("{\"city\": \"Oslo\"} it is", false),
        ("It is {\"city\": \"Oslo\"}", false),
    ] {
        let chars: Vec<&str> = answer.split_inclusive(|_| true).collect();
        for parts in [&[answer][..], &chars] {
            let (text, calls) = read_for(&forced, TextCalls::Lenient, parts);
            assert_eq!(calls.len(), usize::from(is_call), "{answer}");
            assert_eq!(text.trim(), if is_call { "" } else { answer });
            assert_eq!(read_for(&forced, TextCalls::Strict, parts).1, []);
        }
    }
    // With several tools it is not known which one is meant.
    turn.tool_choice = ToolChoice::Required;
    let answer = "{\"city\": \"Oslo\"}";
    assert_eq!(
        read_for(&decider_for(&turn), TextCalls::Lenient, &[answer]),
        (answer.to_owned(), vec![])
    );
}

#[test]
fn a_call_behind_text_may_be_followed_by_a_tool_of_the_agent() {
    let decider = decider();
    let mut recognizer = Recognizer::new(TextCalls::Lenient, true);
    let call =
        "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}</tool_call>";
    assert_eq!(
        recognizer.push(format!("So {call}"), &decider),
        [Piece::Text("So ".to_owned())]
    );
    assert!(matches!(
        recognizer.interrupt(&decider).as_slice(),
        [Piece::Call(_)]
    ));
}

#[test]
fn text_is_held_back_only_while_it_may_begin_a_block() {
    let decider = decider();
    let mut recognizer = Recognizer::new(TextCalls::Lenient, true);
    let text = |text: &str| vec![Piece::Text(text.to_owned())];
    assert_eq!(
        recognizer.push("Hello <tool".to_owned(), &decider),
        text("Hello ")
    );
    assert_eq!(recognizer.push("\n<".to_owned(), &decider), text("<tool\n"));
    assert_eq!(recognizer.push("tool_".to_owned(), &decider), []);
    assert_eq!(recognizer.push("box".to_owned(), &decider), []);
    assert_eq!(
        recognizer.push("> now".to_owned(), &decider),
        text("<tool_box> now")
    );
    assert_eq!(recognizer.push(" and".to_owned(), &decider), text(" and"));
    assert_eq!(
        recognizer.push("\n```rust\nlet".to_owned(), &decider),
        text("\n```rust\nlet")
    );
    assert_eq!(
        recognizer.push(" x;\n<tool_call>{".to_owned(), &decider),
        text(" x;\n<tool_call>{")
    );
}

#[test]
fn a_tool_of_the_agent_ends_what_was_held() {
    let decider = decider();
    let mut recognizer = Recognizer::new(TextCalls::Lenient, true);
    recognizer.push("<tool_call>{\"name\"".to_owned(), &decider);
    assert_eq!(
        recognizer.interrupt(&decider),
        [Piece::Text("<tool_call>{\"name\"".to_owned())]
    );
}

fn split<'a>(text: &'a str, cuts: &[prop::sample::Index]) -> Vec<&'a str> {
    let mut cuts: Vec<usize> = cuts
        .iter()
        .map(|cut| cut.index(text.len() + 1))
        .filter(|at| text.is_char_boundary(*at))
        .collect();
    cuts.sort_unstable();
    let mut parts = Vec::new();
    let mut from = 0;
    for cut in cuts.into_iter().chain([text.len()]) {
        parts.push(&text[from..cut]);
        from = cut;
    }
    parts
}

/// Answers that could come out differently by the character: the first was found by fuzzing, the
/// others by reading on from there.
#[test]
fn no_split_decides_what_a_call_is() {
    let invoke = "<parameter name=\"city\">Oslo</parameter></invoke>";
    let call = "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}";
    let wide = " ".repeat(300);
    let marks = "`".repeat(300);
    for answer in [
        format!("a <tool_call>{call} b <tool_call>{call}</tool_call>"),
        format!("a <tool_call>{call}</tool_call> b <tool_call>{call}</tool_call>"),
        format!("<tool_call>{{}} x</tool_call> <tool_call>{call}</tool_call>"),
        format!("<tool_call> is {{}} <tool_call>{call}</tool_call>"),
        format!("a <tool_call>{}{call}</tool_call>", "\n".repeat(9000)),
        format!("`a` <tool_call>{call}</tool_call>{}", "\n".repeat(300)),
        format!("<tool_call>{call} `\n<tool_call>{call}</tool_call> `x"),
        format!("<invoke\tname=\"get_weather\">{invoke}"),
        format!("<invoke {wide}name=\"get_weather\">{invoke}"),
        format!("<invoke name=\"get_weather\" a=\"(é)\">{invoke}"),
        format!("```{wide}tool_call\n{call}\n```\n"),
        format!("```\n```{wide}x\n<tool_call>{call}</tool_call>"),
        format!(
            "{marks}\n<tool_call>{call}</tool_call>\n{}\n",
            "`".repeat(280)
        ),
        format!("    no call\n```json\n{call}\n```"),
        format!("<tool_call>{}{call}</tool_call>", "\n".repeat(9000)),
        format!("```json\n{{{}\"name\"{}: 1}}\n```", "\n".repeat(9000), wide),
    ] {
        let chars: Vec<&str> = answer.split_inclusive(|_| true).collect();
        for mode in [TextCalls::Strict, TextCalls::Lenient] {
            let start = answer.get(..40).unwrap_or(&answer);
            assert_eq!(read(mode, &chars), read(mode, &[&answer]), "{start}");
        }
    }
}

proptest! {
    /// However an answer is split, it comes to the same.
    #[test]
    fn splits_change_nothing(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let answers: Vec<String> = strict().into_iter().chain(lenient()).map(|(answer, ..)| answer)
            .chain(TEXTS.iter().map(|text| (*text).to_owned()))
            .collect();
        let parts: Vec<&str> = picks.iter().map(|pick| pick.get(&answers).as_str()).collect();
        let answer = parts.join("\n");
        for mode in [TextCalls::Strict, TextCalls::Lenient] {
            prop_assert_eq!(read(mode, &split(&answer, &cuts)), read(mode, &[&answer]));
        }
    }

    /// Text without calls comes out as it went in.
    #[test]
    fn other_text_is_untouched(
        text in "([<>/`~{}\\[\\]\n \":a]|<tool_call>|</tool_call>|```|<bash>|<command>|\\{\"name\":|é){0,40}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (got, calls) = read(TextCalls::Lenient, &split(&text, &cuts));
        prop_assert!(!calls.is_empty() || got == text, "{:?} became {:?}", text, got);
    }

    #[test]
    fn every_byte_is_a_place_to_split(pick in any::<prop::sample::Index>()) {
        let all: Vec<String> = strict().into_iter().chain(lenient()).map(|(answer, ..)| answer).collect();
        let answer = pick.get(&all);
        let want = read(TextCalls::Lenient, &[answer]);
        let chars: Vec<&str> = answer.split_inclusive(|_| true).collect();
        prop_assert_eq!(read(TextCalls::Lenient, &chars), want);
    }
}

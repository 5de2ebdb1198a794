use serde_json::json;

use super::*;
use crate::turn::{Attachment, ToolCall, ToolChoice, ToolResult};

const HERE: &str = "/project";

fn user(text: &str) -> Message {
    Message::text(Role::User, text)
}

fn assistant(text: &str) -> Message {
    Message::text(Role::Assistant, text)
}

fn turn(messages: &[Message]) -> Turn {
    Turn {
        messages: messages.to_vec(),
        ..Turn::default()
    }
}

/// A run on this turn that answers in these pieces makes its chat known.
fn answered(sessions: &Sessions, turn: &Turn, chat: &str, pieces: &[&str]) {
    let mut note = sessions.note(turn, Path::new(HERE), "auto").unwrap();
    for piece in pieces {
        note.delta(&Delta::Reasoning("hm".to_owned()));
        note.delta(&Delta::Text((*piece).to_owned()));
    }
    sessions.learn(chat.to_owned(), note);
}

fn taken(sessions: &Sessions, turn: &Turn) -> Option<(String, usize)> {
    let resumed = sessions.take(turn, Path::new(HERE), "auto")?;
    Some((resumed.chat, resumed.messages))
}

fn found(chat: &str, messages: usize) -> Option<(String, usize)> {
    Some((chat.to_owned(), messages))
}

#[tokio::test]
async fn a_chat_is_taken_once_for_what_it_holds() {
    let sessions = Sessions::new(true);
    answered(&sessions, &turn(&[user("a")]), "c1", &["Hel", "lo\n"]);
    let next = turn(&[user("a"), assistant("Hello"), user("b")]);
    assert_eq!(taken(&sessions, &next), found("c1", 2));
    assert_eq!(taken(&sessions, &next), None, "one run at a time");
    answered(&sessions, &next, "c1", &["Bye"]);
    let third = [next.messages.as_slice(), &[assistant("Bye"), user("c")]].concat();
    assert_eq!(taken(&sessions, &turn(&third)), found("c1", 4));
}

#[tokio::test]
async fn an_answer_may_come_back_in_other_pieces() {
    let sessions = Sessions::new(true);
    answered(&sessions, &turn(&[user("a")]), "c1", &["One two", " three"]);
    let pieces = [
        user("a"),
        assistant("One"),
        assistant(" two\nthree "),
        user("b"),
    ];
    assert_eq!(taken(&sessions, &turn(&pieces)), found("c1", 3));
}

#[tokio::test]
async fn the_longest_chat_wins() {
    let sessions = Sessions::new(true);
    let two = [user("a"), assistant("x"), user("b")];
    answered(&sessions, &turn(&two), "long", &["y"]);
    answered(&sessions, &turn(&two[..1]), "short", &["x"]);
    let whole = [&two[..], &[assistant("y"), user("c")]].concat();
    assert_eq!(taken(&sessions, &turn(&whole)), found("long", 4));
    assert_eq!(taken(&sessions, &turn(&whole)), found("short", 2));
}

#[tokio::test]
async fn whatever_differs_is_another_conversation() {
    let base = turn(&[user("a")]);
    let next = turn(&[user("a"), assistant("x"), user("b")]);
    let tool = |name: &str| ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        schema: json!({}).into(),
    };
    let changes: [fn(&mut Turn); 9] = [
        |turn| turn.messages[0] = user("A"),
        |turn| turn.messages[0] = user("a "),
        |turn| turn.messages[0].role = Role::System,
        |turn| turn.messages[1] = assistant("y"),
        |turn| turn.messages.insert(0, Message::text(Role::System, "s")),
        |turn| turn.messages.truncate(2),
        |turn| turn.conversation = Some("ses_1".to_owned()),
        |turn| turn.parallel_tool_calls = true,
        |turn| turn.tool_choice = ToolChoice::None,
    ];
    for (at, change) in changes.iter().enumerate() {
        let sessions = Sessions::new(true);
        answered(&sessions, &base, "c1", &["x"]);
        let mut other = next.clone();
        change(&mut other);
        assert_eq!(taken(&sessions, &other), None, "{at}");
        assert_eq!(
            taken(&sessions, &next),
            found("c1", 2),
            "{at}: it is still known"
        );
    }
    let sessions = Sessions::new(true);
    let with = |turn: &Turn, name| Turn {
        tools: vec![tool(name)],
        ..turn.clone()
    };
    answered(&sessions, &with(&base, "read"), "c1", &["x"]);
    assert_eq!(taken(&sessions, &with(&next, "write")), None);
    assert!(
        sessions
            .take(&with(&next, "read"), Path::new("/other"), "auto")
            .is_none()
    );
    assert!(
        sessions
            .take(&with(&next, "read"), Path::new(HERE), "gpt-5")
            .is_none()
    );
    assert_eq!(taken(&sessions, &with(&next, "read")), found("c1", 2));
}

#[tokio::test]
async fn calls_and_results_count() {
    let call = |arguments: &str| Message {
        role: Role::Assistant,
        parts: vec![Part::ToolCall(ToolCall {
            id: "1".to_owned(),
            name: "read".to_owned(),
            arguments: arguments.to_owned(),
        })],
    };
    let result = |content: &str| Message {
        role: Role::Tool,
        parts: vec![Part::ToolResult(ToolResult {
            call_id: "1".to_owned(),
            name: None,
            content: content.to_owned(),
            is_error: false,
        })],
    };
    let told = |arguments, content| [user("a"), call(arguments), result(content)];
    let later = |arguments, content| {
        let rest = [assistant("done"), user("b")];
        turn(&[&told(arguments, content)[..], &rest].concat())
    };
    let sessions = Sessions::new(true);
    answered(&sessions, &turn(&told("{}", "ok")), "c1", &["done"]);
    assert_eq!(taken(&sessions, &later("{ }", "ok")), None);
    assert_eq!(taken(&sessions, &later("{}", "no")), None);
    assert_eq!(taken(&sessions, &later("{}", "ok")), found("c1", 4));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_bounded_in_number_and_time() {
    let sessions = Sessions::new(true);
    let nth = |n: usize| user(&n.to_string());
    for n in 0..=KNOWN {
        answered(&sessions, &turn(&[nth(n)]), &format!("c{n}"), &["x"]);
    }
    let next = |n| turn(&[nth(n), assistant("x"), user("b")]);
    assert_eq!(taken(&sessions, &next(0)), None);
    assert_eq!(taken(&sessions, &next(1)), found("c1", 2));
    tokio::time::advance(LIFE).await;
    assert_eq!(taken(&sessions, &next(2)), None);
    assert!(sessions.known.lock().unwrap().is_empty());
}

#[tokio::test]
async fn off_and_attached_files_make_nothing_known() {
    let note = |on, turn: &Turn| {
        Sessions::new(on)
            .note(turn, Path::new(HERE), "auto")
            .is_some()
    };
    let plain = turn(&[user("a")]);
    assert!(note(true, &plain) && !note(false, &plain));
    let file = Part::Attachment(Attachment {
        extension: "png",
        bytes: bytes::Bytes::new(),
        file: None,
    });
    let parts = vec![file];
    let role = Role::User;
    assert!(!note(true, &turn(&[Message { role, parts }])));
}

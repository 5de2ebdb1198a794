//! Cursor's own chats are gone on with where that is safe, and nowhere else.

use serde_json::{Value, json};

use crate::support::TestServer;

/// What the agent of `fake-memory` was told, and what its chat held before.
struct Run {
    resumed: bool,
    before: u64,
    prompt: String,
    /// The answer, as the client keeps it.
    text: String,
}

/// A client's conversation.
struct Talk<'a> {
    server: &'a TestServer,
    body: Value,
    session: Option<&'a str>,
}

async fn remembering() -> TestServer {
    TestServer::with(|setup| setup.engine.resume = true).await
}

impl<'a> Talk<'a> {
    fn new(server: &'a TestServer, model: &str) -> Self {
        Self {
            server,
            body: json!({"model": model, "messages": []}),
            session: None,
        }
    }

    fn push(&mut self, message: Value) {
        self.body["messages"].as_array_mut().unwrap().push(message);
    }

    /// Sends the conversation, and waits until the agent is gone.
    async fn send(&mut self) -> Value {
        let headers = self.session.map(|id| ("x-session-id", id));
        let answer = self.server.whole_with(headers.as_slice(), &self.body).await;
        let message = answer.message();
        self.push(message.clone());
        self.server.app.engine().agent().reaped().await;
        message
    }

    async fn run(&mut self) -> Run {
        let message = self.send().await;
        let text = message["content"].as_str().unwrap();
        let said: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"));
        Run {
            resumed: !said["resumed"].is_null(),
            before: said["before"].as_u64().unwrap(),
            prompt: said["prompt"].as_str().unwrap().to_owned(),
            text: text.to_owned(),
        }
    }

    async fn say(&mut self, text: &str) -> Run {
        self.push(json!({"role": "user", "content": text}));
        self.run().await
    }
}

/// Whether the run was told these words, of all that are asked about.
fn told(run: &Run, words: &[&str]) -> Vec<bool> {
    words.iter().map(|word| run.prompt.contains(word)).collect()
}

#[tokio::test]
async fn a_chat_goes_on_and_is_told_only_the_rest() {
    let server = remembering().await;
    let mut talk = Talk::new(&server, "fake-memory");
    let first = talk.say("apples").await;
    assert!(!first.resumed && first.before == 0);
    let second = talk.say("pears").await;
    assert!(second.resumed && second.before == 1);
    assert_eq!(told(&second, &["apples", "pears"]), [false, true]);
    let third = talk.say("plums").await;
    assert!(third.resumed && third.before == 2);
    assert_eq!(
        told(&third, &["apples", "pears", "plums"]),
        [false, false, true]
    );
}

#[tokio::test]
async fn it_is_off_unless_asked_for() {
    let server = TestServer::start().await;
    let mut talk = Talk::new(&server, "fake-memory");
    talk.say("apples").await;
    let second = talk.say("pears").await;
    assert!(!second.resumed && second.before == 0);
    assert_eq!(told(&second, &["apples", "pears"]), [true, true]);
}

#[tokio::test]
async fn a_conversation_that_was_changed_is_told_anew() {
    let server = remembering().await;
    let mut talk = Talk::new(&server, "fake-memory");
    talk.say("apples").await;
    talk.body["messages"][0]["content"] = json!("cherries");
    let second = talk.say("pears").await;
    assert!(!second.resumed && second.before == 0);
    assert_eq!(told(&second, &["cherries", "pears"]), [true, true]);
}

#[tokio::test]
async fn a_chat_that_cursor_has_lost_is_told_anew() {
    let server = remembering().await;
    let mut talk = Talk::new(&server, "fake-memory");
    talk.say("apples").await;
    let chats = server.home.path().join("open-cursor/slots/chats");
    std::fs::remove_dir_all(&chats).unwrap();
    std::fs::create_dir(&chats).unwrap();
    let second = talk.say("pears").await;
    assert!(!second.resumed && second.before == 0);
    assert_eq!(told(&second, &["apples", "pears"]), [true, true]);
}

#[tokio::test]
async fn another_chat_than_the_one_asked_for_is_told_anew_and_nobody_sees_it() {
    for model in ["fake-memory-elsewhere", "fake-memory-refuses"] {
        let server = remembering().await;
        let mut talk = Talk::new(&server, model);
        talk.say("apples").await;
        for fruit in ["pears", "plums"] {
            let next = talk.say(fruit).await;
            assert!(!next.resumed && next.before == 0, "{model}: {}", next.text);
            assert_eq!(told(&next, &["apples", fruit]), [true, true], "{model}");
        }
    }
}

#[tokio::test]
async fn the_clients_name_for_a_conversation_narrows_and_proves_nothing() {
    let server = remembering().await;
    let mut talk = Talk::new(&server, "fake-memory");
    talk.session = Some("ses_1");
    talk.say("apples").await;
    let (messages, seen) = (talk.body["messages"].clone(), talk.body.clone());
    for other in [Some("ses_2"), None] {
        let mut fork = Talk::new(&server, "fake-memory");
        fork.session = other;
        fork.body["messages"] = messages.clone();
        assert!(!fork.say("pears").await.resumed, "{other:?}");
    }
    // A title: the same name, other messages. It takes nothing, and nothing of it is taken for more.
    let mut title = Talk::new(&server, "fake-memory");
    title.session = Some("ses_1");
    title.push(json!({"role": "system", "content": "You write titles."}));
    assert!(!title.say("Generate a title: apples").await.resumed);
    assert_eq!(talk.body, seen);
    let second = talk.say("pears").await;
    assert!(second.resumed && second.before == 1);
}

#[tokio::test]
async fn a_run_that_was_stopped_for_a_tool_is_not_gone_on_with() {
    let server = remembering().await;
    let mut talk = Talk::new(&server, "fake-memory");
    talk.body["tools"] = json!([{"type": "function", "function": {
        "name": "bash",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
    }}]);
    assert!(!talk.say("apples").await.resumed);
    talk.push(json!({"role": "user", "content": "now use a tool"}));
    let call = talk.send().await["tool_calls"][0].clone();
    talk.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "fake"}));
    let after = talk.run().await;
    assert!(!after.resumed && after.before == 0);
    assert_eq!(
        told(&after, &["apples", "now use a tool", "TOOL_RESULT"]),
        [true; 3]
    );
    let next = talk.say("pears").await;
    assert!(next.resumed && next.before == 1);
    assert_eq!(
        told(&next, &["apples", "TOOL_RESULT", "pears"]),
        [false, false, true]
    );
}

#[tokio::test]
async fn two_projects_have_two_chats() {
    let server = TestServer::with(|setup| {
        setup.engine.resume = true;
        setup.engine.workspaces.fixed = None;
        setup.engine.workspaces.bases = vec![std::env::temp_dir().canonicalize().unwrap()];
    })
    .await;
    let projects = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut talk = Talk::new(&server, "fake-memory");
    let work_in = |talk: &mut Talk<'_>, project: &tempfile::TempDir| {
        let path = project.path().canonicalize().unwrap();
        talk.body["cursorWorkspace"] = json!(path);
    };
    work_in(&mut talk, &projects[0]);
    talk.say("apples").await;
    work_in(&mut talk, &projects[1]);
    assert!(!talk.say("pears").await.resumed);
    assert!(talk.say("plums").await.resumed);
}

//! An agent that keeps chats on disk where Cursor's does (FACTS 1.5), and like it takes an id that it
//! does not know for a new chat's, without a word.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::PathBuf;
use std::thread;

use open_cursor::replay::{ReplayRun, ReplaySession, ReplayTool};
use serde_json::json;

use crate::{FOREVER, Out, finish, session};

/// Answers {resumed, before: how many prompts its chat held, prompt}; a prompt that says "use a tool"
/// gets a call first.
pub fn keeps(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let session = session(run);
    play(run, session)
}

/// The same, but goes on with no chat: it makes a new one under an id of its own.
pub fn elsewhere(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    let id = match &run.args.resume {
        Some(asked) => format!("{asked}-not"),
        None => session(run).id,
    };
    let session = ReplaySession { id, ..session(run) };
    play(run, session)
}

/// The same, but refuses to go on with a chat.
pub fn refuses(run: &mut ReplayRun<'_>, _: &str) -> io::Result<u8> {
    if run.args.resume.is_some() {
        writeln!(run.stderr, "Error: this chat can't be resumed")?;
        return Ok(1);
    }
    keeps(run, "")
}

fn play(run: &mut ReplayRun<'_>, session: ReplaySession) -> io::Result<u8> {
    let prompt = run.prompt()?;
    let chat = chat(run, &session.id);
    let before = fs::read_to_string(chat.join("store.db")).unwrap_or_default();
    let resumed = run.args.resume.clone();
    let mut out = Out::new(run.stdout, session);
    out.start(&prompt)?;
    if prompt.contains("use a tool") && !prompt.contains("=== TOOL_RESULT ") {
        let call = out.call(&ReplayTool::Shell {
            command: "echo fake".into(),
            description: "Print a word".into(),
        });
        out.started(&call)?;
        thread::sleep(FOREVER);
    }
    fs::create_dir_all(&chat)?;
    fs::write(chat.join("store.db"), before.clone() + "prompt\n")?;
    let answer = json!({"resumed": resumed, "before": before.lines().count(), "prompt": prompt});
    out.say(&answer.to_string())?;
    finish(out)
}

/// Where the real one keeps it, but for the hash.
fn chat(run: &ReplayRun<'_>, id: &str) -> PathBuf {
    let mut hash = DefaultHasher::new();
    run.workspace.hash(&mut hash);
    let config = PathBuf::from(env::var_os("CURSOR_CONFIG_DIR").unwrap_or_default());
    let workspace = format!("{:x}", hash.finish());
    config.join("chats").join(workspace).join(id)
}

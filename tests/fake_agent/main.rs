//! An agent that misbehaves on request: `--model fake-<scenario>` chooses how.
//!
//! It has the surface of Cursor's CLI (the replay agent's, from the library) and one scenario for
//! each thing that the real one was seen or may be expected to do to us. [`SCENARIOS`] is the
//! table; the scenarios themselves lie in one file for each theme. All of them read the prompt,
//! print `init` and the user's line first and end with a result and exit code 0, except where
//! the table says otherwise. Nothing waits longer than [`FOREVER`], so that no test can leave a
//! process behind for good.

mod changes;
mod failures;
mod hostile;
mod mcp;
mod processes;
mod text;
mod tools;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use open_cursor::replay::{
    ALLOWED_TOOLS, Emitter, ModelRow, Repertoire, ReplayRun, ReplaySession, run,
};
use open_cursor::turn::Usage;

/// A scenario: plays the run, given what follows its name in the model id.
type Play = fn(&mut ReplayRun<'_>, &str) -> io::Result<u8>;

/// How long "for ever" is here.
const FOREVER: Duration = Duration::from_secs(120);

/// The usage that a finished run reports.
const USAGE: Usage = Usage {
    input: 120,
    output: 12,
    cache_read: Some(80),
    cache_write: Some(7),
    reasoning: None,
    cost: None,
    estimated: false,
};

/// Name, the arguments to list it with, what it does, and how. A name that ends in `-`
/// takes the rest of the model id as its argument.
#[rustfmt::skip]
const SCENARIOS: &[(&str, &str, &str, Play)] = &[
    ("auto", "", "as fake-ok", text::ok),
    ("fake-ok", "", "one sentence in a few deltas", text::ok),
    ("fake-deltas-", "1 10 1000", "N deltas: w0, w1, …", text::deltas),
    ("fake-thinking", "", "thinks, then answers", text::thinking),
    ("fake-nopartial", "", "two whole segments and no delta, whatever was asked", text::nopartial),
    ("fake-repeat", "", "equal deltas: la la la la", text::repeat),
    ("fake-result-only", "", "the answer is only in the result", text::result_only),
    ("fake-retry", "", "loses its connection and says its first words again", text::retry),
    ("fake-no-usage", "", "a result without usage", text::no_usage),
    ("fake-slow-text", "", "five deltas, 500 ms apart", text::slow),
    ("fake-json-", "fenced repaired never", "JSON in a code fence; prose, but JSON once told that it can't be used; prose", text::json),
    ("fake-echo", "", "answers with the prompt, byte for byte", text::echo),
    ("fake-argv", "", "answers {argv, env (names only), cwd} as JSON", text::argv),
    ("fake-attachments", "", "reads the attached files natively, then says path, size and beginning of each", tools::attachments),
    ("fake-play", "", "prints the file play.ndjson of the workspace line by line, as it is", text::play),
    ("fake-play-", "hang", "as fake-play, then silence", text::play),

    ("fake-tool-hang", "", "announces a read, then silence", tools::hang),
    ("fake-tool-", tools::KINDS, "one call of that kind, refused after 300 ms; text once the prompt holds a result", tools::one),
    ("fake-parallel", "", "two reads and a command in one batch; text once the prompt holds a result", tools::parallel),
    ("fake-completed-only", "", "a successful read that was never announced, with arguments", tools::completed_only),
    ("fake-completed-only-error", "", "a failed call that was never announced, without arguments", tools::completed_only_error),
    ("fake-write", "", "announces fake-write.txt, writes it in the workspace 100 ms later, answers", tools::write),
    ("fake-edit", "", "announces an edit of fake-edit.txt, makes it, says whether it could", tools::edit_for_real),
    ("fake-edit-binary", "", "as fake-edit, and writes image.bin, which is no text", tools::edit_and_binary),
    ("fake-changes-", changes::SCRIPTS, "changes files step by step, as the letters of the script say (changes.rs)", changes::play),
    ("fake-rampage", "", "writes all over its workspace and beside it, unannounced", tools::rampage),
    ("fake-huge-line", "", "a read's result of 20 MB, then text", tools::huge_line),

    ("fake-mcp-", mcp::NAMES, "calls the client's tools by MCP, as the script of that name in mcp.rs says", mcp::play),

    ("fake-early-exit", "", "exit 1 with a message, prompt unread", failures::early_exit),
    ("fake-early-exit-0", "", "exit 0 without a word, prompt unread", failures::early_exit_0),
    ("fake-exit0-text", "", "a plain sentence on stdout, exit 0", failures::exit_0_text),
    ("fake-error-result", "", "text, then a result that is an error", failures::error_result),
    ("fake-no-result", "", "text, then exit 0 without a result", failures::no_result),
    ("fake-truncated", "", "breaks off in the middle of a line, exit 1", failures::truncated),
    ("fake-login", "", "not logged in: stderr, exit 1", failures::login),
    ("fake-usage-limit", "", "usage limit: init, a thought, a plain line, exit 1", failures::usage_limit),
    ("fake-usage-limit-at-once", "", "usage limit: init, a plain line, exit 1", failures::usage_limit_at_once),
    ("fake-rate-limit", "", "rate limit: init, then stderr, exit 1", failures::rate_limit),
    ("fake-unknown-model", "", "refuses the model that it listed, exit 1", failures::unknown_model),
    ("fake-untrusted", "", "refuses the workspace, exit 1", failures::untrusted),
    ("fake-crash", "", "a stack trace with a made-up API key on stderr, exit 1", failures::crash),

    ("fake-hang", "", "no output at all", hostile::hang),
    ("fake-hang-after-text", "", "some text, then silence", hostile::hang_after_text),
    ("fake-hang-after-result", "", "a whole run, but does not exit", hostile::hang_after_result),
    ("fake-flood", "", "deltas without end, with the time of each", hostile::flood),
    ("fake-flood-", "1 4 50", "N MB of delta lines, then a result", hostile::flood_size),
    ("fake-stderr-flood", "", "8 MB on stderr before the answer", hostile::stderr_flood),
    ("fake-bad-utf8", "", "invalid bytes in a line of their own and in an answer", hostile::bad_utf8),
    ("fake-utf8-split", "", "every byte written by itself, two to four bytes to a character", hostile::utf8_split),
    ("fake-huge-text", "", "a delta of 16 MB", hostile::huge_text),
    ("fake-junk", "", "blank, plain, broken, unknown and doubled lines around an answer", hostile::junk),
    ("fake-bare-assistant", "", "{\"type\":\"assistant\"} alone, then an answer", hostile::bare_assistant),
    ("fake-ignore-term", "", "text, then silence, deaf to SIGTERM", hostile::ignore_term),
    ("fake-grandchild", "", "a whole run; a grandchild keeps stdout open", hostile::grandchild_and_result),
    ("fake-grandchild-no-result", "", "text and exit 0; a grandchild keeps stdout open", hostile::grandchild_no_result),
    ("fake-pids", "", "names itself, its child and its grandchild in a whole run; they stay", processes::pids),
    ("fake-pids-ignore-term", "", "as fake-pids, all deaf to SIGTERM", processes::deaf),
    ("fake-daemon", "", "leaves daemons that ignore signals and write into the slot", processes::daemon),
    ("fake-daemon-fail", "", "as fake-daemon, but without a result", processes::daemon_and_failure),
    ("fake-fill", "", "writes files without end", processes::fill),
    ("fake-mess", "", "leaves trees, pipes and files that are hard to remove", processes::mess),
    ("fake-pids-hang", "", "as fake-pids, then silence", processes::hang),
    ("fake-late-stdin", "", "prints init, waits a second, reads the prompt, answers its length", hostile::late_stdin),
];

struct Fake;

impl Fake {
    /// The scenario of a model id and its argument: an exact name, or the longest one that takes
    /// an argument.
    fn find<'a>(&self, model: &'a str) -> Option<(Play, &'a str)> {
        let exact = SCENARIOS.iter().find(|row| row.0 == model);
        let with_argument = || {
            let rows = SCENARIOS.iter().filter(|row| row.0.ends_with('-'));
            rows.filter(|row| model.starts_with(row.0))
                .max_by_key(|row| row.0.len())
        };
        let (name, _, _, play) = exact.or_else(with_argument)?;
        Some((*play, &model[name.len()..]))
    }
}

impl Repertoire for Fake {
    fn help(&self) -> &str {
        "Usage: agent [options]\n\n  --approve-mcps  Automatically approve all MCP servers\n"
    }

    fn models(&self) -> Vec<ModelRow> {
        SCENARIOS
            .iter()
            .flat_map(|(name, arguments, does, _)| {
                arguments.split(' ').map(move |argument| ModelRow {
                    id: format!("{name}{argument}"),
                    label: (*does).to_owned(),
                })
            })
            .collect()
    }

    fn knows(&self, model: &str) -> bool {
        self.find(model).is_some()
    }

    /// Two models have a CLI that is older.
    fn allowed_tools(&self, model: &str) -> Option<&[&str]> {
        match model {
            "fake-mcp-no-flag" => None,
            "fake-mcp-old-flag" => Some(&["shell_tool_call", "read_tool_call", "mcp_tool_call"]),
            _ => Some(ALLOWED_TOOLS),
        }
    }

    fn play(&self, mut run: ReplayRun<'_>) -> io::Result<u8> {
        let model = run.args.model.clone();
        match self.find(&model) {
            Some((play, argument)) => play(&mut run, argument),
            None => Err(io::Error::other("the model was checked before")),
        }
    }
}

/// What writes a run's events.
type Out<'a> = Emitter<&'a mut dyn Write>;

/// The session that was asked for, without pauses.
fn session(run: &ReplayRun<'_>) -> ReplaySession {
    ReplaySession {
        pace: Duration::ZERO,
        ..run.session()
    }
}

/// The usual beginning: the whole prompt, `init`, the user's line. Returns the prompt as well.
fn begin_with_prompt<'a>(run: &'a mut ReplayRun<'_>) -> io::Result<(Out<'a>, String)> {
    let prompt = run.prompt()?;
    let session = session(run);
    let mut out = Out::new(run.stdout, session);
    out.start(&prompt)?;
    Ok((out, prompt))
}

/// The usual beginning.
fn begin<'a>(run: &'a mut ReplayRun<'_>) -> io::Result<Out<'a>> {
    Ok(begin_with_prompt(run)?.0)
}

/// The usual end.
fn finish<W: Write>(mut out: Emitter<W>) -> io::Result<u8> {
    out.finish(Some(USAGE))?;
    Ok(0)
}

fn main() -> ExitCode {
    let (mut stdin, mut stdout, mut stderr) = (io::stdin(), io::stdout(), io::stderr());
    let args = std::env::args_os().skip(1);
    ExitCode::from(run(&Fake, args, &mut stdin, &mut stdout, &mut stderr))
}

//! The embedded scenarios and how they are played.
//!
//! `scenarios.json` is a list of scenarios: the `models` (id and label) that choose it, and its
//! `steps`. Step *n* is played when *n* tool results follow the user's last message; past the end
//! the last step counts. A step is a list of actions:
//!
//! | action | what happens |
//! |---|---|
//! | `{"think": TEXT}` | reasoning deltas |
//! | `{"say": TEXT}` | answer text, word by word |
//! | `{"tools": [TOOL, …]}` | one batch of calls ([`ReplayTool`]): announced, a pause, then reads and edits are made if this is a view, and all else is refused; if any was, the `unanswered` text. Where the client's tools can be called by MCP, these are called instead. The step that the results make due follows in the same run |
//! | `{"stdout": TEXT}`, `{"stderr": TEXT}` | a plain line there |
//! | `{"exit": CODE}` | the end, without a result |
//! | `"untrusted"` | the trust gate's refusal |
//! | `"hang"` | silence until killed |
//!
//! A step that ends otherwise ends with a `result`. The first `think`, `say`, `tools` or `hang`
//! prints `init` and the user's line, so a step that begins with another action fails before both.
//! Texts may use `{workspace}`, `{user}` (the last line of the user's last message) and `{result}`
//! (the beginning of the newest tool result).
//!
//! In place of the list, `steps` may be `"user"`: then the last line of the user's last message is
//! the list, as JSON. So a test of a client needs no scenario here.

use std::borrow::Cow;
use std::io;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::client_tools::ClientTools;
use super::emitter::{Emitter, ReplayCall};
use super::native;
use super::surface::{ModelRow, Repertoire, ReplayRun, untrusted};
use super::tool::ReplayTool;
use super::transcript::{Transcript, clip};
use crate::{sandbox::fence, turn::Usage};

/// How long "until killed" is at most, so that a forgotten process ends.
const HANG: Duration = Duration::from_secs(3600);

/// Bytes to a token, for the usage that is reported.
const BYTES_PER_TOKEN: usize = 4;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    /// What is said after a call that nobody executed.
    unanswered: String,
    scenarios: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    models: Map<String, Value>,
    steps: Steps,
}

/// A list of actions for each step.
type Listed = Vec<Vec<Value>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Steps {
    /// They are in the user's last message.
    User,
    #[serde(untagged)]
    Listed(Listed),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Think(String),
    Say(String),
    Tools(Vec<ReplayTool>),
    Stdout(String),
    Stderr(String),
    Exit(u8),
    Untrusted,
    Hang,
}

impl Script {
    /// The scenarios that the binary carries.
    pub fn embedded() -> serde_json::Result<Self> {
        serde_json::from_str(include_str!("scenarios.json"))
    }

    /// How many steps a model's scenario has, in this conversation.
    pub fn steps(&self, model: &str, transcript: &Transcript) -> usize {
        let listed = self.listed(model, transcript);
        listed.map_or(1, |steps| steps.len())
    }

    fn listed(&self, model: &str, transcript: &Transcript) -> serde_json::Result<Cow<'_, Listed>> {
        let mut scenarios = self.scenarios.iter();
        let scenario = scenarios.find(|scenario| scenario.models.contains_key(model));
        Ok(match scenario.map(|found| &found.steps) {
            Some(Steps::Listed(steps)) => Cow::Borrowed(steps),
            Some(Steps::User) => Cow::Owned(serde_json::from_str(&transcript.user)?),
            None => Cow::default(),
        })
    }

    /// The actions that are due, with their placeholders filled in.
    fn actions(&self, model: &str, fill: &Fill<'_>) -> io::Result<Vec<Action>> {
        let steps = match self.listed(model, fill.transcript) {
            Ok(steps) => steps,
            Err(error) => return Ok(vec![Action::Say(no_script(&error))]),
        };
        let due = steps.get(fill.transcript.step).or(steps.last());
        due.into_iter()
            .flatten()
            .map(|action| Ok(serde_json::from_value(fill.value(action))?))
            .collect()
    }
}

impl Repertoire for Script {
    fn models(&self) -> Vec<ModelRow> {
        let listed = self.scenarios.iter().flat_map(|scenario| &scenario.models);
        listed
            .map(|(id, label)| ModelRow {
                id: id.clone(),
                label: label.as_str().unwrap_or_default().to_owned(),
            })
            .collect()
    }

    fn play(&self, mut run: ReplayRun<'_>) -> io::Result<u8> {
        let prompt = run.prompt()?;
        let mut client = ClientTools::of(&run)?;
        let workspace = run.workspace.to_string_lossy();
        let mut transcript = Transcript::read(&prompt);
        let session = run.session();
        let view = fence::is_view(&run.workspace);
        let mut out = Emitter::new(run.stdout, session);
        let mut begun = false;
        loop {
            let fill = Fill {
                workspace: &workspace,
                transcript: &transcript,
            };
            let mut answers = Vec::new();
            for action in self.actions(&run.args.model, &fill)? {
                use Action::{Exit, Hang, Say, Stderr, Stdout, Think, Tools, Untrusted};
                if !begun && matches!(action, Think(_) | Say(_) | Tools(_) | Hang) {
                    out.start(&prompt)?;
                    begun = true;
                }
                match action {
                    Think(text) => out.think(&text)?,
                    Say(text) => out.say(&text)?,
                    Tools(tools) => {
                        let answered = match &mut client {
                            Some(client) if !client.leaves(&tools) => {
                                client.call(&mut out, &tools)?
                            }
                            Some(_) => call(&mut out, &tools, true)?,
                            None => call(&mut out, &tools, view)?,
                        };
                        match answered {
                            Some(answered) => answers.extend(answered),
                            None => out.say(&self.unanswered)?,
                        }
                    }
                    Stdout(line) => out.raw(format!("{line}\n").as_bytes())?,
                    Stderr(line) => writeln!(run.stderr, "{line}")?,
                    Exit(code) => return Ok(code),
                    Untrusted => {
                        writeln!(run.stderr, "{}", untrusted(&run.workspace))?;
                        return Ok(1);
                    }
                    Hang => {
                        thread::sleep(HANG);
                        return Ok(1);
                    }
                }
            }
            // Results within the run move it on as those in a prompt do.
            let last = self.steps(&run.args.model, &transcript).saturating_sub(1);
            if answers.is_empty() || transcript.step >= last {
                break;
            }
            transcript.answered(&answers);
        }
        let tokens = |bytes: usize| u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(0);
        out.finish(Some(Usage {
            input: tokens(prompt.len()),
            output: tokens(out.text_len()),
            ..Usage::default()
        }))?;
        Ok(0)
    }
}

/// Announces a batch, waits as a tool would take, and reports what became of each call. In a view
/// reads and edits are made, all else is refused. Returns what the model reads of the results, if
/// nothing was refused.
fn call<W: io::Write>(
    out: &mut Emitter<W>,
    tools: &[ReplayTool],
    view: bool,
) -> io::Result<Option<Vec<String>>> {
    let calls: Vec<(ReplayCall, &ReplayTool)> =
        tools.iter().map(|tool| (out.call(tool), tool)).collect();
    for (call, _) in &calls {
        out.started(call)?;
    }
    out.tool_pause();
    let mut answers = Some(Vec::new());
    for (call, tool) in &calls {
        let result = if view { native::execute(tool) } else { None };
        answers = answers.zip(result.as_ref()).map(|(mut told, result)| {
            told.push(native::told(result));
            told
        });
        out.completed(call, &result.unwrap_or_else(|| tool.refusal()))?;
    }
    Ok(answers)
}

fn no_script(error: &serde_json::Error) -> String {
    format!(
        "The last line of your message is not a list of steps ({error}). It should look like this: \
         [[{{\"say\": \"hello\"}}]]"
    )
}

/// Fills placeholders in.
struct Fill<'a> {
    workspace: &'a str,
    transcript: &'a Transcript,
}

impl Fill<'_> {
    /// The value with the placeholders of all its strings filled in.
    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, item)| (key.clone(), self.value(item)))
                .collect(),
            other => other.clone(),
        }
    }

    /// One pass, so that braces in what is filled in stay as they are.
    fn text(&self, template: &str) -> String {
        let mut text = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('{') {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let known = [
                ("{workspace}", self.workspace),
                ("{user}", &clip(&self.transcript.user)),
                ("{result}", &self.transcript.result),
            ];
            let (name, value) = known
                .into_iter()
                .find(|(name, _)| rest.starts_with(name))
                .unwrap_or(("{", "{"));
            text.push_str(value);
            rest = &rest[name.len()..];
        }
        text + rest
    }
}

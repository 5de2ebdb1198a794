//! The CLI's argument vector (FACTS 1.2, SCHEMA 6.1): options and words in any order.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

// The options of 2026.10.01 that a run may be given, hidden ones included, by what they want after
// their name.

const FLAGS: &str = "\
    -p --print -f --force --yolo -v --version -h --help --stream-partial-output --list-models \
    --continue --trust --plan --auto-review --approve-mcps --skip-worktree-setup --insecure \
    --single-turn --show-thinking --disable-auto-update";

/// With a value. `--replay-pace` is ours: milliseconds between two deltas. A tool "runs" 25 times as
/// long.
const VALUES: &str = "\
    --output-format --format --model --workspace --new-session-id --mode --sandbox --add-dir \
    --plugin-dir --worktree-base --api-key --auth-token -H --header -e --endpoint --allowed-tools \
    --exclude-tools --replay-pace";

/// With a value, unless the next argument is an option (`--resume [chatId]`).
const OPTIONAL_VALUES: &str = "--resume -w --worktree";

/// The default of `--replay-pace`.
const PACE: Duration = Duration::from_millis(12);

/// The parsed argument vector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// `text`, `json` or `stream-json`.
    pub output_format: String,
    /// Whether text comes in deltas.
    pub partial: bool,
    /// The model's id without bracket parameters; `auto` if none is named.
    pub model: String,
    /// `--workspace` as given.
    pub workspace: Option<PathBuf>,
    /// The chat to go on with.
    pub resume: Option<String>,
    /// Whether `--trust`, `--force` or `--yolo` was given.
    pub trusted: bool,
    /// Whether `--force` or `--yolo` was given.
    pub force: bool,
    /// Whether `--approve-mcps` was given.
    pub approve_mcps: bool,
    /// The values of `--allowed-tools`, which may be repeated and hold commas.
    pub allowed_tools: Vec<String>,
    /// The pause after each delta.
    pub pace: Duration,
    /// Words that are not options: a command, or the prompt.
    pub words: Vec<String>,
    /// `--format` of `status`.
    pub format: Option<String>,
    /// `--version`, `--help` and `--list-models`, which come before everything else.
    pub version: bool,
    /// See [`Args::version`].
    pub help: bool,
    /// See [`Args::version`].
    pub list_models: bool,
    /// Every argument as it came, for agents that report it.
    pub raw: Vec<String>,
}

impl Args {
    /// Parses the arguments after the program's name.
    ///
    /// # Errors
    /// The CLI's own message on an unknown option or a bad value.
    pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let raw: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
        let mut parsed = Self {
            output_format: "text".to_owned(),
            model: "auto".to_owned(),
            pace: PACE,
            ..Self::default()
        };
        let mut rest = raw.iter().peekable();
        while let Some(arg) = rest.next() {
            if arg == "--" {
                parsed.words.extend(rest.by_ref().cloned());
            } else if arg.len() > 1 && arg.starts_with('-') {
                let (name, inline) = match arg.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (arg.as_str(), None),
                };
                let is_one_of = |names: &str| names.split_whitespace().any(|one| one == name);
                let value = if is_one_of(FLAGS) {
                    None
                } else if is_one_of(VALUES) {
                    let value = inline.or_else(|| rest.next().cloned());
                    Some(value.ok_or_else(|| format!("error: option '{name}' argument missing"))?)
                } else if is_one_of(OPTIONAL_VALUES) {
                    inline.or_else(|| rest.next_if(|next| !next.starts_with('-')).cloned())
                } else {
                    return Err(format!("error: unknown option '{name}'"));
                };
                parsed.set(name, value)?;
            } else {
                parsed.words.push(arg.clone());
            }
        }
        parsed.raw = raw;
        Ok(parsed)
    }

    fn set(&mut self, name: &str, value: Option<String>) -> Result<(), String> {
        let text = value.clone().unwrap_or_default();
        match name {
            "--output-format" if !["text", "json", "stream-json"].contains(&text.as_str()) => {
                return Err(format!("error: '{text}' is not an --output-format"));
            }
            "--output-format" => self.output_format = text,
            "--format" => self.format = value,
            "--stream-partial-output" => self.partial = true,
            "--model" => {
                self.model = text.split('[').next().unwrap_or_default().to_owned();
            }
            "--workspace" => self.workspace = value.map(PathBuf::from),
            "--resume" | "--new-session-id" => self.resume = value.or(self.resume.take()),
            "--trust" => self.trusted = true,
            "-f" | "--force" | "--yolo" => (self.trusted, self.force) = (true, true),
            "--approve-mcps" => self.approve_mcps = true,
            "--allowed-tools" => {
                let names = text.split(',').map(|name| name.trim().to_owned());
                self.allowed_tools.extend(names);
            }
            "-v" | "--version" => self.version = true,
            "-h" | "--help" => self.help = true,
            "--list-models" => self.list_models = true,
            "--replay-pace" => {
                let ms = text.parse().map_err(|_| {
                    format!("error: '{text}' is not a number of milliseconds for --replay-pace")
                })?;
                self.pace = Duration::from_millis(ms);
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_come_in_any_order() {
        let a = parse(
            "--print --output-format stream-json --stream-partial-output --trust \
             --model m --workspace /w --resume id \
             --approve-mcps --allowed-tools a,b --allowed-tools c --force",
        )
        .unwrap();
        let b = parse(
            "--resume=id --model m[context=1m,fast=false] --workspace=/w --yolo \
             --allowed-tools=a --approve-mcps --allowed-tools b,c \
             --stream-partial-output -p --output-format=stream-json",
        )
        .unwrap();
        let raw = Vec::new;
        assert_eq!(
            Args {
                raw: raw(),
                ..a.clone()
            },
            Args { raw: raw(), ..b }
        );
        assert_eq!(a.model, "m");
        assert_eq!(a.resume.as_deref(), Some("id"));
        assert!(a.trusted && a.force && a.approve_mcps && a.partial);
        assert_eq!(a.allowed_tools, ["a", "b", "c"]);
    }

    #[test]
    fn words_and_double_dash() {
        assert_eq!(parse("-p hello world").unwrap().words, ["hello", "world"]);
        assert_eq!(parse("-p -- --model x").unwrap().words, ["--model", "x"]);
        assert_eq!(parse("--resume -p hi").unwrap().words, ["hi"]);
    }

    #[test]
    fn bad_options_are_refused_in_the_clis_words() {
        for (line, message) in [
            ("--fork", "error: unknown option '--fork'"),
            ("--fork=1 -p", "error: unknown option '--fork'"),
            ("--model", "error: option '--model' argument missing"),
            (
                "--output-format xml",
                "error: 'xml' is not an --output-format",
            ),
        ] {
            assert_eq!(parse(line).unwrap_err(), message);
        }
    }
}

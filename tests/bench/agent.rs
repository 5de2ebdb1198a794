//! A fake `cursor-agent` that costs as little as it can: it writes prepared lines and stamps each
//! delta's text with the time of its emission. The model's name says what to write.
//!
//! It sends no recap of the text before `result`, as Cursor's does: the floor would relay it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Begins a stamp; occurs nowhere else in what the agent writes.
pub const MARK: u8 = b'@';
/// Decimal digits of a stamp, leading zeros included.
pub const DIGITS: usize = 19;
/// How long the agent of [`Mode::Linger`] stays after its `result`.
const LINGER: Duration = Duration::from_secs(1);

/// Nanoseconds of the system's monotonic clock, the same for all processes.
pub fn now() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(|time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
        .unwrap_or(0)
}

/// What a run of the agent writes, and its spelling as a model id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// One delta every so many milliseconds.
    Paced { deltas: usize, millis: u64 },
    /// Deltas of so many bytes of text, as fast as they are taken.
    Burst { deltas: usize, bytes: usize },
    /// A delta, then `result`, then the agent stays: the end of a turn is not the agent's exit.
    Linger,
    /// Deltas until it is stopped.
    Endless,
}

impl Mode {
    /// The model id that asks for this mode.
    pub fn model(self) -> String {
        match self {
            Self::Paced { deltas, millis } => format!("bench-paced-{deltas}-{millis}"),
            Self::Burst { deltas, bytes } => format!("bench-burst-{deltas}-{bytes}"),
            Self::Linger => "bench-linger-0-0".to_owned(),
            Self::Endless => "bench-endless-0-0".to_owned(),
        }
    }

    fn of(model: &str) -> Option<Self> {
        let parts: Vec<&str> = model.split('-').collect();
        let [_, kind, first, second] = parts.as_slice() else {
            return None;
        };
        let (deltas, second) = (first.parse().ok()?, second.parse::<usize>().ok()?);
        Some(match *kind {
            "paced" => Self::Paced {
                deltas,
                millis: second as u64,
            },
            "burst" => Self::Burst {
                deltas,
                bytes: second,
            },
            "linger" => Self::Linger,
            "endless" => Self::Endless,
            _ => return None,
        })
    }
}

/// Plays the agent until its text is written.
pub fn main(args: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let args: Vec<String> = args.collect();
    let reply = match args.first().map(String::as_str) {
        Some("--version") => "2026.10.01-bec4000\n".to_owned(),
        Some("status") => "✓ Logged in as bench@localhost\n".to_owned(),
        Some("models" | "--list-models") => models(),
        _ => return run(args),
    };
    print!("{reply}");
    Ok(())
}

fn run(mut args: Vec<String>) -> anyhow::Result<()> {
    let flag = args.iter().position(|arg| arg == "--model");
    let model = flag.map(|at| args.swap_remove(at + 1)).unwrap_or_default();
    let mode = Mode::of(&model).ok_or_else(|| anyhow::anyhow!("no mode {model}"))?;
    io::stdin().read_to_end(&mut Vec::new())?;
    match play(
        mode,
        &mut File::from(io::stdout().as_fd().try_clone_to_owned()?),
    ) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// The list as Cursor prints it, with every model of [`crate::probes::MODES`].
fn models() -> String {
    let mut list = "Available models\n\nauto - Auto (default)\n".to_owned();
    for mode in crate::probes::MODES {
        list += &format!("{} - Bench\n", mode.model());
    }
    list + "\nTip: use --model <id>\n"
}

fn play(mode: Mode, out: &mut File) -> io::Result<()> {
    out.write_all(INIT.as_bytes())?;
    match mode {
        Mode::Paced { deltas, millis } => {
            let mut delta = Delta::new(24);
            // Streams that start together should not tick together.
            let phase = u64::from(std::process::id()) * 7919 % 1000;
            let start = now() + phase * millis * 1_000;
            for number in 0..deltas as u64 {
                let due = start + number * millis * 1_000_000;
                sleep(Duration::from_nanos(due.saturating_sub(now())));
                out.write_all(delta.stamped())?;
            }
        }
        Mode::Burst { deltas, bytes } => {
            let mut delta = Delta::new(bytes);
            for _ in 0..deltas {
                out.write_all(delta.stamped())?;
            }
        }
        Mode::Linger => out.write_all(Delta::new(24).stamped())?,
        Mode::Endless => {
            let mut delta = Delta::new(1024);
            loop {
                out.write_all(delta.stamped())?;
            }
        }
    }
    out.write_all(result().as_bytes())?;
    if mode == Mode::Linger {
        sleep(LINGER);
    }
    Ok(())
}

const INIT: &str = concat!(
    r#"{"type":"system","subtype":"init","apiKeySource":"login","cwd":"/","session_id":"5e55"#,
    r#"10n0-0000-4000-8000-000000000000","model":"Bench","permissionMode":"default"}"#,
    "\n"
);

/// `result`; its input tokens are the microseconds of its emission, see [`micros`].
fn result() -> String {
    format!(
        concat!(
            r#"{{"type":"result","subtype":"success","duration_ms":1,"duration_api_ms":1,"#,
            r#""is_error":false,"result":"","session_id":"5e5510n0-0000-4000-8000-000000000000","#,
            r#""usage":{{"inputTokens":{},"outputTokens":1,"cacheReadTokens":0,"#,
            r#""cacheWriteTokens":0}}}}"#,
            "\n"
        ),
        micros(now())
    )
}

/// Where [`micros`] wraps.
pub const MICROS: u64 = 1_000_000_000;

/// A time in microseconds, small enough to pass for a count of tokens.
pub fn micros(nanos: u64) -> u64 {
    nanos / 1_000 % MICROS
}

/// One `assistant` delta line, whose stamp is renewed in place.
struct Delta {
    line: Vec<u8>,
    stamp: usize,
}

impl Delta {
    /// A line with `bytes` of text; a stamp and its mark are the least.
    fn new(bytes: usize) -> Self {
        let mut line = concat!(
            r#"{"type":"assistant","message":{"role":"assistant","content":"#,
            r#"[{"type":"text","text":""#
        )
        .as_bytes()
        .to_vec();
        line.push(MARK);
        let stamp = line.len();
        line.resize(stamp + DIGITS, b'0');
        let text = b" some words of an answer".iter().cycle();
        line.extend(text.take(bytes.saturating_sub(DIGITS + 1)));
        line.extend_from_slice(
            concat!(
                r#""}]},"session_id":"5e5510n0-0000-4000-8000-000000000000","#,
                r#""timestamp_ms":1795231213291}"#,
                "\n"
            )
            .as_bytes(),
        );
        Self { line, stamp }
    }

    fn stamped(&mut self) -> &[u8] {
        let mut rest = now();
        for digit in self.line[self.stamp..self.stamp + DIGITS].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        &self.line
    }
}

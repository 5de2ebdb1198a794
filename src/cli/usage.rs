//! `open-cursor usage`.

use std::{
    path::Path,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::{
    dirs::UserDirs,
    render,
    requests::{read, time, tokens},
};
use crate::{
    account::{self, AccountView},
    agent::Env,
    auth,
    history::{Figures, GroupBy, Totals},
};

const NAME: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const BAR: Style = AnsiColor::Cyan.on_default();

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The longest bar, in characters.
const LONGEST: usize = 24;

/// Show what turns cost: tokens and dollars by model, client, directory or day
///
/// All servers of this user write one history (see `open-cursor help endpoints`). Days are days of UTC. Cost is
/// by Cursor's list prices; ~ marks tokens that are partly estimated, + a cost without turns whose model
/// has no known price.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor usage
  open-cursor usage --days 7 --by day
  open-cursor usage --by client --csv > usage.csv
  open-cursor usage --from-cursor")]
pub struct UsageArgs {
    /// How many days, today included
    #[arg(long, value_name = "N", default_value_t = 30,
        value_parser = clap::value_parser!(u16).range(1..=90))]
    days: u16,

    /// What turns are summed by
    #[arg(long, value_name = "GROUP", default_value = "model")]
    by: By,

    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Print comma-separated values
    #[arg(long, conflicts_with = "from_cursor")]
    csv: bool,

    /// Also ask Cursor's servers, with the token of your login, what they count for the account
    #[arg(long)]
    from_cursor: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum By {
    Model,
    Client,
    Workspace,
    Day,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Client => "client",
            Self::Workspace => "workspace",
            Self::Day => "day",
        }
    }

    fn group(self) -> GroupBy {
        match self {
            Self::Model => GroupBy::Model,
            Self::Client => GroupBy::Client,
            Self::Workspace => GroupBy::Workspace,
            Self::Day => GroupBy::Day,
        }
    }
}

/// Prints the sums.
pub async fn run(args: UsageArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let path = dirs.need_history()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let now = i64::try_from(now)?;
    let since = now - now.rem_euclid(DAY_MS) - (i64::from(args.days) - 1) * DAY_MS;
    let group = args.by.group();
    let found = read(&path, move |reader| {
        let [sums] = reader.sums([(group, since)])?;
        Ok(vec![(sums.groups(), sums.figures())])
    });
    let (groups, figures) = found.await?.pop().unwrap_or_default();
    let cursor = match args.from_cursor {
        true => Some(from_cursor().await),
        false => None,
    };
    if args.json {
        let mut value = json!({
            "since": time(since), "days": args.days, "by": args.by.name(),
            "groups": groups, "figures": figures,
        });
        if let Some(cursor) = &cursor {
            value["cursor"] = match cursor {
                Ok(view) => json!(view),
                Err(problem) => json!({"problem": problem}),
            };
        }
        render::line(serde_json::to_string_pretty(&value)?);
    } else if args.csv {
        csv(args.by, &groups);
    } else {
        print(args.by, args.days, &groups, &figures, &path);
        match &cursor {
            Some(Ok(view)) => print_cursor(view),
            Some(Err(problem)) => render::note(format_args!("Cursor's own view: {problem}")),
            None => {}
        }
    }
    let failed = cursor.is_some_and(|view| view.is_err());
    Ok(ExitCode::from(u8::from(failed)))
}

fn csv(by: By, groups: &[Totals]) {
    render::line(format_args!(
        "{},turns,errors,input,cache_read,cache_write,output,estimated_turns,cost_usd,unpriced_turns",
        by.name()
    ));
    for it in groups {
        let name = render::plain(&it.name);
        let name = match name.contains([',', '"']) {
            true => format!("\"{}\"", name.replace('"', "\"\"")),
            false => name,
        };
        render::line(format_args!(
            "{name},{},{},{},{},{},{},{},{:.6},{}",
            it.turns,
            it.errors,
            it.input,
            it.cache_read,
            it.cache_write,
            it.output,
            it.estimated,
            it.cost,
            it.unpriced
        ));
    }
}

fn print(by: By, days: u16, groups: &[Totals], figures: &Figures, path: &Path) {
    if groups.is_empty() {
        let place = path.display();
        render::note(format_args!(
            "no turn is recorded in {place} for these {days} days"
        ));
        return;
    }
    let by_cost = groups.iter().any(|it| it.cost > 0.0);
    let weight = |it: &Totals| match by_cost {
        true => it.cost,
        false => (it.input + it.output) as f64,
    };
    let most = groups.iter().map(weight).fold(0.0, f64::max);
    let head = ["turns", "failed", "input", "cached", "output", "cost"].map(str::to_owned);
    let mut rows = vec![(by.name().to_owned(), head, String::new())];
    for it in groups {
        let name = match it.name.as_str() {
            "" => "(none)".to_owned(),
            name => render::plain(name),
        };
        rows.push((name, cells(it), bar(weight(it), most)));
    }
    let all = ("all".to_owned(), cells(&figures.all), String::new());
    rows.push(all);
    let width = |text: &str| text.chars().count();
    let names = rows.iter().map(|(name, ..)| width(name)).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(|at| {
        let cells = rows.iter().map(|(_, cells, _)| width(&cells[at]));
        cells.max().unwrap_or(0)
    });
    let last = rows.len() - 1;
    for (at, (name, cells, bar)) in rows.iter().enumerate() {
        let style = if at == 0 { FAINT } else { Style::new() };
        let bold = if at == last { NAME } else { style };
        let mut line = format!("{bold}{name:names$}{bold:#}");
        for (cell, width) in cells.iter().zip(widths) {
            line += &format!("  {bold}{cell:>width$}{bold:#}");
        }
        let line = match bar.as_str() {
            "" => line,
            bar => format!("{line}  {BAR}{bar}{BAR:#}"),
        };
        render::line(line);
    }
    render::line("");
    for line in summary(figures) {
        render::line(line);
    }
}

fn cells(it: &Totals) -> [String; 6] {
    let about = if it.estimated > 0 { "~" } else { "" };
    [
        it.turns.to_string(),
        it.errors.to_string(),
        format!("{about}{}", tokens(it.input)),
        tokens(it.cache_read),
        format!("{about}{}", tokens(it.output)),
        match (it.cost, it.unpriced) {
            (0.0, 1..) => "-".to_owned(),
            (cost, 0) => format!("${cost:.2}"),
            (cost, _) => format!("${cost:.2}+"),
        },
    ]
}

fn bar(value: f64, most: f64) -> String {
    let share = if most > 0.0 { value / most } else { 0.0 };
    let eighths = (share * (LONGEST * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.extend(['▏', '▎', '▍', '▌', '▋', '▊', '▉'].get((eighths % 8).wrapping_sub(1)));
    bar
}

fn summary(figures: &Figures) -> Vec<String> {
    let mut lines = Vec::new();
    let (latency, saved) = (&figures.latency, &figures.saved);
    let seconds = |millis: u64| millis as f64 / 1000.0;
    if let (Some(first), Some(total)) = (latency.first_delta, latency.total) {
        lines.push(format!(
            "time to the first words: half within {:.1} s, 90% within {:.1} s; to the end: {:.1} s, {:.1} s",
            seconds(first.p50),
            seconds(first.p90),
            seconds(total.p50),
            seconds(total.p90)
        ));
    }
    if saved.resumed > 0 {
        let took = saved.mean_start_ms.map(|mean| {
            let all = mean * saved.resumed as f64 / 1000.0;
            format!(", about {all:.0} s (a start takes {:.1} s)", mean / 1000.0)
        });
        lines.push(format!(
            "saved by parking: {}{}",
            render::plural(
                usize::try_from(saved.resumed).unwrap_or(usize::MAX),
                "start"
            ),
            took.unwrap_or_default()
        ));
    }
    if saved.cached_tokens > 0 {
        let worth = match saved.cache_dollars {
            0.0 => String::new(),
            dollars => format!(", ${dollars:.2} by list price"),
        };
        lines.push(format!(
            "saved by the cache: {} input tokens were read from it{worth}",
            tokens(saved.cached_tokens)
        ));
    }
    for (class, count) in figures.errors.iter().take(5) {
        lines.push(format!("failed: {count} × {class}"));
    }
    lines
}

/// What Cursor's servers count, or why that is not known.
async fn from_cursor() -> Result<AccountView, String> {
    let env: Env = std::env::vars_os().collect();
    let token = auth::token(&env).ok_or(
        "there is no token of a login; run `open-cursor login` (an API key can't be used for this)",
    )?;
    let variable = |name: &str| std::env::var(name).ok();
    let base = account::address(&variable);
    let waiting = render::progress("asking Cursor");
    let asked = tokio::task::spawn_blocking(move || account::ask(&base, &token)).await;
    drop(waiting);
    let view = asked.map_err(|error| error.to_string())?;
    view.map_err(|error| error.to_string())
}

fn print_cursor(view: &AccountView) {
    render::line(format_args!("\n{NAME}Cursor's own view{NAME:#}"));
    for line in view.summary() {
        render::line(render::plain(&line));
    }
    for (path, answer) in &view.answers {
        render::line(format_args!("{FAINT}{path}{FAINT:#}"));
        for (key, value) in leaves(answer) {
            render::line(format_args!(
                "  {} {}",
                render::plain(&key),
                render::plain(&value)
            ));
        }
    }
    for (path, problem) in &view.problems {
        let problem = problem.as_str().unwrap_or_default();
        render::note(format_args!("{path}: {}", render::plain(problem)));
    }
}

/// The numbers and words of a JSON value with their paths, of long ones the first.
fn leaves(value: &Value) -> Vec<(String, String)> {
    const MOST: usize = 24;
    let mut found = Vec::new();
    let mut left = vec![(String::new(), value)];
    while let Some((path, value)) = left.pop() {
        if found.len() == MOST {
            found.push(("…".to_owned(), "more with --json".to_owned()));
            break;
        }
        let below = |name: &str| match path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match value {
            Value::Object(fields) => {
                let fields = fields.iter().rev();
                left.extend(fields.map(|(name, value)| (below(name), value)));
            }
            Value::Array(items) => found.push((path, render::plural(items.len(), "item"))),
            Value::Null => {}
            Value::String(text) => found.push((path, text.chars().take(80).collect())),
            other => found.push((path, other.to_string())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_leaves() {
        assert_eq!(bar(1.0, 1.0).chars().count(), LONGEST);
        assert_eq!(bar(0.0, 1.0), "");
        assert_eq!(bar(1.0, 0.0), "");
        assert_eq!(bar(1.0 / 48.0, 1.0), "▌");
        let value = json!({"a": {"b": 1, "c": "x"}, "d": [1, 2], "e": null});
        let shown: Vec<String> = leaves(&value)
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(shown, ["a.b=1", "a.c=x", "d=2 items"]);
    }
}

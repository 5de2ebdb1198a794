//! `open-cursor usage`.

mod from_cursor;

use std::{
    path::Path,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::{
    dirs::UserDirs,
    render::{self, FAINT, HINT, NAME, PLAIN},
    requests::{read, time, tokens},
};
use crate::history::{Figures, GroupBy, Totals};

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
    #[arg(long, value_name = "GROUP", default_value = "model",
        value_parser = PossibleValuesParser::new(GROUPS.map(|(name, _)| name)))]
    by: String,

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

/// What turns can be summed by.
const GROUPS: [(&str, GroupBy); 4] = [
    ("model", GroupBy::Model),
    ("client", GroupBy::Client),
    ("workspace", GroupBy::Workspace),
    ("day", GroupBy::Day),
];

/// Prints the sums.
pub async fn run(args: UsageArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let path = dirs.need_history()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let now = i64::try_from(now)?;
    let since = now - now.rem_euclid(DAY_MS) - (i64::from(args.days) - 1) * DAY_MS;
    let group = GROUPS.iter().find(|(name, _)| *name == args.by);
    let group = group.context("there is no such group")?.1;
    let found = read(&path, move |reader| {
        let [sums] = reader.sums([(group, since)])?;
        Ok((sums.groups(), sums.figures()))
    });
    let (groups, figures) = found.await?;
    let cursor = match args.from_cursor {
        true => Some(from_cursor::ask().await),
        false => None,
    };
    if args.json {
        let mut value = json!({
            "since": time(since), "days": args.days, "by": args.by,
            "groups": groups, "figures": figures,
        });
        if let Some(cursor) = &cursor {
            value["cursor"] = match cursor {
                Ok(view) => json!(view),
                Err(problem) => json!({"problem": problem}),
            };
        }
        render::json(&value)?;
    } else if args.csv {
        csv(&args.by, &groups);
    } else {
        print(&args, &groups, &figures, &path);
        match &cursor {
            Some(Ok(view)) => from_cursor::print(view),
            Some(Err(problem)) => render::note(format_args!("Cursor's own view: {problem}")),
            None => {}
        }
    }
    let failed = cursor.is_some_and(|view| view.is_err());
    Ok(ExitCode::from(u8::from(failed)))
}

fn csv(by: &str, groups: &[Totals]) {
    render::line(format_args!(
        "{by},turns,errors,input,cache_read,cache_write,output,estimated_turns,cost_usd,unpriced_turns"
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

fn print(args: &UsageArgs, groups: &[Totals], figures: &Figures, path: &Path) {
    if groups.is_empty() {
        let (place, days) = (path.display(), args.days);
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
    let head = [
        &args.by, "turns", "failed", "input", "cached", "output", "cost",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    let mut bars = vec![String::new()];
    for it in groups {
        let name = match it.name.as_str() {
            "" => "(none)".to_owned(),
            name => render::plain(name),
        };
        rows.push(cells(name, it));
        bars.push(bar(weight(it), most));
    }
    rows.push(cells("all".to_owned(), &figures.all));
    bars.push(String::new());
    let widths = render::widths(&rows);
    let last = rows.len() - 1;
    for (at, (row, bar)) in rows.iter().zip(bars).enumerate() {
        let style = match at {
            0 => FAINT,
            at if at == last => NAME,
            _ => PLAIN,
        };
        let ([name, cells @ ..], [first, others @ ..]) = (row, widths);
        let mut line = format!("{style}{name:first$}{style:#}");
        for (cell, width) in cells.iter().zip(others) {
            line += &format!("  {style}{cell:>width$}{style:#}");
        }
        if !bar.is_empty() {
            line += &format!("  {HINT}{bar}{HINT:#}");
        }
        render::line(line);
    }
    render::line("");
    for line in summary(figures) {
        render::line(line);
    }
}

fn cells(name: String, it: &Totals) -> [String; 7] {
    let about = if it.estimated > 0 { "~" } else { "" };
    [
        name,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        assert_eq!(bar(1.0, 1.0).chars().count(), LONGEST);
        assert_eq!(bar(0.0, 1.0), "");
        assert_eq!(bar(1.0, 0.0), "");
        assert_eq!(bar(1.0 / 48.0, 1.0), "▌");
    }
}

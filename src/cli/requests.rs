//! `open-cursor requests`.

use std::{path::Path, process::ExitCode, time::Duration};

use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{
    dirs::UserDirs,
    render::{self, BAD, FAINT, PLAIN},
};
use crate::history::{HistoryError, LedgerReader, LedgerRow};

/// `2026-11-29 01:02:03Z`.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");

/// How often it is looked for new turns.
const TICK: Duration = Duration::from_millis(300);

/// How many are read at a time.
const BATCH: usize = 500;

/// Show the last turns of all servers, one line each
///
/// Time (UTC), status, how it ended, client, model, the run that answered, time to the first words and in all,
/// tokens (~ is an estimate), cost by list price, tools, id. No prompts, no answers.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor requests
  open-cursor requests --follow
  open-cursor requests --last 1000 --json | jq 'select(.error)'")]
pub struct RequestsArgs {
    /// How many turns
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: usize,

    /// Go on with turns as they end
    #[arg(long)]
    follow: bool,

    /// Print a JSON object on each line
    #[arg(long)]
    json: bool,
}

/// Prints the turns.
pub async fn run(args: RequestsArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let path = dirs.need_history()?;
    let last = args.last;
    let mut rows = read(&path, move |reader| reader.before(i64::MAX, last)).await?;
    rows.reverse();
    if rows.is_empty() && !args.follow {
        render::note(format_args!(
            "no turn is recorded yet in {}",
            path.display()
        ));
    }
    let mut seen = rows.last().map_or(0, |row| row.seq);
    print(&rows, args.json)?;
    while args.follow && !render::is_lost() {
        tokio::time::sleep(TICK).await;
        let look = move |reader: &LedgerReader| {
            let newest = reader.before(i64::MAX, 1)?;
            let newest = newest.first().map_or(0, |row| row.seq);
            Ok((reader.after(seen, BATCH)?, newest))
        };
        let (new, newest) = read(&path, look).await?;
        print(&new, args.json)?;
        // A history that was begun anew counts from one.
        seen = new.last().map_or(seen.min(newest), |row| row.seq);
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the history; nothing if there is none. Opened anew each time, as it may be replaced.
pub(super) async fn read<T: Default + Send + 'static>(
    path: &Path,
    work: impl FnOnce(&LedgerReader) -> Result<T, HistoryError> + Send + 'static,
) -> anyhow::Result<T> {
    let file = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        LedgerReader::open(&file)?.map_or_else(|| Ok(T::default()), |reader| work(&reader))
    });
    read.await?.map_err(|error| {
        render::hinted(
            format_args!("cannot read the history: {error}"),
            "a server that starts moves a damaged file aside, and begins a new one",
        )
    })
}

fn print(rows: &[LedgerRow], as_json: bool) -> anyhow::Result<()> {
    for row in rows {
        if as_json {
            render::line(serde_json::to_string(row)?);
        } else {
            line(row);
        }
    }
    Ok(())
}

fn line(row: &LedgerRow) {
    let model = row.cursor_model.as_deref().unwrap_or(&row.model);
    let status = row
        .status
        .map_or("-".to_owned(), |status| status.to_string());
    let ended = row.error.as_deref().unwrap_or(&row.outcome);
    let style = if row.error.is_some() { BAD } else { PLAIN };
    let first = row.times.first_delta.map_or("-".to_owned(), seconds);
    let mut facts = vec![format!("first {first}, all {}", seconds(row.times.total))];
    if let (Some(input), Some(output)) = (row.input, row.output) {
        let about = if row.estimated { "~" } else { "" };
        let cached = row.cache_read.filter(|cached| *cached > 0);
        let cached = cached
            .map(|it| format!("+{}", tokens(it)))
            .unwrap_or_default();
        facts.push(format!(
            "{about}{}{cached} in {} out",
            tokens(input),
            tokens(output)
        ));
    }
    facts.extend(row.cost.map(|cost| format!("${cost:.4}")));
    let called = row.tools.iter().filter_map(|(name, outcomes)| {
        let times = outcomes.get("called")?;
        Some(format!("{}×{times}", render::plain(name)))
    });
    let called: Vec<String> = called.collect();
    if !called.is_empty() {
        facts.push(called.join(" "));
    }
    render::line(format_args!(
        "{}  {style}{status} {ended}{style:#}  {}  {}  {}  {}  {FAINT}{}{FAINT:#}",
        time(row.at),
        render::plain(&row.client),
        render::plain(model),
        row.run,
        facts.join(", "),
        row.id
    ));
}

fn seconds(millis: u64) -> String {
    format!("{:.1} s", millis as f64 / 1000.0)
}

/// `950`, `12.3k`, `1.23M`.
pub(super) fn tokens(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{:.1}k", count as f64 / 1e3),
        _ => format!("{:.2}M", count as f64 / 1e6),
    }
}

/// A time as [`TIME`], by UTC.
pub(super) fn time(millis: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(millis.div_euclid(1000));
    let shown = at.ok().and_then(|at| at.format(TIME).ok());
    shown.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counts() {
        for (millis, shown) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_827_696_999, "2000-02-29 12:34:56Z"),
            (1_795_914_000_000, "2026-11-29 01:00:00Z"),
            (4_102_444_799_000, "2099-12-31 23:59:59Z"),
        ] {
            assert_eq!(time(millis), shown);
        }
        for (count, shown) in [(9_999, "9999"), (12_345, "12.3k"), (1_234_567, "1.23M")] {
            assert_eq!(tokens(count), shown);
        }
    }
}

//! `GET /page/turns` and `/page/figures`: what the history tells.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use warp::reply::Response;

use super::super::{App, reply};
use crate::{
    dialect::parameters_of,
    history::{Figures, GroupBy, HistoryError, LedgerReader, Sums, Totals},
    turn::{ErrorKind, TurnError},
};

/// How many turns are sent at a time.
const TURNS: usize = 50;

/// How many days the page shows.
const DAYS: i64 = 30;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// How many read the history at one time.
static READERS: Semaphore = Semaphore::const_new(2);

/// The last turns; with `?before=SEQ`, those before.
///
/// # Errors
/// `Internal`: the history can't be read. `InvalidRequest`: `before` is no number.
pub async fn turns(app: &App, query: &str) -> Result<Response, TurnError> {
    let before = parameters_of(query).find(|(name, _)| *name == "before");
    let before = before.map_or(Ok(i64::MAX), |(_, text)| {
        text.parse()
            .map_err(|_| TurnError::invalid("before", "`before` is the `seq` of a turn"))
    })?;
    let turns = read(app, move |reader| reader.before(before, TURNS)).await?;
    Ok(reply::value(&json!({"turns": turns})))
}

/// The sums of today and of the last 30 days.
///
/// # Errors
/// `Internal`: the history can't be read.
pub async fn figures(app: &App) -> Result<Response, TurnError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let today = now - now.rem_euclid(DAY_MS);
    let month = today - (DAYS - 1) * DAY_MS;
    let found = read(app, move |reader| {
        let spans = [
            (GroupBy::Model, today),
            (GroupBy::Model, month),
            (GroupBy::Day, month),
        ];
        let [today, month, days] = reader.sums(spans)?;
        let span = |sums: Sums| {
            let models = sums.groups();
            shown(&sums.figures(), &models)
        };
        Ok(Some(json!({
            "today": span(today),
            "month": span(month),
            "days": days.groups(),
        })))
    });
    let nothing = || shown(&Figures::default(), &[]);
    let found = found.await?;
    let found =
        found.unwrap_or_else(|| json!({"today": nothing(), "month": nothing(), "days": []}));
    Ok(reply::value(&found))
}

fn shown(figures: &Figures, models: &[Totals]) -> Value {
    let mut value = json!(figures);
    value["models"] = json!(models);
    value
}

/// Reads the history off the runtime's threads; what there is by default without one.
async fn read<T: Default + Send + 'static>(
    app: &App,
    work: impl FnOnce(&LedgerReader) -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, TurnError> {
    let Some(path) = app.history().map(|history| history.path().to_owned()) else {
        return Ok(T::default());
    };
    let _turn = READERS.acquire().await;
    let read = tokio::task::spawn_blocking(move || match LedgerReader::open(&path)? {
        Some(reader) => work(&reader),
        None => Ok(T::default()),
    });
    let failed = |why: String| {
        TurnError::new(
            ErrorKind::Internal,
            format!("the history can't be read: {why}"),
        )
    };
    match read.await {
        Ok(found) => found.map_err(|error| failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

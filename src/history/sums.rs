//! Adds up turns: one pass over the table yields the figures of several spans of time.
//!
//! A query for each figure would read the table a dozen times, while somebody waits for a page.

use std::collections::HashMap;

use rusqlite::{Connection, Row};

use super::{Figures, GroupBy, Latency, Savings, Totals, figures::percentiles, ledger_row::read};

/// The columns that [`Counted::read`] takes, in its order.
const COUNTED: &str = "at, error, run, queued, first_event, first_delta, total, input, output, \
     cache_read, cache_write, estimated, cost, cache_saved";

/// The turns since a moment, in groups.
#[derive(Debug, Default)]
pub struct Sums {
    by: GroupBy,
    since: i64,
    groups: HashMap<String, Totals>,
    errors: HashMap<String, u64>,
    first_event: Vec<u64>,
    first_delta: Vec<u64>,
    total: Vec<u64>,
    saved: Savings,
    /// How many fresh turns came to an event, and the time that this took them together.
    starts: u64,
    starting: f64,
}

/// What a turn adds.
struct Counted<'a> {
    at: i64,
    error: Option<&'a str>,
    run: &'a str,
    queued: Option<u64>,
    first_event: Option<u64>,
    first_delta: Option<u64>,
    total: u64,
    totals: Totals,
    cache_saved: f64,
}

/// One pass for all these spans: what each is grouped by, and since when.
pub(super) fn count<const N: usize>(
    connection: &Connection,
    spans: [(GroupBy, i64); N],
) -> rusqlite::Result<[Sums; N]> {
    let names = spans.map(|(by, _)| by.expression()).join(", ");
    let query = format!("SELECT {COUNTED}, {names} FROM turn WHERE at >= ?");
    let first = spans.iter().map(|&(_, since)| since).min();
    let mut all = spans.map(Sums::new);
    let columns = COUNTED.split(',').count();
    let mut statement = connection.prepare(&query)?;
    let mut rows = statement.query([first])?;
    while let Some(row) = rows.next()? {
        let turn = Counted::read(row)?;
        for (sums, column) in all.iter_mut().zip(columns..) {
            if turn.at >= sums.since {
                sums.add(&turn, row.get_ref(column)?.as_str()?);
            }
        }
    }
    Ok(all)
}

impl<'a> Counted<'a> {
    fn read(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let number = |at: usize| row.get::<_, Option<i64>>(at).map(|it| it.map(read));
        let dollars = |at: usize| row.get::<_, Option<f64>>(at);
        let error = row.get_ref(1)?.as_str_or_null()?;
        let (input, cost) = (number(7)?, dollars(12)?);
        Ok(Self {
            at: row.get(0)?,
            error,
            run: row.get_ref(2)?.as_str()?,
            queued: number(3)?,
            first_event: number(4)?,
            first_delta: number(5)?,
            total: number(6)?.unwrap_or_default(),
            totals: Totals {
                turns: 1,
                errors: error.is_some().into(),
                input: input.unwrap_or_default(),
                output: number(8)?.unwrap_or_default(),
                cache_read: number(9)?.unwrap_or_default(),
                cache_write: number(10)?.unwrap_or_default(),
                estimated: number(11)?.unwrap_or_default(),
                cost: cost.unwrap_or_default(),
                unpriced: (cost.is_none() && input.is_some()).into(),
                ..Totals::default()
            },
            cache_saved: dollars(13)?.unwrap_or_default(),
        })
    }
}

impl Sums {
    fn new((by, since): (GroupBy, i64)) -> Self {
        Self {
            by,
            since,
            ..Self::default()
        }
    }

    fn add(&mut self, turn: &Counted<'_>, group: &str) {
        let groups = self.groups.entry(group.to_owned());
        groups.or_default().add(&turn.totals);
        if let Some(class) = turn.error {
            *self.errors.entry(class.to_owned()).or_default() += 1;
        }
        self.first_event.extend(turn.first_event);
        self.first_delta.extend(turn.first_delta);
        self.total.push(turn.total);
        match (turn.run, turn.queued, turn.first_event) {
            ("resumed", ..) => self.saved.resumed += 1,
            ("fresh", Some(queued), Some(event)) => {
                self.starts += 1;
                self.starting += event as f64 - queued as f64;
            }
            _ => {}
        }
        self.saved.cache_dollars += turn.cache_saved;
    }

    /// The groups: days in their order, others with the most expensive first.
    #[must_use]
    pub fn groups(&self) -> Vec<Totals> {
        let named = self.groups.iter().map(|(name, totals)| Totals {
            name: name.clone(),
            ..totals.clone()
        });
        let mut groups: Vec<Totals> = named.collect();
        groups.sort_by(|a, b| {
            let names = a.name.cmp(&b.name);
            match self.by {
                GroupBy::Day => names,
                _ => (b.cost.total_cmp(&a.cost))
                    .then(b.turns.cmp(&a.turns))
                    .then(names),
            }
        });
        groups
    }

    /// The sums of all groups, how long turns took, what was saved, and what failed.
    #[must_use]
    pub fn figures(self) -> Figures {
        let mut all = Totals::default();
        self.groups.values().for_each(|group| all.add(group));
        let mut errors: Vec<(String, u64)> = self.errors.into_iter().collect();
        errors.sort_by(|(a, most), (b, more)| more.cmp(most).then(a.cmp(b)));
        Figures {
            latency: Latency {
                first_event: percentiles(self.first_event),
                first_delta: percentiles(self.first_delta),
                total: percentiles(self.total),
            },
            saved: Savings {
                mean_start_ms: (self.starts > 0).then(|| self.starting / self.starts as f64),
                cached_tokens: all.cache_read,
                ..self.saved
            },
            all,
            errors,
        }
    }
}

//! Sums over turns, by what they have in common.

use serde::Serialize;

/// What turns are summed by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// Cursor's model, else the one that the client named.
    #[default]
    Model,
    /// The program that asked, without its version.
    Client,
    /// The directory that the agent worked in.
    Workspace,
    /// The day, by UTC.
    Day,
}

impl GroupBy {
    /// An SQL expression.
    pub(super) fn expression(self) -> &'static str {
        match self {
            Self::Model => "coalesce(cursor_model, model)",
            Self::Client => {
                "CASE instr(client, '/') WHEN 0 THEN client ELSE substr(client, 1, instr(client, '/') - 1) END"
            }
            Self::Workspace => "coalesce(workspace, '')",
            Self::Day => "date(at / 1000, 'unixepoch')",
        }
    }
}

/// The sums of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// What its turns have in common.
    pub name: String,
    /// How many turns.
    pub turns: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Fresh input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens read from the cache.
    pub cache_read: u64,
    /// Input tokens written to the cache.
    pub cache_write: u64,
    /// How many turns have estimated tokens.
    pub estimated: u64,
    /// In US dollars.
    pub cost: f64,
    /// How many turns have tokens, and no known price.
    pub unpriced: u64,
}

impl Totals {
    /// Takes another group's turns into this one.
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.turns, other.turns),
            (&mut self.errors, other.errors),
            (&mut self.input, other.input),
            (&mut self.output, other.output),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write, other.cache_write),
            (&mut self.estimated, other.estimated),
            (&mut self.unpriced, other.unpriced),
        ] {
            // The numbers are what an agent said, and may be nonsense.
            *sum = sum.saturating_add(more);
        }
        self.cost += other.cost;
    }
}

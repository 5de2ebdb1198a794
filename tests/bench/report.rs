//! The table: medians over the rounds, of the values and of their ratios, and the targets.

use std::fmt;

/// What a row's value should be.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    None,
    /// At most so many times the floor's.
    Ratio(f64),
    Most(f64),
    Least(f64),
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub label: &'static str,
    pub unit: &'static str,
    pub target: Target,
}

/// All samples; column 0 is the server under test, column 1 the floor.
pub struct Table {
    names: [&'static str; 2],
    rows: Vec<(Row, [Vec<f64>; 2])>,
}

impl Table {
    /// An empty one.
    pub fn new<'a>(names: [&'static str; 2], rows: impl Iterator<Item = &'a Row>) -> Self {
        let rows = rows.map(|row| (*row, [Vec::new(), Vec::new()])).collect();
        Self { names, rows }
    }

    /// One round's value.
    pub fn add(&mut self, row: usize, column: usize, value: f64) {
        self.rows[row].1[column].push(value);
    }
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

impl Target {
    fn verdict(self, value: f64, ratio: f64) -> &'static str {
        if value.is_nan() {
            return "";
        }
        let met = match self {
            Self::None => return "",
            Self::Ratio(most) => ratio <= most,
            Self::Most(most) => value <= most,
            Self::Least(least) => value >= least,
        };
        if met { "ok" } else { "MISSED" }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::None => String::new(),
            Self::Ratio(most) => format!("<= {most}x"),
            Self::Most(most) => format!("<= {most}"),
            Self::Least(least) => format!(">= {least}"),
        })
    }
}

/// Three significant digits, which is more than the noise deserves.
fn number(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "-".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ours, floor] = self.names;
        let title = "median of the rounds";
        writeln!(
            f,
            "{title:<34} {:>5} {ours:>11} {floor:>9} {:>7}  target",
            "", "ratio"
        )?;
        for (row, [ours, floor]) in &self.rows {
            let (ours, floor) = (median(ours), median(floor));
            let ratio = if floor > 0.0 { ours / floor } else { f64::NAN };
            writeln!(
                f,
                "{:<34} {:>5} {:>11} {:>9} {:>7}  {:<9} {}",
                row.label,
                row.unit,
                number(ours),
                number(floor),
                number(ratio),
                row.target,
                row.target.verdict(ours, ratio)
            )?;
        }
        Ok(())
    }
}

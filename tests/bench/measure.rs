//! The run: rounds of all measures, the servers side by side.

use std::time::Duration;

use anyhow::Context;

use crate::Options;
use crate::probes::{PROBES, Probe, Subject};
use crate::report::Table;
use crate::server::{Kind, Server, Stage};

/// No measure takes longer on a sound server.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs what was asked for, round by round, and prints the table.
pub fn main(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(options))
}

async fn run(options: &Options) -> anyhow::Result<()> {
    let stage = Stage::new(&options.fence, options.against.clone())?;
    let kinds = match (options.self_test, options.history, &options.against) {
        (true, ..) => [Kind::Floor, Kind::Floor],
        (_, true, _) => [Kind::OpenCursor, Kind::NoHistory],
        (_, _, Some(_)) => [Kind::OpenCursor, Kind::Other],
        _ => [Kind::OpenCursor, Kind::Floor],
    };
    let chosen = |probe: &&Probe| {
        options.only.is_empty() || options.only.iter().any(|word| probe.name.contains(word))
    };
    let probes: Vec<&Probe> = PROBES.iter().filter(chosen).collect();
    let names = kinds.map(Kind::name);
    let mut table = Table::new(names, probes.iter().flat_map(|probe| probe.rows));
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        let mut subjects = Vec::new();
        for kind in kinds {
            subjects.push(Subject {
                kind,
                server: Server::start(&stage, kind).await?,
            });
        }
        let mut at = 0;
        for probe in &probes {
            // Who goes first alternates, so that neither profits from the other's warm caches.
            for turn in 0..kinds.len() {
                let column = (round + turn) % kinds.len();
                let running = (probe.run)(&stage, &subjects[column]);
                let values = tokio::time::timeout(DEADLINE, running)
                    .await
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("not done after {DEADLINE:?}")))
                    .with_context(|| format!("{} of {:?}", probe.name, subjects[column].kind))?;
                for (offset, value) in values.into_iter().enumerate() {
                    table.add(at + offset, column, value);
                }
            }
            at += probe.rows.len();
        }
    }
    print!("{table}");
    Ok(())
}

//! The measures: what is done to a server, and which rows of the table it fills.

use std::time::Duration;

use anyhow::Context;
use futures::future::{LocalBoxFuture, try_join_all};
use http_body_util::BodyExt;

use crate::agent::{MICROS, Mode, micros, now};
use crate::client::Client;
use crate::report::{Row, Target};
use crate::server::{Kind, Memory, Server, Stage};

const FIRST: Mode = Mode::Burst {
    deltas: 1,
    bytes: 24,
};
const PACED: Mode = Mode::Paced {
    deltas: 200,
    millis: 5,
};
/// For many streams: two cores have to serve, and play, them all.
const SLOW: Mode = Mode::Paced {
    deltas: 100,
    millis: 10,
};
const BURST: Mode = Mode::Burst {
    deltas: 200_000,
    bytes: 24,
};
const BULK: Mode = Mode::Burst {
    deltas: 12_208,
    bytes: 4096,
};
const LINE: Mode = Mode::Burst {
    deltas: 1,
    bytes: 16_000_000,
};
/// Everything that the agent is asked for.
pub const MODES: [Mode; 8] = [
    FIRST,
    PACED,
    SLOW,
    BURST,
    BULK,
    LINE,
    Mode::Linger,
    Mode::Endless,
];

/// One thing that is measured.
pub struct Probe {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it fills.
    pub rows: &'static [Row],
    /// One value per row.
    pub run: for<'a> fn(&'a Stage, &'a Subject) -> LocalBoxFuture<'a, anyhow::Result<Vec<f64>>>,
}

/// A server, and which one it is.
pub struct Subject {
    pub kind: Kind,
    pub server: Server,
}

const fn row(label: &'static str, unit: &'static str, target: Target) -> Row {
    Row {
        label,
        unit,
        target,
    }
}

/// Light ones first: they want a server with a small heap.
pub const PROBES: &[Probe] = &[
    Probe {
        name: "start",
        rows: &[
            row("start to healthy", "ms", Target::Most(30.0)),
            row("RSS idle", "MB", Target::None),
            row("of it private", "MB", Target::None),
        ],
        run: |_, subject| Box::pin(start(subject)),
    },
    Probe {
        name: "first",
        rows: &[row("request to first delta", "ms", Target::Ratio(1.2))],
        run: |_, subject| Box::pin(first(subject, Duration::from_millis(30))),
    },
    Probe {
        name: "first-at-once",
        rows: &[row("the same, the next at once", "ms", Target::None)],
        run: |_, subject| Box::pin(first(subject, Duration::ZERO)),
    },
    Probe {
        name: "latency-1",
        rows: &[
            row("delta latency, 1 stream, p50", "us", Target::Ratio(1.3)),
            row("delta latency, 1 stream, p99", "us", Target::None),
        ],
        run: |_, subject| Box::pin(latency(subject, 1)),
    },
    Probe {
        name: "latency-8",
        rows: &[
            row("delta latency, 8 streams, p50", "us", Target::Ratio(1.3)),
            row("delta latency, 8 streams, p99", "us", Target::None),
        ],
        run: |_, subject| Box::pin(latency(subject, 8)),
    },
    Probe {
        name: "latency-64",
        rows: &[
            row("delta latency, 64 streams, p50", "us", Target::Ratio(1.3)),
            row("delta latency, 64 streams, p99", "us", Target::None),
            row("CPU per delta, 64 paced streams", "us", Target::None),
            row("RSS at 64 streams", "MB", Target::None),
            row("of it private", "MB", Target::Most(14.0)),
        ],
        run: |_, subject| Box::pin(many(subject)),
    },
    Probe {
        name: "requests",
        rows: &[row("requests/s, 4 at a time", "/s", Target::None)],
        run: |_, subject| Box::pin(requests(subject)),
    },
    Probe {
        name: "end",
        rows: &[row("result to [DONE]", "ms", Target::Most(5.0))],
        run: |_, subject| Box::pin(end(subject)),
    },
    Probe {
        name: "burst",
        rows: &[row(
            "CPU per delta, 200,000 of 24 B",
            "us",
            Target::Most(2.0),
        )],
        run: |_, subject| Box::pin(burst(subject)),
    },
    Probe {
        name: "bulk",
        rows: &[row(
            "50 MB in deltas of 4 KiB",
            "MB/s",
            Target::Least(600.0),
        )],
        run: |_, subject| Box::pin(bulk(subject)),
    },
    Probe {
        name: "line",
        rows: &[row("one 16 MB line", "s", Target::Most(0.2))],
        run: |_, subject| Box::pin(line(subject)),
    },
    Probe {
        name: "stalled",
        rows: &[
            row("RSS growth, stalled client", "MB", Target::None),
            row("of it private", "MB", Target::Most(2.0)),
        ],
        run: |stage, subject| Box::pin(stalled(stage, subject)),
    },
];

async fn start(subject: &Subject) -> anyhow::Result<Vec<f64>> {
    let memory = subject.server.memory()?;
    Ok(vec![
        millis(subject.server.start.as_nanos() as u64),
        memory.resident,
        memory.private,
    ])
}

/// One request after the other, with pauses between them as a user makes.
async fn first(subject: &Subject, pause: Duration) -> anyhow::Result<Vec<f64>> {
    let mut client = Client::connect(subject.server.port).await?;
    let mut times = Vec::new();
    for _ in 0..100 {
        tokio::time::sleep(pause).await;
        let received = client.receive(FIRST, 1).await?;
        times.push(received.first - received.sent);
    }
    Ok(vec![millis(quantile(&mut times, 0.5))])
}

/// Paced streams at once; all their deltas' delays.
async fn delays(subject: &Subject, streams: usize, pace: Mode) -> anyhow::Result<Vec<u64>> {
    let Mode::Paced { deltas, .. } = pace else {
        unreachable!()
    };
    let stream = async |_| {
        let mut client = Client::connect(subject.server.port).await?;
        anyhow::Ok(client.receive(pace, deltas).await?.delays)
    };
    Ok(try_join_all((0..streams).map(stream)).await?.concat())
}

async fn latency(subject: &Subject, streams: usize) -> anyhow::Result<Vec<f64>> {
    let mut delays = delays(subject, streams, PACED).await?;
    let quantiles = [quantile(&mut delays, 0.5), quantile(&mut delays, 0.99)];
    Ok(quantiles.map(|nanos| nanos as f64 / 1e3).to_vec())
}

async fn many(subject: &Subject) -> anyhow::Result<Vec<f64>> {
    let before = subject.server.cpu()?;
    let (mut delays, peak) = with_peak(subject, delays(subject, 64, SLOW)).await?;
    let cpu = (subject.server.cpu()? - before) / delays.len() as f64;
    let quantiles = [quantile(&mut delays, 0.5), quantile(&mut delays, 0.99)];
    let [p50, p99] = quantiles.map(|nanos| nanos as f64 / 1e3);
    Ok(vec![p50, p99, cpu * 1e6, peak.resident, peak.private])
}

/// What `work` gives, and the server's highest memory meanwhile.
async fn with_peak<T>(
    subject: &Subject,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Memory)> {
    tokio::pin!(work);
    let mut peak = Memory::default();
    loop {
        tokio::select! {
            done = &mut work => return Ok((done?, peak)),
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                let memory = subject.server.memory()?;
                peak.resident = peak.resident.max(memory.resident);
                peak.private = peak.private.max(memory.private);
            }
        }
    }
}

async fn requests(subject: &Subject) -> anyhow::Result<Vec<f64>> {
    let (start, deadline) = (now(), now() + 1_000_000_000);
    let worker = async |_| {
        let mut client = Client::connect(subject.server.port).await?;
        let mut done = 0;
        while now() < deadline {
            client.receive(FIRST, 1).await?;
            done += 1;
        }
        anyhow::Ok(done)
    };
    let done: u32 = try_join_all((0..4).map(worker)).await?.into_iter().sum();
    Ok(vec![f64::from(done) / seconds(now() - start)])
}

/// The floor has no `[DONE]`: it ends with the agent.
async fn end(subject: &Subject) -> anyhow::Result<Vec<f64>> {
    if subject.kind == Kind::Floor {
        return Ok(vec![f64::NAN]);
    }
    let mut times = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(subject.server.port).await?;
        let received = client.receive(Mode::Linger, 1).await?;
        let ended = micros(received.end) + MICROS;
        times.push((ended - received.prompt_tokens()?) % MICROS * 1_000);
    }
    Ok(vec![millis(quantile(&mut times, 0.5))])
}

async fn burst(subject: &Subject) -> anyhow::Result<Vec<f64>> {
    let Mode::Burst { deltas, .. } = BURST else {
        unreachable!()
    };
    let before = subject.server.cpu()?;
    Client::connect(subject.server.port)
        .await?
        .receive(BURST, deltas)
        .await?;
    Ok(vec![(subject.server.cpu()? - before) / deltas as f64 * 1e6])
}

/// (bytes of text, seconds) of one whole response.
async fn whole(subject: &Subject, mode: Mode) -> anyhow::Result<(f64, f64)> {
    let Mode::Burst { deltas, bytes } = mode else {
        unreachable!()
    };
    let mut client = Client::connect(subject.server.port).await?;
    let received = client.receive(mode, deltas).await?;
    Ok((
        (deltas * bytes) as f64,
        seconds(received.end - received.sent),
    ))
}

async fn bulk(subject: &Subject) -> anyhow::Result<Vec<f64>> {
    let (bytes, seconds) = whole(subject, BULK).await?;
    Ok(vec![bytes / 1e6 / seconds])
}

async fn line(subject: &Subject) -> anyhow::Result<Vec<f64>> {
    Ok(vec![whole(subject, LINE).await?.1])
}

/// A server of its own, so that memory freed by other measures can't hide the growth.
async fn stalled(stage: &Stage, subject: &Subject) -> anyhow::Result<Vec<f64>> {
    let server = Server::start(stage, subject.kind).await?;
    let subject = Subject {
        kind: subject.kind,
        server,
    };
    let mut client = Client::connect(subject.server.port).await?;
    client.receive(FIRST, 1).await?;
    let before = subject.server.memory()?;
    let mut body = client.ask(Mode::Endless).await?.into_body();
    body.frame().await.context("no frame")??;
    let pause = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    };
    let ((), peak) = with_peak(&subject, pause).await?;
    Ok(vec![
        peak.resident - before.resident,
        peak.private - before.private,
    ])
}

fn quantile(values: &mut [u64], q: f64) -> u64 {
    values.sort_unstable();
    let at = (values.len() as f64 * q) as usize;
    values
        .get(at.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0)
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

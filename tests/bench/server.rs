//! A server under test, as a process: started, watched through `/proc`, ended.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::Client;

/// Clock ticks per second of the times in `/proc/PID/stat`; fixed by the kernel's interface.
const TICKS: f64 = 100.0;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    OpenCursor,
    /// The same with `--history false`.
    NoHistory,
    /// Another build of open-cursor.
    Other,
    Floor,
}

impl Kind {
    /// Its heading in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenCursor => "open-cursor",
            Self::NoHistory => "no history",
            Self::Other => "other",
            Self::Floor => "floor",
        }
    }
}

/// The directory with this binary under the names of its other roles.
pub struct Stage {
    directory: tempfile::TempDir,
    /// `--fence` of open-cursor.
    fence: String,
    /// The program of [`Kind::Other`].
    other: Option<PathBuf>,
}

impl Stage {
    /// Copies this binary; a link might be followed and lose its name.
    pub fn new(fence: &str, other: Option<PathBuf>) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        for name in ["cursor-agent", "bench-floor"] {
            std::fs::copy(std::env::current_exe()?, directory.path().join(name))?;
        }
        Ok(Self {
            directory,
            fence: fence.to_owned(),
            other,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the last server said at the end.
    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.path("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        format!("its last lines: {}", lines.join(" | "))
    }

    fn command(&self, kind: Kind, info: &Path) -> Command {
        match kind {
            Kind::Floor => {
                let mut command = Command::new(self.path("bench-floor"));
                command.arg(info).arg(self.path("cursor-agent"));
                command
            }
            Kind::OpenCursor | Kind::NoHistory | Kind::Other => {
                let ours = std::env::var_os("OPEN_CURSOR")
                    .unwrap_or_else(|| env!("CARGO_BIN_EXE_open-cursor").into());
                let other = self.other.clone().filter(|_| kind == Kind::Other);
                let mut command = Command::new(other.unwrap_or_else(|| ours.into()));
                command
                    .args(["serve", "--port", "0", "--server-info"])
                    .arg(info);
                command.arg("--agent").arg(self.path("cursor-agent"));
                command.arg("--workspace").arg(self.directory.path());
                command.args(["--max-running", "64", "--fence", &self.fence]);
                if kind == Kind::NoHistory {
                    command.args(["--history", "false"]);
                }
                command.env("HOME", self.directory.path());
                command
            }
        }
    }
}

/// What is in memory of a server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// All of it.
    pub resident: f64,
    /// Without pages of files, of which most are the program: they are there once for all its servers
    /// and are given up when memory is short.
    pub private: f64,
}

/// A running server; dropped, it is stopped.
pub struct Server {
    child: Child,
    /// Where it listens, on loopback.
    pub port: u16,
    /// How long it took until it answered `/health`.
    pub start: Duration,
}

impl Server {
    /// Starts one and waits until it is healthy.
    pub async fn start(stage: &Stage, kind: Kind) -> anyhow::Result<Self> {
        let info = stage.path("server.json");
        if info.exists() {
            std::fs::remove_file(&info)?;
        }
        let log = std::fs::File::create(stage.path("server.log"))?;
        let mut command = stage.command(kind, &info);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let started = Instant::now();
        let mut server = Self {
            child: command.spawn()?,
            port: 0,
            start: Duration::ZERO,
        };
        match tokio::time::timeout(Duration::from_secs(10), server.healthy(&info)).await {
            Ok(Ok(port)) => server.port = port,
            Ok(Err(error)) => return Err(error.context(stage.log_tail())),
            Err(_) => bail!("{kind:?} is not healthy after 10 s: {}", stage.log_tail()),
        }
        server.start = started.elapsed();
        Ok(server)
    }

    async fn healthy(&mut self, info: &Path) -> anyhow::Result<u16> {
        #[derive(serde::Deserialize)]
        struct Info {
            port: u16,
        }
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended: {status}");
            }
            let port = std::fs::read(info).ok().and_then(|text| {
                serde_json::from_slice::<Info>(&text)
                    .ok()
                    .map(|info| info.port)
            });
            if let Some(port) = port
                && Client::connect(port).await?.is_healthy().await?
            {
                return Ok(port);
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }

    /// User and system time so far, in seconds, of the server alone.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, after) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let times = after.split_whitespace().skip(11).take(2);
        let ticks = times.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(ticks / TICKS)
    }

    /// What is in memory of the server, in MB (10^6).
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let megabytes = |name: &'static str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().next());
            anyhow::Ok(kilobytes.context(name)?.parse::<f64>()? * 1024.0 / 1e6)
        };
        Ok(Memory {
            resident: megabytes("VmRSS:")?,
            private: megabytes("RssAnon:")?,
        })
    }
}

impl Drop for Server {
    /// Asks it to stop, so that it takes its agents with it.
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let patience = Instant::now();
        while patience.elapsed() < Duration::from_secs(3) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A child that is started before it is known what for.
//!
//! It gets its [order](super::SpawnOrder) as the first bytes of its stdin, and must read no
//! byte more: what follows is the stdin of the program that it becomes or starts.

use std::io;

use tokio::process::Child;

use super::SpawnSpec;

/// A child that waits for its order. Dropped, it is killed.
#[derive(Debug)]
pub struct WaitingChild {
    pub(super) child: Child,
}

impl WaitingChild {
    /// Starts a program that reads an order. To be called within the runtime.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn start(spec: &SpawnSpec) -> io::Result<Self> {
        let child = spec.command().kill_on_drop(true).spawn()?;
        Ok(Self { child })
    }

    /// Whether it still waits, as far as can be seen.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it and waits until it is gone.
    pub async fn end(mut self) {
        let _ = self.child.kill().await;
    }
}

/// How a child comes to run a program.
#[derive(Debug)]
pub enum Start {
    /// It is started.
    New(SpawnSpec),
    /// It is there, and gets the order.
    Waiting(WaitingChild, SpawnSpec),
}

impl Start {
    /// What is run.
    pub fn spec(&mut self) -> &mut SpawnSpec {
        match self {
            Self::New(spec) | Self::Waiting(_, spec) => spec,
        }
    }
}

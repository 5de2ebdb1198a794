//! `--agent`, for commands that run the agent but need no other setting.

use crate::settings::Flags;

/// The flag.
#[derive(Debug, Default, clap::Args)]
pub struct AgentFlag {
    /// Agent program, or `replay` for the built-in one [default: as for `serve`]
    #[arg(long, value_name = "PATH|replay")]
    pub agent: Option<String>,
}

impl AgentFlag {
    /// The settings that it makes.
    pub fn flags(&self) -> Flags {
        let agent = self.agent.clone();
        agent.map(|agent| ("agent", agent)).into_iter().collect()
    }
}

//! How runs wait for the results of a client's tools, as the settings choose.

use std::str::FromStr;

/// How a run can wait for the results of the client's tools (`--turns`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Turns {
    /// Where the agent is found to take served tools or has a view of the workspace.
    #[default]
    Auto,
    /// Not at all: each answer with calls ends its run, and their results start another.
    Respawn,
    /// The same; the server does not start if neither is so.
    Parked,
    /// Always with served tools; the server does not start without.
    ParkedMcp,
    /// Always in a view; the server does not start without.
    ParkedView,
}

impl Turns {
    /// Whether the client's tools are served to an agent that takes them.
    #[must_use]
    pub fn serves_tools(self) -> bool {
        matches!(self, Self::Auto | Self::Parked | Self::ParkedMcp)
    }

    /// Whether an agent with a view of the workspace works on after a change.
    #[must_use]
    pub fn collects_changes(self) -> bool {
        matches!(self, Self::Auto | Self::Parked | Self::ParkedView)
    }

    /// As settings name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Respawn => "respawn",
            Self::Parked => "parked",
            Self::ParkedMcp => "parked:mcp",
            Self::ParkedView => "parked:view",
        }
    }
}

impl FromStr for Turns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "respawn" => Ok(Self::Respawn),
            "parked" => Ok(Self::Parked),
            "parked:mcp" => Ok(Self::ParkedMcp),
            "parked:view" => Ok(Self::ParkedView),
            _ => Err(format!(
                "`{text}` is not one of auto, respawn, parked, parked:mcp, parked:view"
            )),
        }
    }
}

//! What the client's tools are called towards an agent, which takes no name that is long or odd.

use std::collections::HashMap;

use crate::turn::ToolSpec;

/// The names of the tools of one run: the client's, and the agent's for the same tool.
#[derive(Debug, Clone)]
pub struct ToolNames {
    /// The client's name and the agent's name, in the client's order.
    pairs: Vec<(String, String)>,
    by_agent: HashMap<String, usize>,
    longest: usize,
}

impl ToolNames {
    /// Names of at most `longest` bytes, of letters, digits, `_` and `-`. Names that are so already
    /// are kept, and have precedence over aliases.
    pub fn new(specs: &[ToolSpec], longest: usize) -> Self {
        let mut names = Self {
            pairs: Vec::with_capacity(specs.len()),
            by_agent: HashMap::new(),
            longest,
        };
        let is_plain =
            |name: &str| !name.is_empty() && name.len() <= longest && name.bytes().all(is_allowed);
        for (at, spec) in specs.iter().enumerate() {
            if is_plain(&spec.name) {
                names.by_agent.entry(spec.name.clone()).or_insert(at);
            }
        }
        for (at, spec) in specs.iter().enumerate() {
            let agent = if names.by_agent.get(&spec.name) == Some(&at) {
                spec.name.clone()
            } else {
                let alias = names.unused(&spec.name);
                names.by_agent.insert(alias.clone(), at);
                alias
            };
            names.pairs.push((spec.name.clone(), agent));
        }
        names
    }

    /// The client's name and the agent's name of each tool.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The agent's names.
    pub fn agents(&self) -> Vec<&str> {
        let pairs = self.pairs.iter();
        pairs.map(|(_, agent)| agent.as_str()).collect()
    }

    /// The client's name of the tool that the agent calls so.
    pub fn client(&self, agent_name: &str) -> Option<&str> {
        let at = *self.by_agent.get(agent_name)?;
        self.pairs.get(at).map(|(client, _)| client.as_str())
    }

    /// A name like this one that no tool has.
    pub(super) fn unused(&self, name: &str) -> String {
        let plain = name.chars().map(|c| match u8::try_from(c) {
            Ok(byte) if is_allowed(byte) => c,
            _ => '_',
        });
        let mut plain: String = plain.take(self.longest).collect();
        if plain.is_empty() {
            plain.push_str("tool");
        }
        let mut alias = plain.clone();
        let mut number = 2;
        while self.by_agent.contains_key(&alias) {
            let suffix = format!("_{number}");
            let room = self.longest - suffix.len();
            alias = format!("{}{suffix}", &plain[..plain.len().min(room)]);
            number += 1;
        }
        alias
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

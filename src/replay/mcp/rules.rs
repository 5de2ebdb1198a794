//! The permissions of the CLI's configuration, as far as they are about MCP (FACTS 1.6).

use std::io;

use serde_json::{Value, json};

use super::{config_file, read_json};
use crate::replay::surface::ReplayRun;

/// What `permissions` of `cli-config.json` say of MCP.
pub(super) struct McpRules {
    allow: Vec<String>,
    deny: Vec<String>,
    force: bool,
}

impl McpRules {
    pub(super) fn of(run: &ReplayRun<'_>) -> io::Result<Self> {
        let config = config_file("cli-config.json")
            .map(|file| read_json(&file))
            .transpose()?;
        let permissions = config.flatten().unwrap_or_default();
        let list = |key: &str| -> Vec<String> {
            let rules = permissions["permissions"][key]
                .as_array()
                .into_iter()
                .flatten();
            rules
                .filter_map(|rule| Some(rule.as_str()?.to_owned()))
                .collect()
        };
        Ok(Self {
            allow: list("allow"),
            deny: list("deny"),
            force: run.args.force,
        })
    }

    /// How a call that must not be made ends.
    pub(super) fn refusal(&self, server: &str, tool: &str) -> Option<Value> {
        let covers = |rules: &[String]| rules.iter().any(|rule| covers(rule, server, tool));
        if covers(&self.deny) {
            let error = "MCP tool blocked by permissions configuration";
            return Some(json!({"permissionDenied": {"error": error, "isReadonly": false}}));
        }
        if self.force || covers(&self.allow) {
            return None;
        }
        let reason = format!("User rejected MCP: {server}-{tool}");
        Some(json!({"rejected": {"reason": reason, "isReadonly": false}}))
    }
}

/// Whether a rule `Mcp(server:tool)` names this tool. `*` stands for anything.
fn covers(rule: &str, server: &str, tool: &str) -> bool {
    let inner = rule
        .strip_prefix("Mcp(")
        .and_then(|rule| rule.strip_suffix(')'));
    inner
        .and_then(|inner| inner.split_once(':'))
        .is_some_and(|(servers, tools)| {
            (servers == "*" || servers == server) && (tools == "*" || tools == tool)
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn deny_beats_allow_and_nothing_is_allowed_by_itself() {
        let refused = |allow: &str, deny: &str, force| {
            let list = |rule: &str| vec![rule.to_owned()];
            let rules = McpRules {
                allow: list(allow),
                deny: list(deny),
                force,
            };
            rules
                .refusal("oc", "bash")
                .map(|it| it.as_object().unwrap().keys().next().unwrap().clone())
        };
        assert_eq!(refused("", "", false).unwrap(), "rejected");
        assert_eq!(refused("Mcp(other:*)", "", false).unwrap(), "rejected");
        assert_eq!(refused("Mcp(oc:*)", "", false), None);
        assert_eq!(refused("Mcp(oc:bash)", "Mcp(other:*)", false), None);
        assert_eq!(refused("", "", true), None);
        for force in [true, false] {
            assert_eq!(
                refused("Mcp(oc:*)", "Mcp(*:*)", force).unwrap(),
                "permissionDenied"
            );
        }
    }
}

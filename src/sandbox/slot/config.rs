//! The agent's `cli-config.json`: the user's own with our deny rules added (FACTS 1.5, 1.6).

use serde_json::{Map, Value, json};

use super::Rules;

/// The configuration file's name.
pub(super) const FILE: &str = "cli-config.json";

/// Cached feature flags beside it.
pub(super) const FLAGS: &str = "statsig-cache.json";

/// The user's configuration with the rules added to `permissions`. Everything else stays as it
/// is; without a readable configuration, the smallest one that Cursor takes.
pub(super) fn merged(users: Option<&str>, rules: Rules) -> String {
    let mut config: Map<String, Value> = users
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    config.entry("version").or_insert(json!(1));
    let mut permissions = match taken(&mut config, "permissions") {
        Value::Object(permissions) => permissions,
        _ => Map::new(),
    };
    for (name, added) in [("allow", rules.allow), ("deny", rules.deny)] {
        let mut rules = match taken(&mut permissions, name) {
            Value::Array(rules) => rules,
            _ => Vec::new(),
        };
        for rule in added {
            if !rules.iter().any(|present| present == rule) {
                rules.push(json!(rule));
            }
        }
        permissions.insert(name.into(), Value::Array(rules));
    }
    config.insert("permissions".into(), Value::Object(permissions));
    Value::Object(config).to_string()
}

/// The value of a key, which keeps its place for another one.
fn taken(object: &mut Map<String, Value>, key: &str) -> Value {
    object.get_mut(key).map(Value::take).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn rules_join_the_users_own() {
        let smallest =
            json!({"version": 1, "permissions": {"allow": [], "deny": ["Shell(**)", "Mcp(*:*)"]}});
        for (users, expected) in [
            (None, smallest.clone()),
            (Some("not json"), smallest.clone()),
            (Some("[1]"), smallest),
            (
                Some(
                    r#"{"version":1,"permissions":{"allow":["Shell(ls)"],"deny":["Read(.env)","Mcp(*:*)"]},"model":{"id":"x"}}"#,
                ),
                json!({
                    "version": 1,
                    "permissions": {"allow": ["Shell(ls)"], "deny": ["Read(.env)", "Mcp(*:*)", "Shell(**)"]},
                    "model": {"id": "x"},
                }),
            ),
            (
                Some(r#"{"version":2,"permissions":null}"#),
                json!({"version": 2, "permissions": {"allow": [], "deny": ["Shell(**)", "Mcp(*:*)"]}}),
            ),
        ] {
            let rules = Rules {
                allow: &[],
                deny: &["Shell(**)", "Mcp(*:*)"],
            };
            let config = merged(users, rules);
            let config: Value = serde_json::from_str(&config).unwrap();
            assert_eq!(config, expected, "{users:?}");
        }
    }
}

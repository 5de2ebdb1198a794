//! Paths of one directory that mean another.

use serde_json::Value;

/// Puts one directory in place of another in all texts of a value. Models name files, also within
/// commands, by the directory that their agent works in.
pub fn relocate(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text.contains(from) => *text = text.replace(from, to),
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, from, to)),
        Value::Object(map) => map.values_mut().for_each(|item| relocate(item, from, to)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_agents_directory_are_the_clients() {
        let mut value = serde_json::json!({
            "filePath": "/slots/0/workspace/a.rs",
            "edits": [{"path": "/slots/0/workspace"}, 7, "/other/a.rs"],
        });
        relocate(&mut value, "/slots/0/workspace", "/home/me/project");
        let wanted = serde_json::json!({
            "filePath": "/home/me/project/a.rs",
            "edits": [{"path": "/home/me/project"}, 7, "/other/a.rs"],
        });
        assert_eq!(value, wanted);
    }
}

//! What Cursor's servers count for the account.

use serde_json::Value;

use crate::{
    account::{self, AccountView},
    auth,
    cli::{
        process_env,
        render::{self, FAINT, NAME},
    },
};

/// What Cursor's servers count, or why that is not known.
pub(super) async fn ask() -> Result<AccountView, String> {
    let token = auth::token(&process_env()).ok_or(
        "there is no token of a login; run `open-cursor login` (an API key can't be used for this)",
    )?;
    let variable = |name: &str| std::env::var(name).ok();
    let base = account::address(&variable);
    let waiting = render::progress("asking Cursor");
    let asked = tokio::task::spawn_blocking(move || account::ask(&base, &token)).await;
    drop(waiting);
    let view = asked.map_err(|error| error.to_string())?;
    view.map_err(|error| error.to_string())
}

pub(super) fn print(view: &AccountView) {
    render::line(format_args!("\n{NAME}Cursor's own view{NAME:#}"));
    for line in view.summary() {
        render::line(render::plain(&line));
    }
    for (path, answer) in &view.answers {
        render::line(format_args!("{FAINT}{path}{FAINT:#}"));
        for (key, value) in leaves(answer) {
            render::line(format_args!(
                "  {} {}",
                render::plain(&key),
                render::plain(&value)
            ));
        }
    }
    for (path, problem) in &view.problems {
        let problem = problem.as_str().unwrap_or_default();
        render::note(format_args!("{path}: {}", render::plain(problem)));
    }
}

/// The numbers and words of a JSON value with their paths, of long ones the first.
fn leaves(value: &Value) -> Vec<(String, String)> {
    const MOST: usize = 24;
    let mut found = Vec::new();
    let mut left = vec![(String::new(), value)];
    while let Some((path, value)) = left.pop() {
        if found.len() == MOST {
            found.push(("…".to_owned(), "more with --json".to_owned()));
            break;
        }
        let below = |name: &str| match path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match value {
            Value::Object(fields) => {
                let fields = fields.iter().rev();
                left.extend(fields.map(|(name, value)| (below(name), value)));
            }
            Value::Array(items) => found.push((path, render::plural(items.len(), "item"))),
            Value::Null => {}
            Value::String(text) => found.push((path, text.chars().take(80).collect())),
            other => found.push((path, other.to_string())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn leaves_have_paths() {
        let value = json!({"a": {"b": 1, "c": "x"}, "d": [1, 2], "e": null});
        let shown: Vec<String> = leaves(&value)
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(shown, ["a.b=1", "a.c=x", "d=2 items"]);
    }
}

//! Whether there is an agent, whether it is Cursor's, and its version.

use super::{CheckResult, Checked, Context};

pub(super) async fn check(context: &Context) -> Checked {
    if context.bridge.is_some() {
        return Ok(CheckResult::info("Cursor's SDK bridge"));
    }
    let program = context.program.as_ref().map_err(|error| {
        CheckResult::problem(error).hint("`open-cursor demo` works without Cursor")
    })?;
    let path = program.path.display();
    if program.is_built_in() {
        let text = "the built-in replay agent: it answers from a script";
        return Ok(CheckResult::info(text));
    }
    let reply = context.query(program, &["--version"], 10).await;
    let reply = reply
        .map_err(|error| CheckResult::problem(error).hint(format!("try `{path} --version`")))?;
    Ok(match reply.first_line() {
        Some(version) if is_version(&version) => {
            CheckResult::ok(format!("{path}, version {version}"))
        }
        Some(other) => CheckResult::warning(format!(
            "`{path} --version` printed `{other}`, which is not a version of Cursor's CLI"
        ))
        .hint(
            "set the path of Cursor's CLI with `agent` in config.toml or CURSOR_AGENT_EXECUTABLE",
        ),
        None => CheckResult::problem(format!(
            "`{path} --version` does not work: {}",
            reply.error()
        ))
        .hint("reinstall Cursor's CLI"),
    })
}

/// `2026.10.01-e373342`, or with the time before the hash (FACTS 1.1).
fn is_version(text: &str) -> bool {
    let Some((date, hash)) = text.rsplit_once('-') else {
        return false;
    };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut numbers = date.split(['.', '-']);
    let is_date = numbers.clone().count() >= 3 && numbers.all(is_number);
    is_date && hash.len() >= 7 && hash.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, is) in [
            ("2026.10.01-e373342", true),
            ("2026.10.01-12-30-59-e373342", true),
            ("1.2.3", false),
            ("grok 0.5.1-abcdef0", false),
            ("2026.10.01-xyz", false),
            ("", false),
        ] {
            assert_eq!(is_version(text), is, "{text}");
        }
    }
}

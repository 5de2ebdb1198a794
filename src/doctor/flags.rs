//! Whether the agent supports the options of a run.

use super::{Context, finding::CheckResult};

/// What `serve` passes.
const NEEDED: &[&str] = &[
    "--print",
    "--output-format",
    "--stream-partial-output",
    "--model",
    "--workspace",
    "--trust",
    "--resume",
];

pub(super) async fn check(context: &Context) -> CheckResult {
    let Ok(program) = &context.program else {
        return CheckResult::no_agent();
    };
    if program.is_built_in() {
        return CheckResult::ok("the replay agent supports all options");
    }
    let help = match context.query(program, &["--help"], 10).await {
        Ok(reply) if reply.stdout.trim().is_empty() => {
            return CheckResult::problem(format!(
                "`{} --help` does not work: {}",
                program.path.display(),
                reply.error()
            ))
            .hint("reinstall Cursor's CLI");
        }
        Ok(reply) => reply.stdout,
        Err(error) => return CheckResult::problem(error.to_string()),
    };
    if !help.contains("Cursor") {
        let path = program.path.display();
        return CheckResult::problem(format!("{path} is not Cursor's CLI: its help does not name Cursor")).hint(
            "other vendors use this name too; set the path of Cursor's CLI with `agent` in config.toml",
        );
    }
    let words: Vec<&str> = help
        .split(|c: char| c.is_whitespace() || c == ',')
        .collect();
    let missing: Vec<&str> = NEEDED
        .iter()
        .copied()
        .filter(|flag| !words.contains(flag))
        .collect();
    if missing.is_empty() {
        return CheckResult::ok(format!(
            "supports all {} options that runs use",
            NEEDED.len()
        ));
    }
    CheckResult::problem(format!("does not support {}", missing.join(", ")))
        .hint("update Cursor's CLI with `cursor-agent update`")
}

//! Whether the agent takes the options that a run needs.

use super::{Context, finding::Verdict};

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

pub(super) async fn check(context: &Context) -> Verdict {
    let Ok(program) = &context.program else {
        return Verdict::no_agent();
    };
    if program.is_built_in() {
        return Verdict::ok("the replay agent takes what the CLI takes");
    }
    let help = match context.query(program, &["--help"], 10).await {
        Ok(reply) if reply.stdout.trim().is_empty() => {
            return Verdict::problem(format!(
                "{} does not tell its options: {}",
                program.path.display(),
                reply.error()
            ))
            .hint("reinstall Cursor's CLI if `--help` fails");
        }
        Ok(reply) => reply.stdout,
        Err(error) => return Verdict::problem(error.to_string()),
    };
    if !help.contains("Cursor") {
        let path = program.path.display();
        return Verdict::problem(format!("{path} is not Cursor's: its help does not say so")).hint(
            "another vendor has a program of this name; name the right one with `agent` in config.toml",
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
        return Verdict::ok(format!("all {} options that a run needs", NEEDED.len()));
    }
    Verdict::problem(format!("its help does not name {}", missing.join(", ")))
        .hint("update Cursor's CLI with `cursor-agent update`")
}

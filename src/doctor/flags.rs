//! Whether the agent supports the options of a run.

use super::{CheckResult, Checked, Context};

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

pub(super) async fn check(context: &Context) -> Checked {
    let program = context.program()?;
    if program.is_built_in() {
        let text = "the replay agent supports all options";
        return Ok(CheckResult::ok(text));
    }
    let path = program.path.display();
    let reply = context.query(program, &["--help"], 10).await?;
    let help = &reply.stdout;
    if help.trim().is_empty() {
        let error = reply.error();
        return Ok(
            CheckResult::problem(format!("`{path} --help` does not work: {error}"))
                .hint("reinstall Cursor's CLI"),
        );
    }
    if !help.contains("Cursor") {
        let text = format!("{path} is not Cursor's CLI: its help does not name Cursor");
        return Ok(CheckResult::problem(text).hint(
            "other vendors use this name too; set the path of Cursor's CLI with `agent` in config.toml",
        ));
    }
    let words: Vec<&str> = help
        .split(|c: char| c.is_whitespace() || c == ',')
        .collect();
    let missing = NEEDED.iter().filter(|flag| !words.contains(flag));
    let missing: Vec<&str> = missing.copied().collect();
    if !missing.is_empty() {
        let text = format!("does not support {}", missing.join(", "));
        return Ok(
            CheckResult::problem(text).hint("update Cursor's CLI with `cursor-agent update`")
        );
    }
    let count = NEEDED.len();
    Ok(CheckResult::ok(format!(
        "supports all {count} options that runs use"
    )))
}

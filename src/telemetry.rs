//! Logging: to stderr, by `--log-level` or `RUST_LOG`. Prompts and secrets are logged at no level
//! above trace.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging. `level` is a level or a filter such as `open_cursor=debug`.
///
/// # Errors
/// The filter does not parse.
pub fn init(level: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(level)?;
    // A second call, as in tests, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // It would print them to stderr too, and panic if that is what fails.
        .log_internal_errors(false)
        .compact()
        .try_init();
    Ok(())
}

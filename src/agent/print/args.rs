//! The arguments of a run.

use std::{ffi::OsString, path::Path};

/// The arguments for one turn (FACTS 1.2). The prompt is not among them: it goes by stdin, since
/// one argument holds no more than 128 KiB on Linux.
///
/// `--model` is always given, as the CLI would else use and rewrite the user's default; `--trust`
/// only answers the question whether this directory may be read. `--force` is never given.
#[must_use]
pub(super) fn args(model: &str, workspace: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = [
        "--print",
        "--output-format",
        "stream-json",
        "--stream-partial-output",
        "--trust",
        "--model",
        model,
        "--workspace",
    ]
    .map(OsString::from)
    .into();
    args.push(workspace.into());
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_always_given() {
        assert_eq!(
            args("auto", Path::new("/w s")),
            [
                "--print",
                "--output-format",
                "stream-json",
                "--stream-partial-output",
                "--trust",
                "--model",
                "auto",
                "--workspace",
                "/w s"
            ]
        );
    }
}

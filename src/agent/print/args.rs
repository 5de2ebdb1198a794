//! The arguments of a run.

use std::{ffi::OsString, path::Path};

/// The arguments for one turn (FACTS 1.2). The prompt is not among them: it goes by stdin, since
/// one argument holds no more than 128 KiB on Linux.
///
/// `--model` is always given, as the CLI would else use and rewrite the user's default; `--trust`
/// only answers the question whether this directory may be read. `--force` is never given.
#[must_use]
pub fn args(model: &str, workspace: &Path, resume: Option<&str>) -> Vec<OsString> {
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
    if let Some(chat) = resume {
        args.extend(["--resume".into(), chat.into()]);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_and_resumed() {
        let fresh = args("auto", Path::new("/w s"), None);
        assert_eq!(
            fresh,
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
        let resumed = args("auto", Path::new("/w s"), Some("id"));
        assert_eq!(resumed[..9], fresh);
        assert_eq!(resumed[9..], ["--resume", "id"]);
    }
}

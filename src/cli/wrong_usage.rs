//! What clap says of a wrong command line, as an `error:` and a `hint:` like all our messages.

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, error::ErrorKind};

use super::{Cli, render};

/// Prints what the arguments lack, or the help or version that they ask for.
pub fn report(error: &clap::Error, args: impl Iterator<Item = OsString>) -> ExitCode {
    let asks_for_text = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if asks_for_text {
        let printed = error.print();
        let code = u8::try_from(error.exit_code()).unwrap_or(2);
        // Where a reader closed its pipe, there is nobody to tell.
        return ExitCode::from(if printed.is_err() { 1 } else { code });
    }
    let (message, hint) = words(&error.to_string(), &command(args));
    render::failure(&render::usage(message, hint))
}

/// The command that the arguments begin with, as in `open-cursor auth status`.
fn command(args: impl Iterator<Item = OsString>) -> String {
    let mut name = "open-cursor".to_owned();
    let mut command = Cli::command();
    for arg in args {
        let Some(sub) = command.find_subcommand(&arg).cloned() else {
            break;
        };
        name = format!("{name} {}", sub.get_name());
        command = sub;
    }
    name
}

/// The message and the hint in clap's text.
fn words(text: &str, command: &str) -> (String, String) {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let text = text
        .split("\n\nFor more information")
        .next()
        .unwrap_or(text);
    let (mut message, mut hints) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with("Usage:") {
            break;
        }
        let values = line
            .strip_prefix("[possible values: ")
            .and_then(|line| line.strip_suffix(']'));
        if let Some(values) = values {
            hints.push(format!("use one of {values}"));
        } else if let Some(tip) = line.strip_prefix("tip: ") {
            hints.push(tip.to_owned());
        } else if !line.is_empty() {
            message.push(line);
        }
    }
    hints.push(format!("`{command} --help` says what it takes"));
    (message.join(" "), hints.join("; "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_message_is_one_line_and_the_hint_is_ours() {
        for (args, message, hint) in [
            (
                &["serve", "--fort", "1"][..],
                "unexpected argument '--fort' found",
                "a similar argument exists: '--port'; `open-cursor serve --help` says what it takes",
            ),
            (
                &["usage", "--by", "moon"],
                "invalid value 'moon' for '--by <GROUP>'",
                "use one of model, client, workspace, day; `open-cursor usage --help` says what it takes",
            ),
            (
                &["tools", "convert"],
                "the following required arguments were not provided: --to <TO> <FILE>",
                "`open-cursor tools convert --help` says what it takes",
            ),
            (
                &["nonsense"],
                "unrecognized subcommand 'nonsense'",
                "`open-cursor --help` says what it takes",
            ),
        ] {
            let all = [&["open-cursor"], args].concat();
            let error = Cli::try_parse_from(all).unwrap_err();
            let name = command(args.iter().map(OsString::from));
            assert_eq!(
                words(&error.to_string(), &name),
                (message.to_owned(), hint.to_owned())
            );
        }
    }
}

//! The settings as flags of a command, made from [`ROWS`].

use clap::{Arg, ArgMatches, Command, FromArgMatches, error::Error};

use crate::settings::{Flags, ROWS, Row};

/// The flags of `serve`.
#[derive(Debug, Default)]
pub struct ServeFlags(pub Flags);

/// The flags of `run`, whose server is for its command alone.
#[derive(Debug, Default)]
pub struct RunFlags(pub Flags);

/// The headings of help, each with the settings below it.
const HEADINGS: &[(&str, &[&str])] = &[
    ("Address", &["host", "port", "socket", "reuse"]),
    (
        "Agent and directory",
        &[
            "agent",
            "bridge",
            "workspace",
            "workspace-base",
            "workspace-from-prompt",
            "fence",
            "agent-disk",
            "agent-memory",
        ],
    ),
    (
        "Access",
        &[
            "api-key-file",
            "keys-file",
            "allow-users",
            "allow-host",
            "allow-origin",
            "credentials",
        ],
    ),
    (
        "Limits",
        &[
            "agent-timeout",
            "idle-timeout",
            "turn-timeout",
            "stall-timeout",
            "max-running",
            "max-queued",
            "max-per-caller",
            "max-connections",
            "queue-timeout",
            "max-body-memory",
            "daily-budget",
            "max-tokens-per-turn",
            "fallback-models",
        ],
    ),
    (
        "Log",
        &[
            "log-level",
            "log-format",
            "log-file",
            "dump-dir",
            "dump-keep",
            "history",
        ],
    ),
];

/// Where a setting is that no heading lists: most are about this.
const OTHERS: &str = "Tools and answers";

fn heading(name: &str) -> &'static str {
    let found = HEADINGS.iter().find(|(_, names)| names.contains(&name));
    found.map_or(OTHERS, |(heading, _)| heading)
}

impl ServeFlags {
    fn has(row: &Row) -> bool {
        row.name != "reuse"
    }
}

impl RunFlags {
    fn has(row: &Row) -> bool {
        !matches!(
            row.name,
            "host" | "port" | "socket" | "allow-users" | "log-level" | "log-format" | "log-file"
        )
    }
}

/// Implements clap's traits for groups of arguments.
macro_rules! arguments {
    ($($Flags:ty),+) => {$(
        impl clap::Args for $Flags {
            fn augment_args(command: Command) -> Command {
                command.args(ROWS.iter().filter(|row| Self::has(row)).map(arg))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $Flags {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self(collect(matches, Self::has)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                self.0.extend(collect(matches, Self::has));
                Ok(())
            }
        }
    )+};
}

arguments!(ServeFlags, RunFlags);

fn arg(row: &'static Row) -> Arg {
    let mut help = row.doc.trim().to_owned();
    if let Some(env) = row.env {
        help += &format!(" [env: {env}]");
    }
    if let Some(default) = row.default {
        help += &format!(" [default: {default}]");
    }
    // A switch that is named is on.
    let values = usize::from(row.value_name != "BOOL");
    let check = |text: &str| (row.check)(text).map(|()| text.to_owned());
    Arg::new(row.name)
        .long(row.name)
        .help_heading(heading(row.name))
        .value_name(row.value_name)
        .num_args(values..=1)
        .default_missing_value("true")
        // What is wrong with it, the setting's own check says.
        .allow_negative_numbers(true)
        .help(help)
        .value_parser(check)
}

fn collect(matches: &ArgMatches, has: fn(&Row) -> bool) -> Flags {
    let rows = ROWS.iter().filter(|row| has(row));
    rows.filter_map(|row| Some((row.name, matches.get_one::<String>(row.name)?.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn wrong_numbers_are_answered_in_the_settings_words() {
        let command = ServeFlags::augment_args(Command::new("serve"));
        for number in ["-5", "1.5", "x", "99999999999999999999"] {
            let args = ["serve", "--stall-timeout", number];
            let error = command.clone().try_get_matches_from(args).map(|_| ());
            let error = error.map_or_else(|error| error.to_string(), |()| String::new());
            assert!(error.contains("use a whole number of seconds"), "{error}");
        }
    }

    #[test]
    fn headings_list_settings_that_exist() {
        for name in HEADINGS.iter().flat_map(|(_, names)| *names) {
            assert!(ROWS.iter().any(|row| row.name == *name), "{name}");
        }
    }
}

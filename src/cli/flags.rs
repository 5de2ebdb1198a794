//! The settings as flags of a command, made from [`ROWS`].

use clap::{Arg, ArgMatches, Command, FromArgMatches, error::Error};

use crate::settings::{Flags, ROWS, Row};

/// The flags of `serve`.
pub type ServeFlags = SettingFlags<false>;

/// The flags of `run`, whose server is for its command alone.
pub type RunFlags = SettingFlags<true>;

/// Flags of settings, for `run` or for `serve`.
#[derive(Debug, Default)]
pub struct SettingFlags<const FOR_RUN: bool>(pub Flags);

impl<const FOR_RUN: bool> SettingFlags<FOR_RUN> {
    fn has(row: &&'static Row) -> bool {
        match row.name {
            "reuse" => FOR_RUN,
            "host" | "port" | "socket" | "allow-users" => !FOR_RUN,
            "log-level" | "log-format" | "log-file" => !FOR_RUN,
            _ => true,
        }
    }
}

impl<const FOR_RUN: bool> clap::Args for SettingFlags<FOR_RUN> {
    fn augment_args(command: Command) -> Command {
        command.args(ROWS.iter().filter(Self::has).map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const FOR_RUN: bool> FromArgMatches for SettingFlags<FOR_RUN> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        let rows = ROWS.iter().filter(Self::has);
        let given =
            rows.filter_map(|row| Some((row.name, matches.get_one::<String>(row.name)?.clone())));
        self.0.extend(given);
        Ok(())
    }
}

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
        .help_heading(row.heading)
        .value_name(row.value_name)
        .num_args(values..=1)
        .default_missing_value("true")
        // What is wrong with it, the setting's own check says.
        .allow_negative_numbers(true)
        .help(help)
        .value_parser(check)
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
}

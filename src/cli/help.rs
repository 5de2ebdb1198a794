//! `open-cursor help`: the help of a command, or a page of the reference (`topics/`).

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::{Cli, render};

/// The pages, by topic. Tests hold them to the program.
pub(super) const TOPICS: [(&str, &str); 10] = [
    ("clients", include_str!("topics/clients.md")),
    ("endpoints", include_str!("topics/endpoints.md")),
    ("settings", include_str!("topics/settings.md")),
    ("fence", include_str!("topics/fence.md")),
    ("parked", include_str!("topics/parked.md")),
    ("exec", include_str!("topics/exec.md")),
    ("troubleshooting", include_str!("topics/troubleshooting.md")),
    ("limits", include_str!("topics/limits.md")),
    ("deploy", include_str!("topics/deploy.md")),
    ("architecture", include_str!("topics/architecture.md")),
];

/// Show the help of a command, or a page of the reference
///
/// Topics: clients, endpoints, settings, fence, parked, exec, troubleshooting, limits, deploy,
/// architecture.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor help run
  open-cursor help settings | less")]
pub struct HelpArgs {
    /// Command or topic
    #[arg(value_name = "COMMAND|TOPIC")]
    name: Option<String>,
}

/// Prints the page.
pub fn run(args: &HelpArgs) -> anyhow::Result<ExitCode> {
    let mut cli = Cli::command();
    // Sets the names of subcommands in their usage.
    cli.build();
    let topics = TOPICS.map(|(topic, _)| topic);
    let Some(name) = &args.name else {
        render::piece(cli.render_long_help().ansi());
        render::line(format_args!(
            "\nTopics of `open-cursor help`: {}",
            topics.join(", ")
        ));
        return Ok(ExitCode::SUCCESS);
    };
    if let Some((_, page)) = TOPICS.iter().find(|(topic, _)| topic == name) {
        render::piece(page);
    } else if let Some(command) = cli.find_subcommand_mut(name) {
        render::piece(command.render_long_help().ansi());
    } else {
        let commands = cli.get_subcommands().map(clap::Command::get_name);
        let known: Vec<_> = topics.into_iter().chain(commands).collect();
        return Err(render::usage(
            format_args!("there is no command or topic `{name}`"),
            format!("use one of {}", known.join(", ")),
        ));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_topic() {
        let help = HelpArgs::augment_args_text();
        for (topic, page) in TOPICS {
            assert!(help.contains(topic), "{topic}");
            assert!(page.starts_with("# "), "{topic}");
        }
    }

    impl HelpArgs {
        fn augment_args_text() -> String {
            use clap::Args as _;
            let command = Self::augment_args(clap::Command::new("help"));
            command
                .get_long_about()
                .map(ToString::to_string)
                .unwrap_or_default()
        }
    }
}

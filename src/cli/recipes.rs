//! How each client is pointed at a server that runs, as the page shows it: what `run` would set,
//! written out for a shell.

use crate::{
    clients::{CLIENTS, Client, ClientServer, ClientSetup, Passed},
    http::Recipe,
    opencode::OpencodePlaces,
};

/// One for each client.
pub fn all() -> Vec<Recipe> {
    let recipe = |client: &'static Client| Recipe {
        client: client.name,
        install: client.install,
        text: text(client),
    };
    CLIENTS.iter().map(recipe).collect()
}

fn text(client: &Client) -> String {
    // The page knows the address by which it was reached, and whether there is a key.
    let setup = client.setup(&ClientServer {
        url: "{address}",
        key: "{key}",
        model: None,
        listing: None,
        env: &|_| None,
        opencode: &OpencodePlaces::default(),
    });
    match setup {
        Ok(setup) if setup != ClientSetup::default() => written_out(client, &setup),
        _ if client.name == "opencode" => "open-cursor install\nopencode".to_owned(),
        _ => format!("open-cursor run -- {}", client.name),
    }
}

fn written_out(client: &Client, setup: &ClientSetup) -> String {
    let mut lines = Vec::new();
    let mut command = vec![match client.name {
        "generic" => "your-program".to_owned(),
        name => name.to_owned(),
    }];
    command.extend(setup.args.iter().map(|arg| quoted(arg)));
    if let Some(config) = &setup.config {
        let directory = "~/open-cursor-client";
        lines.push(format!("# {directory}/{}:", config.name));
        lines.extend(config.content.lines().map(str::to_owned));
        lines.push("# in the shell:".to_owned());
        match config.passed {
            Passed::Argument(name) => {
                command.push(name.to_owned());
                command.push(format!("{directory}/{}", config.name));
            }
            Passed::Variable(name) => {
                lines.push(format!("export {name}={directory}/{}", config.name));
            }
            Passed::Directory(variable, _) => lines.push(format!("export {variable}={directory}")),
        }
    }
    lines.extend(setup.unset.iter().map(|name| format!("unset {name}")));
    let variables = setup.set.iter();
    lines.extend(variables.map(|(name, value)| format!("export {name}={}", quoted(value))));
    lines.push(command.join(" "));
    lines.join("\n")
}

/// For a shell. The placeholders stand for words that need no quotes.
fn quoted(text: &str) -> String {
    let bare = text.replace("{address}", "a").replace("{key}", "k");
    match shlex::try_quote(&bare) {
        Ok(quoted) if quoted == bare => text.to_owned(),
        _ => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_one_with_the_address() {
        for recipe in all() {
            let text = &recipe.text;
            assert!(
                text.contains("{address}") || text.contains("open-cursor "),
                "{}: {text}",
                recipe.client
            );
        }
        assert_eq!(quoted("{address}/v1"), "{address}/v1");
        assert_eq!(quoted("a=\"{key}\" b"), "'a=\"{key}\" b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}

//! `open-cursor mcp`: the MCP servers whose tools the server executes, without a server.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{dirs::UserDirs, render};
use crate::{
    hands::{
        environment,
        mcp::{McpForm, McpLimits, McpServerConfig, McpServers, McpSource, McpTransport, read},
    },
    opencode::locate,
    settings::{Flags, ServeSettings},
};

/// List MCP servers and their tools, and call one
///
/// The servers are those of the sources that --mcp-from names, as `serve --tool-loop-mode proxy-exec`
/// uses them. See `open-cursor help exec`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor mcp list --mcp-from own,opencode
  open-cursor mcp tools git --mcp-from own
  open-cursor mcp call git git_status '{\"repo_path\": \".\"}' --mcp-from own")]
pub struct McpArgs {
    #[command(subcommand)]
    command: McpCommand,

    /// Where they are taken from: own, opencode, project, cursor-project, cursor
    #[arg(long, value_name = "SOURCES", global = true)]
    mcp_from: Option<String>,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum McpCommand {
    /// List the servers; none is started
    List,
    /// List the tools of all servers, or of one
    Tools {
        /// Name of a server
        server: Option<String>,
    },
    /// Call a tool and print what it answers; exit code 1 if that is an error
    Call {
        /// Name of the server
        server: String,
        /// The server's own name of the tool
        tool: String,
        /// Arguments, as a JSON object
        #[arg(default_value = "{}")]
        arguments: String,
    },
}

/// Does it.
pub async fn run(args: McpArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let mut flags = Flags::new();
    if let Some(sources) = args.mcp_from {
        flags.insert("mcp-from", sources);
    }
    let settings = dirs.settings(&flags)?.settings;
    if settings.mcp_from.0.is_empty() {
        return Err(render::hinted(
            "no source of MCP servers is named",
            "name some with --mcp-from own,opencode,project,cursor-project,cursor",
        ));
    }
    let here = std::env::current_dir().context("there is no current directory")?;
    let workspace = settings.workspace.clone().unwrap_or(here);
    let configs = servers(&settings, dirs, Some(&workspace))?;
    let json = args.json;
    match args.command {
        McpCommand::List => {
            list(&configs, json);
            Ok(ExitCode::SUCCESS)
        }
        McpCommand::Tools { server } => {
            let configs = match &server {
                Some(name) => only(configs, name)?,
                None => configs,
            };
            let servers = start(configs)?;
            let code = tools(&servers, json).await;
            servers.close().await;
            Ok(code)
        }
        McpCommand::Call {
            server,
            tool,
            arguments,
        } => {
            let arguments: Map<String, Value> =
                serde_json::from_str(&arguments).map_err(|error| {
                    render::usage(
                        format_args!("the arguments are no JSON object: {error}"),
                        r#"write them as in '{"path": "a.txt"}'"#,
                    )
                })?;
            let servers = start(only(configs, &server)?)?;
            let answer = servers.call_raw(&server, &tool, arguments).await;
            servers.close().await;
            let answer =
                answer.map_err(|error| anyhow::anyhow!("the MCP server `{server}`: {error}"))?;
            Ok(show(&answer, json))
        }
    }
}

/// The servers of the sources that the settings name.
pub(super) fn servers(
    settings: &ServeSettings,
    dirs: &UserDirs,
    workspace: Option<&Path>,
) -> anyhow::Result<Vec<McpServerConfig>> {
    let home = dirs.opencode.home.as_deref();
    let below = |dir: Option<&Path>, name: &str| Some(dir?.join(name));
    let found = settings.mcp_from.0.iter().filter_map(|name| {
        let (file, form) = match *name {
            "own" => (dirs.mcp_file.clone(), McpForm::McpServers),
            "opencode" => (locate(&dirs.opencode, ""), McpForm::OpenCode),
            "project" => (below(workspace, ".mcp.json"), McpForm::McpServers),
            "cursor-project" => (below(workspace, ".cursor/mcp.json"), McpForm::McpServers),
            _ => (below(home, ".cursor/mcp.json"), McpForm::McpServers),
        };
        let file = file?;
        Some(McpSource { name, file, form })
    });
    let variable = |name: &str| std::env::var(name).ok();
    read(&found.collect::<Vec<_>>(), &variable)
        .map_err(|error| render::hinted(error, "--mcp-from names the sources that are read"))
}

fn start(configs: Vec<McpServerConfig>) -> anyhow::Result<McpServers> {
    let program = std::env::current_exe().context("cannot find our own executable")?;
    let env = environment(std::env::vars_os(), true);
    Ok(McpServers::new(configs, program, env, McpLimits::default()))
}

/// The server of this name.
fn only(mut configs: Vec<McpServerConfig>, name: &str) -> anyhow::Result<Vec<McpServerConfig>> {
    configs.retain(|config| config.name == name);
    match configs.is_empty() {
        true => Err(render::hinted(
            format_args!("there is no MCP server `{name}`"),
            "`open-cursor mcp list` shows those that there are",
        )),
        false => Ok(configs),
    }
}

fn list(configs: &[McpServerConfig], json: bool) {
    // Values of variables and headers may be secrets, arguments are often paths.
    let how = |config: &McpServerConfig| match &config.transport {
        Ok(McpTransport::Command { program, .. }) => program.clone(),
        Ok(McpTransport::Http { url, .. }) => url
            .split_once('?')
            .map_or(&**url, |(url, _)| url)
            .to_owned(),
        Err(error) => format!("can't be used: {error}"),
    };
    if json {
        let all = configs.iter().map(|config| {
            json!({
                "name": config.name, "source": config.source, "reached_by": how(config),
                "usable": config.transport.is_ok(),
            })
        });
        render::line(json!(all.collect::<Vec<_>>()));
        return;
    }
    for config in configs {
        render::line(format_args!(
            "{:<20} {:<14} {}",
            config.name,
            config.source,
            how(config)
        ));
    }
    if configs.is_empty() {
        render::note("the sources name no MCP server");
    }
}

async fn tools(servers: &McpServers, json: bool) -> ExitCode {
    let tools = servers.tools().await;
    let health = servers.health();
    if json {
        let all = tools.iter().map(|tool| {
            json!({
                "name": tool.spec.name, "source": tool.source, "only_reads": tool.only_reads,
                "description": tool.spec.description, "schema": *tool.spec.schema,
            })
        });
        render::line(json!({"tools": all.collect::<Vec<_>>(), "servers": health}));
    } else {
        for tool in &tools {
            let first = tool.spec.description.lines().next().unwrap_or_default();
            render::line(format_args!("{:<40} {first}", tool.spec.name));
        }
    }
    let mut code = ExitCode::SUCCESS;
    for server in health.iter().filter(|server| server.state == "failed") {
        let why = server.error.as_deref().unwrap_or_default();
        let error = anyhow::anyhow!("the MCP server `{}`: {why}", server.name);
        code = render::failure(&error);
    }
    code
}

fn show(answer: &Value, json: bool) -> ExitCode {
    if json {
        render::line(answer);
    } else {
        for part in answer["content"].as_array().into_iter().flatten() {
            match part["text"].as_str() {
                Some(text) => render::line(text),
                None => render::note(format_args!(
                    "[{}; --json shows it]",
                    part["type"].as_str().unwrap_or("?")
                )),
            }
        }
    }
    ExitCode::from(u8::from(answer["isError"] == true))
}

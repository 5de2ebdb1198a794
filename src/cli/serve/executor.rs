//! What executes tools, where the server does.

use std::path::Path;

use anyhow::Context as _;

use crate::{
    boundary,
    cli::{dirs::UserDirs, mcp, render},
    engine::Exec,
    hands::{LOCAL_TOOLS, Toolbox, ToolboxSetup, mcp::McpLimits},
    settings::ServeSettings,
};

/// What executes tools.
pub(super) async fn exec(
    settings: &ServeSettings,
    workspace: Option<&Path>,
) -> anyhow::Result<Exec> {
    let dirs = UserDirs::new(&|name| std::env::var_os(name));
    let mcp = mcp::servers(settings, &dirs, workspace)?;
    let confirm = &settings.exec_confirm.0;
    let tools = &settings.exec_tools.0;
    let is_known = |name: &&String| {
        let mut servers = mcp.iter().map(|server| &server.name);
        tools.iter().any(|tool| boundary::is_same_tool(tool, name))
            || servers.any(|server| name.starts_with(server.as_str()))
    };
    if let Some(name) = confirm.iter().find(|name| !is_known(name)) {
        let all = LOCAL_TOOLS.join(", ");
        return Err(render::usage(
            format_args!(
                "--exec-confirm: `{name}` is not a tool of an MCP server, nor one of those that \
                 --exec-tools names"
            ),
            format!("the tools of the server are {all}"),
        ));
    }
    let setup = ToolboxSetup {
        tools: tools.clone(),
        network: settings.exec_network,
        fence: settings.fence,
        program: std::env::current_exe().context("cannot find our own executable")?,
        env: std::env::vars_os().collect(),
        workspace: workspace.map(Path::to_owned),
        mcp,
        mcp_limits: McpLimits::default(),
    };
    Ok(Exec {
        toolbox: Toolbox::open(setup).await?,
        confirm: confirm.clone(),
        max_steps: settings.exec_max_steps,
    })
}

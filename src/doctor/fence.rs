//! What keeps the agent from changing files by itself, tried on this machine.

use super::{CheckResult, Checked, Context};
use crate::sandbox::{
    fence::{Fence, FenceConfig, FenceMode},
    slot::Places,
};

pub(super) async fn check(context: &Context) -> Checked {
    let mode = context.settings.fence;
    if mode == FenceMode::Off {
        let text = "turned off: the agent may change your files itself";
        return Ok(CheckResult::info(text));
    }
    let get = |name: &str| context.env.get(name).map(ToOwned::to_owned);
    let mut places = Places::from_env(get, &std::env::temp_dir());
    // Nothing is run that would need the others, and a look makes no directories of Cursor's.
    places.state.retain(|dir| dir.is_dir());
    let launcher = std::env::current_exe().map_err(|_| {
        CheckResult::warning("cannot find our own executable, which sets up the fence")
    })?;
    let workspace = context.settings.workspace.clone();
    let workspace = workspace.or_else(|| std::env::current_dir().ok());
    let config = FenceConfig {
        mode,
        launcher,
        limits: context.settings.resource_limits(),
    };
    let started = Fence::start(&config, &places, 1, workspace.as_deref()).await;
    let (fence, _slots) = started.map_err(|error| {
        CheckResult::problem(error)
            .hint("fix what it names and try again, or set `fence = \"auto\"`")
    })?;
    let status = fence.status();
    let layers = [
        ("view", &status.view),
        ("write limit", &status.writes),
        ("processes", &status.processes),
        ("UNIX sockets", &status.sockets),
        ("limits", &status.limits),
        ("deny rules", &status.deny_rules),
    ];
    let holding = layers.iter().filter(|(_, layer)| layer.holds());
    let held: Vec<&str> = holding.map(|(name, _)| *name).collect();
    // Cursor's rules hold in part everywhere: only Cursor itself keeps them.
    let gaps = layers.iter().filter(|(_, layer)| layer.reason.is_some());
    let gaps: Vec<String> = gaps
        .map(|(name, layer)| format!("{name}: {}", layer.sentence))
        .collect();
    let all_hold = held.len() == layers.len();
    let (held, gaps) = (held.join(", "), gaps.join("; "));
    Ok(match (gaps.is_empty(), all_hold) {
        (true, _) => CheckResult::ok(held),
        (false, true) => CheckResult::ok(format!("{held}; in part {gaps}")),
        (false, false) => CheckResult::warning(gaps),
    })
}

//! What keeps the agent from changing files by itself, tried on this machine.

use super::{Context, finding::CheckResult};
use crate::sandbox::{
    fence::{Fence, FenceConfig, FenceMode, Layer},
    slot::Places,
};

pub(super) async fn check(context: &Context) -> CheckResult {
    let mode = context.settings.fence;
    if mode == FenceMode::Off {
        return CheckResult::info("turned off: the agent may change your files itself");
    }
    let get = |name: &str| context.env.get(name).map(ToOwned::to_owned);
    let mut places = Places::from_env(get, &std::env::temp_dir());
    // Nothing is run that would need the others, and a look makes no directories of Cursor's.
    places.state.retain(|dir| dir.is_dir());
    let Ok(launcher) = std::env::current_exe() else {
        return CheckResult::warning("cannot find our own executable, which sets up the fence");
    };
    let workspace = context.settings.workspace.clone();
    let workspace = workspace.or_else(|| std::env::current_dir().ok());
    let config = FenceConfig {
        mode,
        launcher,
        limits: context.settings.resource_limits(),
    };
    let started = Fence::start(&config, &places, 1, workspace.as_deref()).await;
    let fence = match started {
        Ok((fence, _slots)) => fence,
        Err(error) => {
            return CheckResult::problem(error.to_string())
                .hint("fix what it names and try again, or set `fence = \"auto\"`");
        }
    };
    let status = fence.status();
    let layers = [
        ("view", &status.view),
        ("write limit", &status.writes),
        ("processes", &status.processes),
        ("UNIX sockets", &status.sockets),
        ("limits", &status.limits),
        ("deny rules", &status.deny_rules),
    ];
    let list = |holds: fn(&Layer) -> bool, separator: &str, text: fn(&str, &Layer) -> String| {
        let listed: Vec<String> = layers
            .iter()
            .filter(|(_, layer)| holds(layer))
            .map(|(name, layer)| text(name, layer))
            .collect();
        listed.join(separator)
    };
    // Cursor's rules hold in part everywhere: only Cursor itself keeps them.
    let gaps = list(
        |layer| layer.reason.is_some(),
        "; ",
        |name, layer| format!("{name}: {}", layer.sentence),
    );
    let held = list(Layer::holds, ", ", |name, _| name.to_owned());
    match (
        gaps.is_empty(),
        layers.iter().all(|(_, layer)| layer.holds()),
    ) {
        (true, _) => CheckResult::ok(held),
        (false, true) => CheckResult::ok(format!("{held}; in part {gaps}")),
        (false, false) => CheckResult::warning(gaps),
    }
}

//! What keeps the agent from changing files by itself, tried on this machine.

use super::{Context, finding::Verdict};
use crate::sandbox::{
    fence::{Fence, FenceMode, Layer, State},
    slot::Places,
};

pub(super) async fn check(context: &Context) -> Verdict {
    let mode = context.settings.fence;
    if mode == FenceMode::Off {
        return Verdict::info("turned off: the agent may change your files itself");
    }
    let get = |name: &str| context.env.get(name).map(ToOwned::to_owned);
    let mut places = Places::from_env(get, &std::env::temp_dir());
    // Nothing is run that would need the others, and a look makes no directories of Cursor's.
    places.state.retain(|dir| dir.is_dir());
    let Ok(launcher) = std::env::current_exe() else {
        return Verdict::warning("cannot find our own executable, which sets up the fence");
    };
    let workspace = context.settings.workspace.clone();
    let workspace = workspace.or_else(|| std::env::current_dir().ok());
    let started = Fence::start(mode, &launcher, &places, 1, workspace.as_deref()).await;
    let fence = match started {
        Ok((fence, _slots)) => fence,
        Err(error) => {
            return Verdict::problem(error.to_string())
                .hint("mend what it names, or set `fence = \"auto\"`");
        }
    };
    let status = fence.status();
    let layers = [
        ("view", &status.view),
        ("write limit", &status.writes),
        ("deny rules", &status.deny_rules),
    ];
    let missing: Vec<String> = layers
        .iter()
        .filter(|(_, layer)| !layer.holds())
        .map(|(name, layer)| format!("no {name}: {}", layer.sentence))
        .collect();
    if missing.is_empty() {
        let held = layers.map(|(name, layer)| format!("{name}{}", partly(layer)));
        return Verdict::ok(held.join(", "));
    }
    Verdict::warning(missing.join("; "))
}

fn partly(layer: &Layer) -> &'static str {
    match layer.state {
        State::Partial => " (in part)",
        _ => "",
    }
}

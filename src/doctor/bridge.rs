//! Whether Cursor's SDK bridge is there and starts and, with a request, what it can do.

use std::time::Duration;

use super::{CheckResult, Checked, Context};
use crate::agent::bridge::{self, Measured, measure};

/// How long a call waits in the measurement: longer than Cursor's MCP client would wait.
const HOLD: Duration = Duration::from_secs(65);

pub(super) async fn check(context: &Context) -> Checked {
    let Some(bridge) = &context.bridge else {
        let env = context.env.clone();
        let named = context.settings.bridge.clone();
        let look = move || bridge::locate(named.as_deref().map(AsRef::as_ref), &env).ok();
        let found = tokio::task::spawn_blocking(look).await.ok().flatten();
        return Ok(match found {
            Some(path) => CheckResult::info(format!("{} is not in use", path.display()))
                .hint("`open-cursor setup bridge` lets runs use it; it needs an API key"),
            None => CheckResult::info("not installed"),
        });
    };
    let path = bridge.program().display();
    let about = bridge.about().await.map_err(|error| {
        CheckResult::problem(format!("{path} does not start: {error}"))
            .hint("`open-cursor setup bridge` installs it; `--agent print` uses Cursor's CLI")
    })?;
    Ok(CheckResult::ok(format!(
        "{path}, version {}, ready after {} ms",
        about.version, about.started_in_ms
    )))
}

/// One run with calls that wait.
pub(super) async fn run(context: &Context) -> Checked {
    let unused = || CheckResult::info("not checked: runs do not use the bridge");
    let bridge = context.bridge.as_ref().ok_or_else(unused)?;
    let seen = measure(bridge, "auto", bridge::PROMPT, HOLD).await;
    let seen = seen.map_err(CheckResult::problem)?;
    if seen.calls == 0 {
        return Ok(CheckResult::uncalled());
    }
    let text = describe(&seen);
    Ok(match seen.given_up {
        true => CheckResult::warning(text)
            .hint("calls that take longer fail: set --park-timeout below that"),
        false => CheckResult::ok(text),
    })
}

fn describe(seen: &Measured) -> String {
    let first = seen.first_sign.unwrap_or_default().as_secs_f32();
    let tokens = seen.usage.map_or_else(
        || "tokens unknown".to_owned(),
        |usage| format!("{} tokens in, {} out", usage.input, usage.output),
    );
    let waited = if seen.given_up {
        "was given up after"
    } else {
        "waited"
    };
    format!(
        "first sign after {first:.1} s; {} at once, {} ms apart; the first {waited} {:.0} s; {tokens}",
        match seen.calls {
            1 => "1 call".to_owned(),
            calls => format!("{calls} calls"),
        },
        seen.apart.as_millis(),
        seen.held.as_secs_f32()
    )
}

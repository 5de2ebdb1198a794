//! Runs of an agent that lost their parent. Linux only.

use super::{
    CheckResult, Checked, Context,
    processes::{self, ProcessInfo},
};

pub(super) async fn check(_: &Context) -> Checked {
    if !cfg!(target_os = "linux") {
        let text = "not checked on this operating system";
        return Ok(CheckResult::info(text));
    }
    let processes = tokio::task::spawn_blocking(processes::all).await;
    let processes =
        processes.map_err(|_| CheckResult::warning("the list of processes could not be read"))?;
    let strays = processes.iter().filter(|process| is_stray(process));
    let pids: Vec<String> = strays.map(|stray| stray.pid.to_string()).collect();
    if pids.is_empty() {
        return Ok(CheckResult::ok("no agent runs without a parent"));
    }
    let pids = pids.join(" ");
    Ok(
        CheckResult::warning(format!("agents run without a parent: {pids}"))
            .hint(format!("if you do not need them, end them: `kill {pids}`")),
    )
}

/// A process whose parent is init, with the arguments of a run.
fn is_stray(process: &ProcessInfo) -> bool {
    let arguments = &process.arguments;
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let is_agent = arguments.iter().take(4).any(|argument| {
        let name = argument.rsplit('/').next().unwrap_or_default();
        matches!(name, "cursor-agent" | "agent") || argument.contains("/cursor-agent/")
    });
    process.parent == 1 && is_agent && has("--print") && has("stream-json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strays() {
        for (parent, program, stray) in [
            (1, "/home/a/.local/bin/cursor-agent", true),
            (1, "/x/cursor-agent/versions/1/node /x/index.js", true),
            (42, "/x/cursor-agent/versions/1/node /x/index.js", false),
            (1, "/x/open-cursor replay-agent", false),
        ] {
            let line = format!("{program} --print --output-format stream-json");
            let mut process = ProcessInfo {
                pid: 7,
                parent,
                arguments: line.split(' ').map(str::to_owned).collect(),
            };
            assert_eq!(is_stray(&process), stray, "{parent} {line}");
            process.arguments.truncate(1);
            assert!(!is_stray(&process), "{program}");
        }
    }
}

//! Agents that nobody waits for any more. On Linux, by `/proc`.

use super::{Context, finding::Verdict};

pub(super) async fn check(_: &Context) -> Verdict {
    if !cfg!(target_os = "linux") {
        return Verdict::info("not checked on this operating system");
    }
    let Ok(pids) = tokio::task::spawn_blocking(find).await else {
        return Verdict::warning("the processes could not be read");
    };
    if pids.is_empty() {
        return Verdict::ok("no agent runs without a parent");
    }
    let pids = pids.join(" ");
    Verdict::warning(format!("agents without a parent: {pids}"))
        .hint(format!("if they are nobody's, end them: `kill {pids}`"))
}

/// The ids of runs of an agent that belong to init.
fn find() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    let mut pids = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let read =
            |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let pid = entry.file_name().to_string_lossy().into_owned();
        let is_process = pid.bytes().all(|byte| byte.is_ascii_digit());
        if is_process && is_stray(&read("stat"), &read("cmdline")) {
            pids.push(pid);
        }
    }
    pids
}

/// A process whose parent is 1, and whose arguments are those of a run.
fn is_stray(stat: &str, cmdline: &str) -> bool {
    let parent = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(1));
    let args: Vec<&str> = cmdline.split('\0').collect();
    let has = |wanted: &str| args.contains(&wanted);
    let is_agent = args.iter().take(4).any(|arg| {
        let name = arg.rsplit('/').next().unwrap_or_default();
        matches!(name, "cursor-agent" | "agent") || arg.contains("/cursor-agent/")
    });
    parent == Some("1") && is_agent && has("--print") && has("stream-json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strays() {
        let run = "/home/a/.local/bin/cursor-agent\0--print\0--output-format\0stream-json\0";
        let node =
            "/x/cursor-agent/versions/1/node\0/x/index.js\0--print\0--output-format\0stream-json\0";
        let replay = "/x/open-cursor\0replay-agent\0--print\0--output-format\0stream-json\0";
        for (stat, cmdline, stray) in [
            ("7 (cursor (a) b) S 1 7 7", run, true),
            ("7 (node) S 1 7 7", node, true),
            ("7 (node) S 42 7 7", node, false),
            ("7 (open-cursor) S 1 7 7", replay, false),
            ("7 (agent) S 1 7 7", "/bin/agent\0", false),
            ("", "", false),
        ] {
            assert_eq!(is_stray(stat, cmdline), stray, "{stat} {cmdline}");
        }
    }
}

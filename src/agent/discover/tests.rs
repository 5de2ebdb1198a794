//! Discovery in made-up installations, and queries to small scripts.

use tempfile::TempDir;

use super::*;

/// A directory with executable scripts. A shell writes them: a file that this process had open for
/// writing could not be run while another test's child still held it.
fn install(scripts: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, script) in scripts {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let written = std::process::Command::new("/bin/sh")
            .args([
                "-c",
                r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""#,
            ])
            .arg(&path)
            .arg(script)
            .status();
        assert!(written.unwrap().success());
    }
    root
}

/// PATH is `<root>/bin:<root>/more:relative`, HOME is `<root>`.
fn env(root: &TempDir) -> Env {
    let root = root.path().display();
    let path = format!("{root}/bin:{root}/more:relative");
    [("PATH", path), ("HOME", root.to_string())]
        .into_iter()
        .collect()
}

async fn found(root: &TempDir, explicit: Option<&str>) -> String {
    let program = discover(explicit.map(OsStr::new), &env(root))
        .await
        .unwrap();
    assert_eq!(program.leading_args, Vec::<std::ffi::OsString>::new());
    let path = program.path.strip_prefix(root.path()).unwrap();
    path.to_str().unwrap().to_owned()
}

const CURSOR: &str = "echo 'Start the Cursor Agent'";

#[tokio::test]
async fn cursor_agent_wins_wherever_it_is() {
    let root = install(&[
        ("bin/agent", CURSOR),
        (".cursor/bin/cursor-agent", "exit 1"),
    ]);
    assert_eq!(found(&root, None).await, ".cursor/bin/cursor-agent");
    let root = install(&[("more/cursor-agent", ""), (".local/bin/cursor-agent", "")]);
    assert_eq!(found(&root, None).await, "more/cursor-agent");
}

#[tokio::test]
async fn agent_must_be_cursors() {
    let root = install(&[("bin/agent", "echo Grok"), ("more/agent", CURSOR)]);
    assert_eq!(found(&root, None).await, "more/agent");
}

#[tokio::test]
async fn explicit_program() {
    let root = install(&[("bin/cursor-agent", ""), ("more/mine", ""), ("else/x", "")]);
    assert_eq!(found(&root, Some("")).await, "bin/cursor-agent");
    assert_eq!(found(&root, Some("mine")).await, "more/mine");
    let path = root.path().join("else/x");
    assert_eq!(found(&root, path.to_str()).await, "else/x");

    let link = root.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let named = env(&root).for_agent(&[("CURSOR_AGENT_EXECUTABLE".into(), link.clone().into())]);
    let program = discover(None, &named.into_iter().collect()).await.unwrap();
    assert_eq!(program.path, link, "a symlink is not followed");
}

#[tokio::test]
async fn replay_is_this_program() {
    let program = discover(Some(OsStr::new("replay")), &Env::default())
        .await
        .unwrap();
    assert_eq!(program.path, std::env::current_exe().unwrap());
    assert_eq!(program.leading_args, ["replay-agent"]);
}

#[tokio::test]
async fn missing_says_where_it_would_be() {
    let root = install(&[("bin/agent", "echo Grok")]);
    let path = |place: &str| root.path().join(place).display().to_string();
    std::fs::write(root.path().join("bin/cursor-agent"), "not executable").unwrap();
    let error = discover(None, &env(&root)).await.unwrap_err().to_string();
    let (local, cursor) = (path(".local/bin"), path(".cursor/bin"));
    let start = format!("cursor-agent is not on PATH, nor in {local} or {cursor} (");
    assert!(error.contains(&start), "{start} in {error}");
    assert!(
        error.contains(&format!("({} is not Cursor's)", path("bin/agent"))),
        "{error}"
    );
    assert!(
        error.contains("cursor.com/install") && !error.contains("relative"),
        "{error}"
    );

    for name in [
        "mine",
        "/nonexistent/agent",
        &path("bin/cursor-agent"),
        &path("bin"),
    ] {
        let error = discover(Some(OsStr::new(name)), &env(&root))
            .await
            .unwrap_err();
        assert!(matches!(&error, AgentError::Missing(searched) if searched.contains(name)));
    }
}

async fn query(script: &str, limit: Duration) -> Result<crate::agent::ProgramReply, AgentError> {
    let root = install(&[("agent", script)]);
    let program = Program::at(root.path().join("agent"));
    let env = [
        ("PATH".into(), "/usr/bin:/bin".into()),
        ("A".into(), "a".into()),
    ];
    program
        .query(&["models", "x y"], &env, root.path(), limit)
        .await
}

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn query_answers() {
    let script =
        r#"cat; printf '\033[36m%s\033[39m|' "$@" "$A" "$HOME"; echo crsr_0123456789 >&2; exit 4"#;
    let reply = query(script, PATIENCE).await.unwrap();
    assert_eq!(reply.stdout, "models|x y|a||");
    assert_eq!(reply.stderr, "[redacted]");
    assert_eq!(reply.status.unwrap().code(), Some(4));
}

#[tokio::test]
async fn query_failures_are_classified() {
    let reply = query("echo 'Error: Authentication required.'", PATIENCE)
        .await
        .unwrap();
    assert!(matches!(reply.error(), AgentError::NotLoggedIn { .. }));
}

#[tokio::test]
async fn query_is_bounded() {
    let error = query("sleep 60", Duration::from_millis(50))
        .await
        .unwrap_err();
    let AgentError::Failed(message) = error else {
        panic!("{error:?}");
    };
    assert!(
        message.ends_with("models x y` gave no answer within 0.05 s"),
        "{message}"
    );
    let reply = query("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyy; done", PATIENCE)
        .await
        .unwrap();
    assert!(reply.stdout.len() < 2 << 20);
}

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::agent::bridge::calls::BridgeCalls;

/// Starts a bridge that is this shell script.
async fn start(script: &str) -> (String, Duration) {
    let root = tempfile::tempdir().unwrap();
    let program = root.path().join("bridge");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let launch = BridgeLaunch {
        program,
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        root: root.path().join("root"),
        ready: Duration::from_millis(1500),
    };
    let tracker = TaskTracker::new();
    let callback = Callback::listen(BridgeCalls::default(), &tracker)
        .await
        .unwrap();
    let begin = Instant::now();
    let error = BridgeProcess::start(&launch, &callback, &tracker)
        .await
        .unwrap_err();
    let took = begin.elapsed();
    drop(callback);
    tracker.close();
    timeout(Duration::from_secs(10), tracker.wait())
        .await
        .unwrap();
    let left = std::fs::read_dir(root.path().join("root")).unwrap().count();
    assert_eq!(left, 0, "its directory is gone");
    (error.to_string(), took)
}

fn ready(host: &str, schema: u8, token: &str) -> String {
    let line = json!({"schemaVersion": schema, "transport": "tcp", "protocol": "connect", "host": host, "port": 1,
        "authTokenFile": token});
    format!("echo 'cursor-sdk-bridge ready {line}' >&2; exec sleep 60")
}

#[tokio::test]
async fn a_bridge_that_is_never_ready() {
    let (error, took) = start("echo warming up >&2; exec sleep 60").await;
    assert!(error.contains("not ready within 1.5 s"), "{error}");
    assert!(took < Duration::from_secs(5));
}

#[tokio::test]
async fn a_bridge_that_ends() {
    let (error, _) = start("echo 'no key_0123456789 here' >&2; exit 3").await;
    assert!(
        error.contains("exit status: 3: no [redacted] here"),
        "{error}"
    );
}

#[tokio::test]
async fn ready_lines_that_cannot_be_used() {
    for (script, words) in [
        (
            "echo 'cursor-sdk-bridge ready {' >&2; exec sleep 60".to_owned(),
            "cannot be read",
        ),
        (ready("127.0.0.1", 2, "/dev/null"), "schema 2"),
        (ready("0.0.0.0", 1, "/dev/null"), "not this machine alone"),
        (
            ready("example.com", 1, "/dev/null"),
            "not this machine alone",
        ),
        (ready("127.0.0.1", 1, "/nowhere"), "token cannot be read"),
        (ready("127.0.0.1", 1, "/dev/null"), "it is empty"),
        (ready("localhost", 1, "/etc/hostname"), "cannot be reached"),
    ] {
        let (error, _) = start(&script).await;
        assert!(error.contains(words), "{script}: {error}");
    }
}

#[tokio::test]
async fn the_token_is_not_in_errors() {
    let root = tempfile::tempdir().unwrap();
    let token = root.path().join("token");
    std::fs::write(&token, "very-secret\n").unwrap();
    let (error, _) = start(&ready("127.0.0.1", 1, token.to_str().unwrap())).await;
    assert!(
        error.contains("cannot be reached") && !error.contains("secret"),
        "{error}"
    );
    let script = ready("::1", 1, token.to_str().unwrap());
    let line = script.split('\'').nth(1).unwrap();
    let (client, _) = ready::endpoint(line.strip_prefix(ready::PREFIX).unwrap())
        .await
        .unwrap();
    assert!(!format!("{client:?}").contains("secret"));
}

//! Runs of small shell scripts in place of the agent.

use std::{path::Path, time::Duration};

use rustix::process::{Pid, test_kill_process, test_kill_process_group};
use tokio::time::{sleep, timeout};

use super::*;
use crate::sandbox::process::SpawnSpec;

const DELTA: &str = r#"{"type":"assistant","message":{"content":[{"text":"x"}]},"timestamp_ms":1}"#;
const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false,"result":"x"}"#;

/// Longer than anything here may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

fn spec(script: &str) -> SpawnSpec {
    SpawnSpec {
        program: "/bin/sh".into(),
        args: ["-c", script].map(Into::into).into(),
        env: vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("DELTA".into(), DELTA.into()),
            ("RESULT".into(), RESULT.into()),
        ],
        cwd: "/".into(),
    }
}

fn start(script: &str, prompt: &str, tracker: &TaskTracker) -> ChildOutput {
    let mut output = ChildOutput::start(Start::New(spec(script)), tracker).unwrap();
    output.feed(prompt.to_owned().into(), tracker);
    output
}

/// All events of a run, and how it ended.
async fn run(script: &str, prompt: &str) -> (Vec<AgentEvent>, Option<AgentError>) {
    let tracker = TaskTracker::new();
    let mut run = start(script, prompt, &tracker);
    let group = Pid::from_raw(run.pid().try_into().unwrap()).unwrap();
    let mut events = Vec::new();
    let error = timeout(PATIENCE, async {
        loop {
            if let Err(error) = run.next(&mut events).await {
                return Some(error);
            }
            if let Some(AgentEvent::Finished(_)) = events.last() {
                return None;
            }
        }
    });
    let error = error.await.unwrap();
    assert_eq!(run.json_seen(), !events.is_empty());
    drop(run);
    gone(group, &tracker).await;
    (events, error)
}

/// Waits for the tasks, after which nobody of the group may be left.
async fn gone(group: Pid, tracker: &TaskTracker) {
    tracker.close();
    timeout(PATIENCE, tracker.wait()).await.unwrap();
    // A killed grandchild is a zombie until init has reaped it.
    let group = group.as_raw_nonzero().to_string();
    timeout(PATIENCE, async {
        while living_members(&group) {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

fn living_members(group: &str) -> bool {
    let output = std::process::Command::new("ps")
        .args(["-A", "-o", "pgid=,stat="])
        .output();
    let listed = String::from_utf8(output.unwrap().stdout).unwrap();
    listed.lines().any(|line| {
        let mut fields = line.split_whitespace();
        fields.next() == Some(group) && !fields.next().unwrap().starts_with('Z')
    })
}

fn delta() -> AgentEvent {
    AgentEvent::TextDelta("x".to_owned())
}

fn failed(message: &str) -> Option<AgentError> {
    Some(AgentError::Failed(message.to_owned()))
}

#[tokio::test]
async fn prompt_in_events_out() {
    let script = r#"read -r line; [ "$line" = "the prompt" ] && echo "$DELTA" && echo "$RESULT" && echo "$DELTA""#;
    let (events, error) = run(script, "the prompt\n").await;
    assert_eq!(error, None);
    assert!(matches!(&events[..], [first, AgentEvent::Finished(_)] if *first == delta()));
}

#[tokio::test]
async fn lines_of_one_read_come_together() {
    let tracker = TaskTracker::new();
    let mut run = start(
        r#"printf '%s\n%s\n%s\n' "$DELTA" "$DELTA" "$RESULT"; sleep 60"#,
        "",
        &tracker,
    );
    let mut events = Vec::new();
    timeout(PATIENCE, run.next(&mut events))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(events.len(), 3);
}

#[tokio::test]
async fn last_line_needs_no_newline() {
    let (events, error) = run(r#"printf '%s' "$DELTA""#, "").await;
    assert_eq!(events, [delta()]);
    assert_eq!(
        error,
        failed("the agent ended without a result; its stderr is empty")
    );
}

#[tokio::test]
async fn early_exit_during_a_long_prompt() {
    let prompt = "p".repeat(5 << 20);
    let (events, error) = run(
        r#"echo "$DELTA"; echo oops key_0123456789 >&2; exit 3"#,
        &prompt,
    )
    .await;
    assert_eq!(events, [delta()]);
    assert_eq!(
        error,
        failed("the agent ended with exit status 3 and no result: oops [redacted]")
    );
}

#[tokio::test]
async fn long_prompt_arrives_whole() {
    let prompt = "p".repeat(5 << 20);
    let (_, error) = run(r#"[ "$(wc -c)" -eq 5242880 ] && echo "$RESULT""#, &prompt).await;
    assert_eq!(error, None);
}

#[tokio::test]
async fn junk_is_no_event_but_may_be_the_reason() {
    let script = r#"echo "Using worktree: /w"; echo; echo "$DELTA"; echo '{"cut'; echo "You have hit your usage limit""#;
    let (events, error) = run(script, "").await;
    assert_eq!(events, [delta()]);
    let message = "You have hit your usage limit".to_owned();
    assert_eq!(error, Some(AgentError::UsageLimit(message)));
}

/// Whether the exit or the output is seen first is a matter of chance, so it is tried often.
#[tokio::test]
async fn slow_reader_loses_nothing_at_the_exit() {
    for _ in 0..10 {
        let tracker = TaskTracker::new();
        let mut run = start(r#"for i in 1 2 3; do echo "$DELTA"; done"#, "", &tracker);
        tracker.close();
        timeout(PATIENCE, tracker.wait()).await.unwrap();
        let mut events = Vec::new();
        while run.next(&mut events).await.is_ok() {}
        assert_eq!(events.len(), 3);
    }
}

#[tokio::test]
async fn crash_names_the_signal() {
    let (_, error) = run("kill -9 $$", "").await;
    assert_eq!(
        error,
        failed("the agent was killed by signal 9; its stderr is empty")
    );
}

#[tokio::test]
async fn closed_stdout_is_an_end() {
    let (events, error) = run(r#"echo "$DELTA"; exec >&-; echo why >&2; sleep 60"#, "").await;
    assert_eq!(events, [delta()]);
    assert_eq!(
        error,
        failed("the agent closed its output without a result: why")
    );
}

#[tokio::test]
async fn grandchild_holding_the_pipes_does_not_hide_the_exit() {
    let (events, error) = run(r#"sleep 60 & echo "$DELTA"; echo why >&2; exit 1"#, "").await;
    assert_eq!(events, [delta()]);
    assert_eq!(
        error,
        failed("the agent ended with exit status 1 and no result: why")
    );
}

/// Its own session takes a grandchild out of the group, so nobody closes its copies of the pipes.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn detached_grandchild_does_not_hide_the_exit() {
    let script = r#"setsid sh -c 'while sleep 0.02; do echo chatter; echo chatter >&2; done' & echo "$!"; sleep 0.2; echo "$DELTA"; exit 1"#;
    let tracker = TaskTracker::new();
    let mut run = start(script, "", &tracker);
    let mut events = Vec::new();
    let error = timeout(PATIENCE, async {
        while run.next(&mut events).await.is_ok() {}
        run.next(&mut events).await.unwrap_err()
    });
    let AgentError::Failed(message) = error.await.unwrap() else {
        panic!("not a failure");
    };
    assert_eq!(events, [delta()]);
    assert!(message.starts_with("the agent ended with exit status 1 and no result: "));
    let detached = message
        .split_whitespace()
        .find_map(|word| word.parse().ok());
    let detached = detached.and_then(Pid::from_raw).unwrap();
    assert!(
        test_kill_process(detached).is_ok(),
        "the scenario needs a survivor"
    );
    rustix::process::kill_process(detached, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn drop_ends_a_group_that_ignores_sigterm() {
    let tracker = TaskTracker::new();
    let mut run = start(
        r#"trap '' TERM; sleep 60 & echo "$DELTA"; while :; do sleep 1; done"#,
        "",
        &tracker,
    );
    timeout(PATIENCE, run.next(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
    let group = Pid::from_raw(run.pid().try_into().unwrap()).unwrap();
    assert!(test_kill_process_group(group).is_ok());
    drop(run);
    gone(group, &tracker).await;
}

#[tokio::test]
async fn drop_lets_the_agent_clean_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cleaned");
    let script = format!(
        r#"trap 'echo done > {}; exit' TERM; echo "$DELTA"; while :; do sleep 0.01; done"#,
        file.display()
    );
    let tracker = TaskTracker::new();
    let mut run = start(&script, "", &tracker);
    timeout(PATIENCE, run.next(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
    let group = Pid::from_raw(run.pid().try_into().unwrap()).unwrap();
    drop(run);
    gone(group, &tracker).await;
    assert!(Path::new(&file).exists());
}

#[tokio::test]
async fn next_can_be_cancelled() {
    let tracker = TaskTracker::new();
    let mut run = start(
        r#"printf '%.20s' "$DELTA"; sleep 0.3; echo "${DELTA#????????????????????}""#,
        "",
        &tracker,
    );
    let mut events = Vec::new();
    timeout(PATIENCE, async {
        while timeout(Duration::from_millis(20), run.next(&mut events))
            .await
            .is_err()
        {}
    })
    .await
    .unwrap();
    assert_eq!(events, [delta()]);
}

#[tokio::test]
async fn missing_program_is_told() {
    let mut spec = spec("");
    spec.program = "/nonexistent/agent".into();
    let error = ChildOutput::start(Start::New(spec), &TaskTracker::new()).unwrap_err();
    assert!(matches!(error, AgentError::Spawn { program, .. } if program == "/nonexistent/agent"));
}

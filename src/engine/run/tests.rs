//! The budgets, on a clock of our own: no test here waits for anything.

use std::path::Path;

use serde_json::json;
use tokio::time::sleep;

use super::*;
use crate::{
    agent::{AgentError, CallKey, NativeCall, Siblings},
    boundary::{BoundaryOptions, FileChange},
    engine::{
        AdmissionLimits, Counters, TurnStream,
        admission::Admission,
        feed::Feed,
        losses::LossReason,
        usage::{EstimateUsage, Estimates},
    },
    turn::{Attachment, ErrorKind, ToolResult, Turn},
};

const FIRST: Duration = Duration::from_secs(120);
const IDLE: Duration = Duration::from_secs(600);

/// Events, each after a silence; then silence for ever.
struct Script(VecDeque<(Duration, AgentEvent)>);

impl RunSource for Script {
    async fn next(&mut self, events: &mut Vec<AgentEvent>) -> Result<(), AgentError> {
        let Some((silence, _)) = self.0.front() else {
            return std::future::pending().await;
        };
        sleep(*silence).await;
        events.extend(self.0.pop_front().map(|(_, event)| event));
        Ok(())
    }

    fn reply(&mut self, _: CallKey, _: &ToolResult, _: &[Attachment]) {}

    fn can_wait(&self) -> bool {
        false
    }

    fn end(&mut self) {}

    fn siblings(&self) -> Siblings {
        Siblings::Unknown
    }

    fn place(&self, _: CallKey) -> Option<usize> {
        None
    }

    fn has_view(&self) -> bool {
        false
    }

    fn kind(&self) -> &'static str {
        "script"
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    async fn changes(&self) -> (Vec<FileChange>, Vec<(String, LossReason)>) {
        (Vec::new(), Vec::new())
    }
}

fn started() -> AgentEvent {
    AgentEvent::Started(Box::default())
}

fn shell(timeout_ms: u64) -> AgentEvent {
    let args = json!({"command": "make", "timeout": timeout_ms});
    AgentEvent::ToolStarted(Box::new(NativeCall {
        call_id: "1".to_owned(),
        kind: "shell".to_owned(),
        args: args.as_object().cloned(),
        ..NativeCall::default()
    }))
}

/// Plays the script: how long the run took, and how it ended.
async fn play(
    total: Option<Duration>,
    script: impl IntoIterator<Item = (Duration, AgentEvent)>,
) -> (Duration, Result<FinishReason, TurnError>) {
    let budgets = Budgets {
        first_event: FIRST,
        idle: IDLE,
        total,
    };
    let script = Script(script.into_iter().collect());
    let turn = Turn::default();
    let translator = Translator::new(&turn, Path::new("/"), &BoundaryOptions::default());
    let permit = Admission::new(AdmissionLimits::default())
        .admit()
        .await
        .unwrap();
    let mut run = Run::new(script, translator, "auto", permit, false);
    let (estimates, counters) = (Estimates::new(EstimateUsage::Auto), Counters::default());
    let (sender, mut events) = TurnStream::channel();
    let feed = Feed::Direct(sender);
    let mut answer = Answer::new(&counters, &estimates, &turn, &feed, usize::MAX).unwrap();
    tokio::spawn(async move { while events.next().await.is_some() {} });
    let begun = Instant::now();
    let stop = CancellationToken::new();
    let outcome = match run.drive(&mut answer, budgets, begun, &stop).await {
        Pause::Finished => Ok(FinishReason::Stop),
        Pause::Failed(error) => Err(error),
        _ => panic!("neither an end nor a failure"),
    };
    (begun.elapsed(), outcome)
}

/// The same for a turn that must run into a budget.
async fn timeout(
    total: Option<Duration>,
    script: impl IntoIterator<Item = (Duration, AgentEvent)>,
) -> (Duration, String) {
    let (took, outcome) = play(total, script).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    (took, error.message)
}

const NOW: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_first_event() {
    let (took, message) = timeout(None, []).await;
    assert_eq!(took, FIRST);
    assert!(message.contains("--agent-timeout"), "{message}");
    let (took, message) = timeout(None, [(FIRST - SECOND, started())]).await;
    assert_eq!(took, FIRST - SECOND + IDLE, "then the idle budget holds");
    assert!(message.contains("--idle-timeout"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn any_event_ends_a_silence() {
    let events = [
        AgentEvent::Activity,
        AgentEvent::Thinking("hm".to_owned()),
        AgentEvent::TextDelta("a".to_owned()),
        AgentEvent::Retrying,
        AgentEvent::Activity,
    ];
    let begin = [(NOW, started())];
    let script = begin
        .into_iter()
        .chain(events.map(|event| (IDLE - SECOND, event)));
    let (took, _) = timeout(None, script).await;
    assert_eq!(took, (IDLE - SECOND) * 5 + IDLE);
}

#[tokio::test(start_paused = true)]
async fn an_open_tool_has_its_own_time_and_a_grace() {
    let hour = Duration::from_secs(3600);
    let (took, message) = timeout(None, [(NOW, started()), (NOW, shell(3_600_000))]).await;
    assert_eq!(took, hour + Duration::from_secs(30));
    assert!(message.contains("`shell`"), "{message}");
    let (took, _) = timeout(None, [(NOW, started()), (NOW, shell(1000))]).await;
    assert_eq!(took, IDLE, "it never has less");
    let done = AgentEvent::ToolCompleted(Box::new(NativeCall {
        call_id: "1".to_owned(),
        kind: "shell".to_owned(),
        ..NativeCall::default()
    }));
    let (took, message) = timeout(
        None,
        [(NOW, started()), (NOW, shell(3_600_000)), (hour, done)],
    )
    .await;
    assert_eq!(took, hour + IDLE, "once it is complete");
    assert!(!message.contains("`shell`"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn the_total_ends_a_turn_that_talks_and_one_that_does_not() {
    let total = Duration::from_secs(60);
    let talk = (0..1000).map(|_| (SECOND, AgentEvent::TextDelta("on".to_owned())));
    let (took, message) = timeout(Some(total), talk).await;
    assert_eq!(took, total);
    assert!(message.contains("--turn-timeout"), "{message}");
    let (took, message) = timeout(Some(total), []).await;
    assert_eq!(took, total);
    assert!(message.contains("--turn-timeout"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn without_a_total_a_turn_that_talks_may_last() {
    let talk = (0..10_000).map(|_| (SECOND, AgentEvent::TextDelta("on".to_owned())));
    let end = (SECOND, AgentEvent::Finished(Box::default()));
    let (took, outcome) = play(None, talk.chain([end])).await;
    assert_eq!(took.as_secs(), 10_001);
    assert!(outcome.is_ok());
}

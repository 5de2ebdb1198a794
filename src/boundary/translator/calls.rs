//! What the agent does becomes calls of the client's: each gets its place in the batch, and the batch
//! goes out when it is complete.

use std::ops::ControlFlow::{Break, Continue};

use serde_json::Value;

use super::{Flow, Translator};
use crate::{
    agent::NativeCall,
    boundary::{
        Mode, ReadyCall, Source, Verdict, batch::Ready, catalog::ClientCall, change::FileChange,
        decide::Decision, guard, ids, native,
    },
    turn::{Activity, Delta, ToolCall, relocate},
};

impl Translator {
    pub(super) fn announced(&mut self, call: NativeCall, out: &mut Vec<Delta>) -> Flow {
        let step = self.consider(&call, out);
        self.in_flight.announce(call);
        step
    }

    pub(super) fn completed(&mut self, mut call: NativeCall, out: &mut Vec<Delta>) -> Flow {
        self.in_flight.complete(&mut call);
        if self.edited(&call) {
            return Continue(());
        }
        let step = self.consider(&call, out);
        if self.edited(&call) {
            return Continue(());
        }
        self.batch.break_off();
        if step.is_continue() && !self.taken.contains(&call.call_id) {
            let outcome = call.outcome.map(|outcome| outcome.name);
            out.push(Delta::Activity(Box::new(Activity {
                tool: call.kind,
                outcome: outcome.unwrap_or_else(|| "unknown".to_owned()),
            })));
        }
        step
    }

    /// Takes the end of an edit that the batch waits for.
    fn edited(&mut self, call: &NativeCall) -> bool {
        let waited = self.edits().is_waiting_for(&call.call_id);
        if waited {
            self.changes_due |= call.outcome.as_ref().is_some_and(|o| o.is_success());
            self.edits().complete(&call.call_id, FileChange::of(call));
        }
        waited
    }

    /// Gives a call that carries arguments its place in the batch, if the client executes it.
    fn consider(&mut self, call: &NativeCall, out: &mut Vec<Delta>) -> Flow {
        let known = !call.call_id.is_empty() && self.taken.contains(&call.call_id);
        if call.args.is_none() || known {
            return Continue(());
        }
        let decision = self.decider.native(call);
        // Even a call that is left to the agent shows that the model has been asked again.
        if !self.batch.admits(call.model_call_id.as_deref()) {
            self.close(out)?;
        }
        match decision {
            Decision::LeaveToAgent => {}
            Decision::AwaitChange => {
                self.taken.insert(call.call_id.clone());
                self.edits().await_change(&call.call_id);
            }
            Decision::Call(calls) => {
                if let Some(refused) = calls.iter().find(|made| self.refuses(made)) {
                    return self.refuse(refused, out);
                }
                self.taken.insert(call.call_id.clone());
                for made in calls {
                    let file = native::edited_file(call).map(str::to_owned);
                    let edit = file.map(|file| (call.call_id.clone(), file));
                    self.batch.push(Source::Native, made, edit);
                }
            }
        }
        Continue(())
    }

    /// The batch is complete: if it holds anything, it goes out.
    pub(super) fn close(&mut self, out: &mut Vec<Delta>) -> Flow {
        if !self.batch.is_ready() {
            return Continue(());
        }
        let mut ready = self.take_changes();
        ready.extend(self.batch.take());
        self.emit(ready, Source::Native, out)
    }

    /// Gives the client calls; `of_changes` is the source of those that make changes.
    pub(super) fn emit(
        &mut self,
        ready: Vec<Ready>,
        of_changes: Source,
        out: &mut Vec<Delta>,
    ) -> Flow {
        let mut calls = Vec::new();
        let mut changes = Vec::new();
        let mut place = 0;
        for ready in ready {
            match ready {
                Ready::Call(source, made) => calls.push((source, made)),
                Ready::Change(change) => {
                    if changes.is_empty() {
                        place = calls.len();
                    }
                    changes.push(change);
                }
            }
        }
        let (made, lost) = self.decider.changes(&changes);
        let lost = lost.into_iter().map(|path| match &self.own_directory {
            Some(own) => path.replace(own.as_str(), "."),
            None => path,
        });
        self.lost.extend(lost);
        let made = made.into_iter().map(|made| (of_changes, made));
        calls.splice(place..place, made);
        // Those that a run keeps go out one after the other.
        let kept = |(source, _): &(Source, ClientCall)| source.is_kept();
        if !self.decider.parallel && !calls.iter().all(kept) {
            calls.truncate(1);
        }
        if calls.is_empty() {
            return Continue(());
        }
        // The client must not be sent to the agent's own directory.
        if let Some(own) = &self.own_directory {
            for (_, made) in &mut calls {
                let values = made.arguments.values_mut();
                values.for_each(|value| relocate(value, own, "."));
            }
        }
        if self.decider.options.mode == Mode::V1 {
            let made: Vec<&ClientCall> = calls.iter().map(|(_, made)| made).collect();
            let limit = self.decider.options.max_repeat;
            if let Some(reason) = guard::stop(&self.decider.history, &made, limit) {
                self.explain(&reason, out);
                return self.stop();
            }
        }
        if of_changes != Source::Change {
            self.release_text(out);
        }
        let ready = calls.into_iter().map(|(source, made)| ReadyCall {
            source,
            call: ToolCall {
                id: ids::next(),
                name: made.name,
                arguments: Value::Object(made.arguments).to_string(),
            },
        });
        Break(Verdict::Calls(ready.collect()))
    }

    /// Whether a call is not even passed on for the client to refuse.
    pub(super) fn refuses(&self, made: &ClientCall) -> bool {
        !made.problems.is_empty() && !self.decider.options.auto_fallback
    }

    /// Stops over a call that can't be made valid; the valid ones beside it go out.
    pub(super) fn refuse(&mut self, made: &ClientCall, out: &mut Vec<Delta>) -> Flow {
        let reason = format!(
            "Stopped: the call of `{}` does not fit the tool's schema ({}).",
            made.name,
            made.problems.join("; ")
        );
        self.explain(&reason, out);
        self.close(out)?;
        self.stop()
    }
}

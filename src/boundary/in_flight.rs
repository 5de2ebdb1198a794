//! The native calls that were announced and are not complete.

use super::{OpenTool, native};
use crate::agent::NativeCall;

/// Calls in the order of their announcement.
#[derive(Debug, Default)]
pub(super) struct InFlight(Vec<NativeCall>);

impl InFlight {
    /// Notes an announced call. It may be announced more than once.
    pub(super) fn announce(&mut self, call: NativeCall) {
        if !self.0.iter().any(|open| is_same(open, &call)) {
            self.0.push(call);
        }
    }

    /// Takes back what was announced of a complete call, and adds to it what only the announcement
    /// said.
    pub(super) fn complete(&mut self, call: &mut NativeCall) {
        if let Some(at) = self.0.iter().position(|open| is_same(open, call)) {
            let open = self.0.remove(at);
            call.args = call.args.take().or(open.args);
            call.model_call_id = call.model_call_id.take().or(open.model_call_id);
        }
    }

    /// Whether the call of this id is open.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|call| call.call_id == id)
    }

    /// The tool that is being executed; of several the one with the longest limit.
    pub(super) fn longest(&self) -> Option<OpenTool> {
        let tools = self.0.iter().map(|call| OpenTool {
            name: call.kind.clone(),
            timeout: native::timeout(call),
        });
        tools.max_by_key(|tool| tool.timeout)
    }
}

/// Whether two events are about one call. Old versions leave the id out.
fn is_same(a: &NativeCall, b: &NativeCall) -> bool {
    a.call_id == b.call_id && (!a.call_id.is_empty() || a.kind == b.kind)
}

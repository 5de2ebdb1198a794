//! The stage between boundary and dialect: gives the answer's text the [form](OutputRules) that the
//! client asked for.
//!
//! Pure, and the same for every dialect. Only text is touched: reasoning and tool calls pass. Where
//! the answer must be JSON, or must call a tool, its text is held back until it is whole. If it is
//! not what was demanded, the model learns that and is asked once more; what a tool call stands beside
//! may be any text.

mod cost;
mod cut;
mod json;

use cut::Cut;
use json::Check;

use crate::turn::{
    Delta, ErrorKind, FinishReason, Message, Role, ToolChoice, Turn, TurnEnd, TurnError, TurnEvent,
    Usage,
};

/// The state of one answer, which may take two runs.
pub(super) struct Shaper {
    cut: Cut,
    demand: Option<Demand>,
}

/// An answer that must be more than text.
struct Demand {
    must: Must,
    held: String,
    /// What an earlier run cost that did not give any.
    earlier: Option<Option<Usage>>,
}

/// What it must be.
enum Must {
    /// JSON that passes this check.
    BeJson(Check),
    /// A call of a tool, or of one of these.
    Call(Vec<String>),
}

impl Must {
    fn of(turn: &Turn) -> Result<Option<Self>, String> {
        Ok(match &turn.tool_choice {
            ToolChoice::Required if turn.allows_tools() => Some(Self::Call(Vec::new())),
            ToolChoice::Named(names) if turn.allows_tools() => Some(Self::Call(names.clone())),
            _ => Check::new(&turn.output.format)?.map(Self::BeJson),
        })
    }

    /// The part of a whole text that is what was demanded, or what is wrong with it and what to do.
    fn check<'t>(&self, text: &'t str) -> Result<&'t str, (String, String)> {
        match self {
            Self::BeJson(check) => check.json(text).map_err(|fault| {
                let again = "Give the whole answer again, as JSON and nothing else.";
                (fault, again.to_owned())
            }),
            Self::Call(names) => {
                let wanted = match names.as_slice() {
                    [] => "a tool".to_owned(),
                    names => names.join(" or "),
                };
                let fault = format!("it does not call {wanted}, as `tool_choice` demands");
                Err((fault, format!("Call {wanted} now.")))
            }
        }
    }
}

/// What follows the end of a run.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// The answer ends.
    End(TurnEnd),
    /// The model is to try again, with these messages added to the conversation.
    Again([Message; 2]),
}

impl Shaper {
    /// # Errors
    /// A schema that is none.
    pub fn new(turn: &Turn) -> Result<Self, TurnError> {
        let must = Must::of(turn).map_err(|error| {
            let message = format!("the answer's schema is not a valid JSON Schema: {error}");
            TurnError::new(ErrorKind::InvalidRequest, message)
        })?;
        Ok(Self {
            cut: Cut::new(&turn.output),
            demand: must.map(|must| Demand {
                must,
                held: String::new(),
                earlier: None,
            }),
        })
    }

    /// Whether the answer can take another run.
    pub fn may_repeat(&self) -> bool {
        self.demand
            .as_ref()
            .is_some_and(|demand| demand.earlier.is_none())
    }

    /// Whether the text must be JSON, so that not a word may be added to it.
    pub fn is_for_a_program(&self) -> bool {
        let must = self.demand.as_ref().map(|demand| &demand.must);
        matches!(must, Some(Must::BeJson(_)))
    }

    /// Takes a delta and appends what of it may be shown. `Some` if the answer ends with that.
    pub fn delta(&mut self, delta: Delta, out: &mut Vec<TurnEvent>) -> Option<FinishReason> {
        if matches!(delta, Delta::Activity(_)) {
            out.push(TurnEvent::Delta(delta));
            return None;
        }
        let Delta::Text(text) = delta else {
            // What comes after the text shows that no stop sequence went on.
            let reason = self.flush(out);
            if reason.is_none() {
                if matches!(delta, Delta::ToolCall(_)) {
                    self.release(out);
                }
                out.push(TurnEvent::Delta(delta));
            }
            return reason;
        };
        let (text, reason) = self.cut.text(text);
        self.show(text, out);
        reason
    }

    /// The run ended so: appends what was held back, and says what comes next.
    pub fn end(&mut self, mut end: TurnEnd, out: &mut Vec<TurnEvent>) -> Next {
        if let Some(reason) = self.flush(out) {
            end.outcome = end.outcome.map(|_| reason);
        }
        let is_whole = end.outcome == Ok(FinishReason::Stop);
        if !is_whole {
            self.release(out);
        }
        let Some(demand) = &mut self.demand else {
            return Next::End(end);
        };
        let usage = end.usage;
        end.usage = match (demand.earlier.flatten(), usage) {
            (Some(earlier), Some(usage)) => Some(earlier + usage),
            (earlier, usage) => usage.or(earlier),
        };
        if !is_whole {
            return Next::End(end);
        }
        let held = std::mem::take(&mut demand.held);
        match demand.must.check(&held) {
            Ok(text) => push(text.to_owned(), out),
            Err((fault, request)) if demand.earlier.is_none() => {
                demand.earlier = Some(usage);
                return Next::Again(complaint(held, &fault, &request));
            }
            Err((fault, _)) => end.outcome = Err(bad_answer(&held, &fault)),
        }
        Next::End(end)
    }

    /// The model called tools that were executed here, and continues: what it wrote before that is not
    /// the answer that was demanded, and a demanded call was made.
    pub fn executed(&mut self, out: &mut Vec<TurnEvent>) {
        let called = self
            .demand
            .take_if(|demand| matches!(demand.must, Must::Call(_)));
        if let Some(demand) = called {
            push(demand.held, out);
        }
        if let Some(demand) = &mut self.demand {
            demand.held.clear();
        }
    }

    fn flush(&mut self, out: &mut Vec<TurnEvent>) -> Option<FinishReason> {
        let (text, reason) = self.cut.rest();
        self.show(text, out);
        reason
    }

    fn show(&mut self, text: String, out: &mut Vec<TurnEvent>) {
        match &mut self.demand {
            Some(demand) => demand.held.push_str(&text),
            None => push(text, out),
        }
    }

    /// Shows what was held back, whatever it is.
    fn release(&mut self, out: &mut Vec<TurnEvent>) {
        if let Some(demand) = &mut self.demand {
            push(std::mem::take(&mut demand.held), out);
        }
    }
}

fn push(text: String, out: &mut Vec<TurnEvent>) {
    if !text.is_empty() {
        out.push(TurnEvent::Delta(Delta::Text(text)));
    }
}

fn complaint(answer: String, fault: &str, request: &str) -> [Message; 2] {
    let request = format!("That answer can't be used: {fault}. {request}");
    [
        Message::text(Role::Assistant, answer),
        Message::text(Role::User, request),
    ]
}

fn bad_answer(text: &str, fault: &str) -> TurnError {
    TurnError::new(
        ErrorKind::BadAnswer,
        format!(
            "twice the model did not give the answer that was asked for; {fault}. Its answer: {text}"
        ),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

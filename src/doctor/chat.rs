//! Whether a real request is answered, all the way through a server of our own.

use std::time::Instant;

use super::{Context, finding::Verdict};

pub(super) async fn check(context: &Context) -> Verdict {
    if context.program.is_err() {
        return Verdict::no_agent();
    }
    let begun = Instant::now();
    match (context.chat)().await {
        Ok(text) if !text.trim().is_empty() => Verdict::ok(format!(
            "`auto` answered in {:.1} s",
            begun.elapsed().as_secs_f32()
        )),
        Ok(_) => Verdict::warning("`auto` answered without a word"),
        Err(error) => Verdict::problem(error)
            .hint("`open-cursor serve --log-level debug` shows what the agent says"),
    }
}

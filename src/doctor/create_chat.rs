//! Whether Cursor's back end answers: an empty chat costs no request.

use super::{Context, finding::Verdict};

pub(super) async fn check(context: &Context) -> Verdict {
    let Ok(program) = &context.program else {
        return Verdict::no_agent();
    };
    let reply = match context.query(program, &["create-chat"], 25).await {
        Ok(reply) => reply,
        Err(error) => return Verdict::problem(error.to_string()),
    };
    let last = reply
        .stdout
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty());
    if last.is_some_and(is_uuid) {
        return Verdict::ok("an empty chat was created");
    }
    Verdict::problem(format!("no chat was created: {}", reply.error()))
        .hint("run `cursor-agent create-chat`, and `open-cursor login` if it asks for that")
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids() {
        assert!(is_uuid("868f1553-01ac-4335-89c6-6c1f101d6009"));
        assert!(!is_uuid("868f1553-01ac-4335-89c6-6c1f101d600"));
        assert!(!is_uuid("not logged in"));
    }
}

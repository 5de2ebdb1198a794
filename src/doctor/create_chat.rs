//! Whether Cursor's service answers, over TLS and any proxy: creating an empty chat costs no request.

use super::{CheckResult, Checked, Context};

pub(super) async fn check(context: &Context) -> Checked {
    let program = context.program()?;
    let reply = context.query(program, &["create-chat"], 25).await?;
    let last = reply
        .stdout
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty());
    if last.is_some_and(is_uuid) {
        return Ok(CheckResult::ok("an empty chat was created"));
    }
    let error = reply.error().to_string();
    let hint = if error.to_lowercase().contains("certificate") {
        "if your network inspects TLS, set NODE_EXTRA_CA_CERTS to the file of its CA (PEM): \
         Cursor's CLI does not use the operating system's list"
    } else {
        "run `cursor-agent create-chat`; if it asks for a login, run `open-cursor login`"
    };
    Ok(CheckResult::problem(format!("no chat was created: {error}")).hint(hint))
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

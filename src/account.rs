//! What Cursor's own servers count for the account, asked only when the user says so.
//!
//! These endpoints are undocumented: they belong to Cursor's editor, and may change or refuse at any
//! time. So their answers are shown as they are, and what fails is named.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::auth::LoginToken;

/// Where Cursor's own programs connect to, unless one of `OVERRIDES` is set.
const CURSOR: &str = "https://api2.cursor.sh";
const OVERRIDES: [&str; 2] = ["CURSOR_API_ENDPOINT", "CURSOR_API_BASE_URL"];

/// What is asked. A path with a body is a POST.
const ENDPOINTS: [(&str, Option<&str>); 5] = [
    (PERIOD, Some("{}")),
    ("/aiserver.v1.DashboardService/GetPlanInfo", Some("{}")),
    // Requests by model: what is left of plans that count these.
    ("/auth/usage", None),
    ("/aiserver.v1.AiService/GetDefaultModel", Some("{}")),
    ("/aiserver.v1.AiService/AvailableModels", Some("{}")),
];
const PERIOD: &str = "/aiserver.v1.DashboardService/GetCurrentPeriodUsage";

/// How long one answer may take, and how large it may be.
const LIMIT: Duration = Duration::from_secs(10);
const LARGEST: u64 = 4 << 20;

/// What the servers said.
#[derive(Debug, Default, Serialize)]
pub struct AccountView {
    /// The answers by path, as they came.
    pub answers: Map<String, Value>,
    /// The paths that gave none, and why.
    pub problems: Map<String, Value>,
}

/// Nothing was learned.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The address would carry the token over the network in the clear, or is none.
    #[error("{0} is not an https:// address")]
    Address(String),
    /// No endpoint answered; why the first did not.
    #[error("{address} gave no answer: {reason}")]
    NoAnswer {
        /// The server.
        address: String,
        /// Why.
        reason: String,
    },
}

/// The address of Cursor's servers, by the variables that its CLI reads.
pub fn address(variable: &dyn Fn(&str) -> Option<String>) -> String {
    let set = OVERRIDES.iter().find_map(|name| variable(name));
    set.unwrap_or_else(|| CURSOR.to_owned())
}

/// Asks all endpoints with the token. Blocking.
///
/// # Errors
/// [`AccountError`], if none answered.
pub fn ask(address: &str, token: &LoginToken) -> Result<AccountView, AccountError> {
    let address = address.trim_end_matches('/');
    if !is_safe(address) {
        return Err(AccountError::Address(address.to_owned()));
    }
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .http_status_as_error(false)
        // The token is for this address only.
        .max_redirects(0);
    let agent = ureq::Agent::new_with_config(config.build());
    let mut view = AccountView::default();
    for (path, body) in ENDPOINTS {
        match answer(&agent, &format!("{address}{path}"), body, token) {
            Ok(answer) => view.answers.insert(path.to_owned(), answer),
            Err(problem) => view.problems.insert(path.to_owned(), problem.into()),
        };
    }
    if view.answers.is_empty() {
        let first = view.problems.values().next().and_then(Value::as_str);
        return Err(AccountError::NoAnswer {
            address: address.to_owned(),
            reason: first.unwrap_or_default().to_owned(),
        });
    }
    Ok(view)
}

/// Whether a secret may be sent there.
fn is_safe(address: &str) -> bool {
    let Ok(uri) = address.parse::<hyper::Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => matches!(host, "127.0.0.1" | "localhost" | "[::1]"),
        _ => false,
    }
}

fn answer(
    agent: &ureq::Agent,
    url: &str,
    body: Option<&str>,
    token: &LoginToken,
) -> Result<Value, String> {
    let bearer = format!("Bearer {}", token.secret());
    let sent = match body {
        Some(body) => agent
            .post(url)
            .header("authorization", &bearer)
            .header("content-type", "application/json")
            .header("connect-protocol-version", "1")
            .send(body),
        None => agent.get(url).header("authorization", &bearer).call(),
    };
    let mut response = sent.map_err(|error| error.to_string())?;
    let status = response.status();
    let text = response.body_mut().with_config().limit(LARGEST);
    let text = text.read_to_string().map_err(|error| error.to_string())?;
    let value: Option<Value> = serde_json::from_str(&text).ok();
    if !status.is_success() {
        let message = value
            .as_ref()
            .and_then(|value| value.get("message")?.as_str());
        let message =
            message.map(|message| format!(": {}", message.chars().take(200).collect::<String>()));
        let login = if status.as_u16() == 401 {
            "; the login may have expired"
        } else {
            ""
        };
        return Err(format!(
            "status {}{}{login}",
            status.as_u16(),
            message.unwrap_or_default()
        ));
    }
    value.ok_or_else(|| "the answer is not JSON".to_owned())
}

impl AccountView {
    /// The plan's use in words, where the answer has the fields that tell it.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let plan = self
            .answers
            .get(PERIOD)
            .and_then(|period| period.get("planUsage"));
        let cents = |name: &str| plan?.get(name)?.as_f64().map(|cents| cents / 100.0);
        if let (Some(limit), Some(remaining)) = (cents("limit"), cents("remaining")) {
            lines.push(format!(
                "included in the plan: ${remaining:.2} of ${limit:.2} left"
            ));
        }
        if let Some(spent) = cents("totalSpend") {
            lines.push(format!("spent in this period: ${spent:.2}"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_https_or_to_this_machine() {
        for (address, safe) in [
            (CURSOR, true),
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://api2.cursor.sh", false),
            ("http://127.0.0.1.evil.example", false),
            ("ftp://localhost", false),
            ("localhost", false),
            ("", false),
        ] {
            assert_eq!(is_safe(address), safe, "{address}");
        }
        let nothing = |_: &str| None;
        assert_eq!(super::address(&nothing), CURSOR);
    }
}

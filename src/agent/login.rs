//! What the CLI says about its login (recordings/status): `status --format json`, or the text of
//! older ones.

use std::{
    ffi::OsString,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{AgentError, Program};

/// What the CLI says about its login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Logged in; with the e-mail address, if the CLI prints it.
    In(Option<String>),
    /// Logged out.
    Out,
    /// The output says neither.
    Unknown,
}

/// Asks the CLI in this environment. Both attempts together take `limit` at most.
///
/// # Errors
/// [`AgentError`] if it cannot be started or does not answer in time.
pub async fn ask_login(
    program: &Program,
    env: &[(OsString, OsString)],
    limit: Duration,
) -> Result<Login, AgentError> {
    let end = Instant::now() + limit;
    for args in [&["status", "--format", "json"][..], &["status"]] {
        let reply = program
            .query(
                args,
                env,
                Path::new("/"),
                end.saturating_duration_since(Instant::now()),
            )
            .await?;
        let login = parse(&reply.stdout);
        if login != Login::Unknown {
            return Ok(login);
        }
    }
    Ok(Login::Unknown)
}

/// Reads the output of `status`, in JSON or in words; colours are gone already.
fn parse(output: &str) -> Login {
    if let Some(start) = output.find('{')
        && let Ok(value) = serde_json::from_str::<Value>(output[start..].trim())
    {
        return of_json(&value);
    }
    // Last words first: progress comes before the answer.
    for line in output.lines().rev() {
        let line = line.trim().to_lowercase();
        if line.contains("not logged in") || line.contains("not authenticated") {
            return Login::Out;
        }
        if let Some((_, rest)) = line.split_once("logged in as ") {
            let address = rest.split_whitespace().next();
            return Login::In(address.map(str::to_owned));
        }
        if line.contains("logged in") || line.contains("login successful") {
            return Login::In(None);
        }
    }
    Login::Unknown
}

fn of_json(value: &Value) -> Login {
    let authenticated = value["isAuthenticated"]
        .as_bool()
        .or_else(|| Some(value["status"].as_str()? == "authenticated"));
    match authenticated {
        Some(true) => Login::In(value["userInfo"]["email"].as_str().map(str::to_owned)),
        Some(false) => Login::Out,
        None => Login::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let known = |address: &str| Login::In(Some(address.to_owned()));
        for (output, login) in [
            (
                r#"{"status":"authenticated","isAuthenticated":true,"userInfo":{"email":"a@b.example"}}"#,
                known("a@b.example"),
            ),
            (r#"{"status":"authenticated"}"#, Login::In(None)),
            (
                "Checking…\n{\"status\":\"unauthenticated\",\"isAuthenticated\":false}\n",
                Login::Out,
            ),
            (r#"{"something": "else"}"#, Login::Unknown),
            ("✓ Logged in as a@b.example\n", known("a@b.example")),
            ("Not logged in\n", Login::Out),
            (
                "One moment\n✓ Login successful!\nLogged in, but no details\n",
                Login::In(None),
            ),
            ("error: unknown option '--format'\n", Login::Unknown),
            ("", Login::Unknown),
        ] {
            assert_eq!(parse(output), login, "{output}");
        }
    }
}

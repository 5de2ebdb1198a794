//! The bounds on an answer's text, which most dialects have under names of their own.

use super::field::Field;
use crate::turn::TurnError;

/// How many stop sequences a request may have, and how many bytes each: all are compared with
/// every delta.
const MAX_STOPS: usize = 64;
const MAX_STOP_BYTES: usize = 512;

/// Reads stop sequences: one string or a list of them. Empty ones stop nothing.
///
/// # Errors
/// Another type, or too many or too long sequences.
pub fn stop(body: &Field<'_>, key: &str) -> Result<Vec<String>, TurnError> {
    let Some(field) = body.get(key) else {
        return Ok(Vec::new());
    };
    let mut stops = if field.value.is_string() {
        vec![field.str()?.to_owned()]
    } else {
        field.strings()?
    };
    stops.retain(|stop| !stop.is_empty());
    if stops.len() > MAX_STOPS || stops.iter().any(|stop| stop.len() > MAX_STOP_BYTES) {
        return Err(field.fail(format_args!(
            "must be at most {MAX_STOPS} sequences of at most {MAX_STOP_BYTES} bytes"
        )));
    }
    Ok(stops)
}

/// Reads the first of `keys` that is there as the most tokens of text.
///
/// # Errors
/// Anything but a whole number of at least 1.
pub fn max_tokens(body: &Field<'_>, keys: &[&'static str]) -> Result<Option<u64>, TurnError> {
    for key in keys {
        if let Some(count) = body.opt_count(key)? {
            return Ok(Some(count));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Result<Vec<String>, TurnError> {
        stop(&Field::root(&(&json!({ "stop": value })).into()), "stop")
    }

    #[test]
    fn stop_sequences() {
        let none: [String; 0] = [];
        assert_eq!(read(&json!("END")).unwrap(), ["END"]);
        assert_eq!(read(&json!(["a", "", "b"])).unwrap(), ["a", "b"]);
        assert_eq!(read(&json!(null)).unwrap(), none);
        assert_eq!(read(&json!([""])).unwrap(), none);
        let long = "x".repeat(513);
        for wrong in [json!(1), json!(["a", 2]), json!(long), json!(vec!["a"; 65])] {
            assert!(read(&wrong).unwrap_err().param.unwrap().starts_with("stop"));
        }
    }

    #[test]
    fn the_first_name_wins() {
        let body = json!({"max_completion_tokens": 5, "max_tokens": 7});
        let keys = ["max_completion_tokens", "max_tokens"];
        assert_eq!(
            max_tokens(&Field::root(&(&body).into()), &keys).unwrap(),
            Some(5)
        );
        for wrong in [json!(0), json!(-1), json!(1.5), json!("9")] {
            let body = json!({ "max_tokens": wrong });
            let error = max_tokens(&Field::root(&(&body).into()), &keys).unwrap_err();
            assert_eq!(error.param.unwrap(), "max_tokens", "{body}");
        }
    }
}

//! What becomes of each request parameter: one table for each dialect, checked on every request,
//! listed by `GET /v1/parameters` and shown in src/cli/topics/endpoints.md.

use serde::Serialize;

use super::{
    field::Field,
    tree::{Members, Tree},
};
use crate::turn::TurnError;

/// What becomes of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Treatment {
    /// It does what its vendor says, within what the note says.
    Honoured,
    /// It changes nothing that a client could see.
    Accepted,
    /// It would change the answer and doesn't; the response says so in a header.
    Ignored,
    /// The request fails, since an answer without it would mislead.
    Refused,
}

/// One parameter of a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its path in the request body, such as `stream_options.include_usage`. A row of a table has
    /// those of several, as words.
    pub name: &'static str,
    /// What becomes of it.
    pub treatment: Treatment,
    /// How, or why not; may be empty.
    pub note: &'static str,
}

impl Parameter {
    /// A parameter that works.
    pub const fn honoured(name: &'static str, note: &'static str) -> Self {
        Self::new(name, Treatment::Honoured, note)
    }

    /// A parameter without a visible effect.
    pub const fn accepted(name: &'static str, note: &'static str) -> Self {
        Self::new(name, Treatment::Accepted, note)
    }

    /// A parameter that does nothing, though it should.
    pub const fn ignored(name: &'static str, note: &'static str) -> Self {
        Self::new(name, Treatment::Ignored, note)
    }

    /// A parameter that fails the request.
    pub const fn refused(name: &'static str, note: &'static str) -> Self {
        Self::new(name, Treatment::Refused, note)
    }

    const fn new(name: &'static str, treatment: Treatment, note: &'static str) -> Self {
        Self {
            name,
            treatment,
            note,
        }
    }
}

/// Why most parameters are ignored.
pub const NO_FLAG: &str = "Cursor's CLI has no such setting";

/// How JSON is had from a model that can't be made to write it.
pub const FORMAT: &str =
    "asked for in the prompt and checked; one more run if it fails, then an error with the text";

/// The parameters of a table, each by itself.
pub fn each(table: &[Parameter]) -> Vec<Parameter> {
    let mut each = Vec::with_capacity(2 * table.len());
    for row in table {
        let names = row.name.split_ascii_whitespace();
        each.extend(names.map(|name| Parameter { name, ..*row }));
    }
    each
}

/// The parameters of a request that are ignored, those that the table doesn't know included.
///
/// # Errors
/// A refused parameter that asks for something.
pub fn ignored(body: &Field<'_>, table: &[Parameter]) -> Result<Vec<String>, TurnError> {
    let mut ignored = Vec::new();
    let table = each(table);
    for parameter in &table {
        let found = wish(body, parameter.name)?;
        match (parameter.treatment, found) {
            // `"logprobs": 0` asks for none.
            (Treatment::Refused, Some(field)) if field.value.as_f64() != Some(0.0) => {
                return Err(field.fail(format_args!("is not supported: {}", parameter.note)));
            }
            (Treatment::Ignored, Some(_)) => ignored.push(parameter.name.to_owned()),
            _ => {}
        }
    }
    unknown(body, "", &table, &mut ignored);
    Ok(ignored)
}

/// Names the members that the table does not know: those of the body, and those of each object of
/// which it lists members. `path` is that of the object, with a dot at its end.
fn unknown(object: &Field<'_>, path: &str, table: &[Parameter], ignored: &mut Vec<String>) {
    for key in object.value.as_object().into_iter().flat_map(Members::keys) {
        let mut known = table.iter().filter_map(|parameter| {
            let name = parameter.name.strip_prefix(path)?;
            name.strip_prefix(key)
        });
        match known.find(|rest| rest.is_empty() || rest.starts_with('.')) {
            Some("") => {}
            Some(_) => {
                if let Some(member) = object.get(key) {
                    unknown(&member, &format!("{path}{key}."), table, ignored);
                }
            }
            None => ignored.push(format!("{path}{key}")),
        }
    }
}

/// The member at a path, if it asks for something. What has members can be nothing else: a wish that
/// can't be read is not passed over.
fn wish<'a>(body: &Field<'a>, path: &str) -> Result<Option<Field<'a>>, TurnError> {
    let mut field = *body;
    for key in path.split('.') {
        field.object()?;
        match field.get(key).filter(|it| asks_for_something(it.value)) {
            Some(member) => field = member,
            None => return Ok(None),
        }
    }
    Ok(Some(field))
}

/// SDKs send `"logprobs": false` and the like, which asks for nothing.
fn asks_for_something(value: &Tree<'_>) -> bool {
    match value {
        Tree::Null | Tree::Bool(false) => false,
        Tree::String(text) => !text.is_empty(),
        Tree::Array(items) => !items.is_empty(),
        Tree::Object(members) => !members.is_empty(),
        Tree::Bool(true) | Tree::Number(_) => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TABLE: &[Parameter] = &[
        Parameter::honoured("model", ""),
        Parameter::accepted("user", ""),
        Parameter::ignored("seed top_p", NO_FLAG),
        Parameter::honoured("text.format", ""),
        Parameter::ignored("text.verbosity", NO_FLAG),
        Parameter::refused("logprobs", "there are none"),
    ];

    fn check(body: &Value) -> Result<Vec<String>, TurnError> {
        ignored(&Field::root(&body.into()), TABLE)
    }

    #[test]
    fn what_does_nothing_is_named() {
        // Also a zero: `temperature: 0` is a wish like any other.
        let body = json!({"model": "m", "user": "u", "seed": 0, "new_thing": 1,
            "text": {"format": {}, "verbosity": "low"}});
        assert_eq!(
            check(&body).unwrap(),
            ["seed", "text.verbosity", "new_thing"]
        );
    }

    #[test]
    fn only_a_wish_is_refused() {
        for idle in [
            json!(null),
            json!(false),
            json!(0),
            json!(""),
            json!([]),
            json!({}),
        ] {
            assert!(check(&json!({ "logprobs": idle })).unwrap().is_empty());
        }
        // What is a wish can't be read from something else, and is not passed over.
        for text in [json!("low"), json!(3), json!(true), json!(["low"])] {
            let error = check(&json!({ "text": text })).unwrap_err();
            assert_eq!(error.param.unwrap(), "text");
        }
        for idle in [json!(null), json!(false), json!("")] {
            assert!(check(&json!({ "text": idle })).unwrap().is_empty());
        }
        let error = check(&json!({"logprobs": true})).unwrap_err();
        assert_eq!(error.param.unwrap(), "logprobs");
        assert!(
            error.message.contains("there are none"),
            "{}",
            error.message
        );
    }
}

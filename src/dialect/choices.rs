//! How many answers a request asks for.

use super::{field::Field, tree::Tree};
use crate::turn::TurnError;

/// The most answers to one request: each is a run of the agent.
pub const MAX: usize = 4;

/// Reads the member that says how many; 1 if it is missing.
///
/// # Errors
/// None, or more than [`MAX`].
pub fn count(body: &Field<'_>, key: &'static str) -> Result<usize, TurnError> {
    let field = body.member(key);
    let count = match field.value {
        Tree::Null => Some(1),
        value => value.as_u64().and_then(|count| count.try_into().ok()),
    };
    count.filter(|it| (1..=MAX).contains(it)).ok_or_else(|| {
        field.fail(format_args!(
            "must be 1 to {MAX}: each answer is a run of the agent"
        ))
    })
}

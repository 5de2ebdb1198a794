//! Ids for the calls that go to the client: `call_` and 128 random bits.
//!
//! A result that comes back is matched to its call by the id alone, across conversations and
//! clients, so no two calls may ever share one. Cursor's own ids do not serve: they may hold a
//! newline, and calls from text have none.

/// A new id.
pub(super) fn next() -> String {
    format!("call_{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn ids_are_on_one_line_and_never_repeat() {
        let ids: HashSet<String> = (0..1000).map(|_| super::next()).collect();
        assert_eq!(ids.len(), 1000);
        let plain = |id: &String| id.starts_with("call_") && id.len() == 37;
        assert!(ids.iter().all(plain));
    }
}

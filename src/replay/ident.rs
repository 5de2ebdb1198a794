//! Ids and timestamps in the CLI's formats.

use std::time::{SystemTime, UNIX_EPOCH};

/// The id of a model request: request, index in the run, four characters (FACTS 2.5).
pub(super) fn model_call(request: &str, index: u32) -> String {
    format!("{request}-{index}-{:04x}", rand::random::<u16>())
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

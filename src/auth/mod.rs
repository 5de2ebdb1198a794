//! Who pays for a request: which login, key or token Cursor's CLI will use, and whether it is good.
//!
//! ```text
//! environment ─┐
//! auth.json  ──┼─> places: every one looked at ──> what the CLI will use (source), its expiry
//! `status`   ──┘   agent: what the CLI says
//! ```
//!
//! The CLI itself decides: on macOS it keeps the login in the Keychain, so that no file means
//! nothing. Tokens are read for their claims only, locally, and shown to nobody. No network.

mod jwt;
mod places;

pub use crate::agent::{Login, ask_login as ask};
pub use jwt::{Claims, claims};
pub use places::{Kind, Place, Source, places, source};

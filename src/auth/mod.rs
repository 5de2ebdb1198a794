//! Which login, API key or token Cursor's CLI will use, and whether it is valid.
//!
//! ```text
//! environment ─┐
//! auth.json  ──┼─> places: all of them ──> what the CLI will use (source), its expiry
//! `status`   ──┘   agent: what the CLI reports
//! ```
//!
//! The CLI decides: on macOS it keeps the login in the Keychain, so that a missing file means nothing.
//! Tokens are read locally, for their claims or for a request that the user asks for, and never shown.
//! No network.

mod jwt;
mod places;
mod token;

pub use crate::agent::{Login, ask_login as ask};
pub use jwt::{Claims, claims};
pub use places::{CredentialKind, CredentialSource, Place, places, source};
pub use token::{LoginToken, token};

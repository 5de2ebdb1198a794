//! Who executes the calls that a run asks for.

/// Who does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hands {
    /// The client: an answer ends with the calls, and the results come with another request.
    Client,
}

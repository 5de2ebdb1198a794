//! The provider boundary: what the agent did becomes what the client sees and executes.
//!
//! ```text
//! AgentEvent ─> segments (which text is new) ─────────────────────────────> Delta::Text
//!            └> native (Cursor's call) ─> catalog + alias (the client's tool)
//!                 ─> compat + schema (its arguments) ─> guard ────────────> Delta::ToolCall
//! ```
//!
//! Pure: no HTTP, no processes, no clock, no disk. The engine feeds it events, and asks it to
//! settle when the siblings of an announced call have had time to arrive.

//! The fence: the agent changes nothing that the client didn't do.

#[cfg(target_os = "linux")]
pub mod changes;
pub mod launcher;

#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod mounts;
mod seatbelt;
#[cfg(target_os = "linux")]
mod view;

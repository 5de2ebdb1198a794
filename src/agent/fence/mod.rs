//! The fence: the agent changes nothing that the client didn't do.

pub mod launcher;

#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod view;

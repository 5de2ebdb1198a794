//! The `open-cursor` program.

fn main() {}

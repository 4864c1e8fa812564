//! The foxden program.

fn main() {}

//! Imports, checks and compiles the catalog.
fn main() {}

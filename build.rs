//! Puts `openapi.json`, which is kept for readers, into the form in which it is served: without white space.

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=openapi.json");
    let pretty = fs::read_to_string("openapi.json")?;
    let folder =
        env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo names no OUT_DIR"))?;
    fs::write(Path::new(&folder).join("openapi.json"), compact(&pretty))
}

/// JSON without white space between its tokens.
fn compact(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let keeps = |c: &char| {
        let is_quote = *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        is_text ^= is_quote;
        is_text || !c.is_ascii_whitespace()
    };
    json.chars().filter(keeps).collect()
}

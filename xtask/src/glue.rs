//! A faster form of wasm-bindgen's glue: each import catches for itself.
//!
//! In an unwinding build wasm-bindgen writes every function that wasm imports as `wrapError(function (…) {…}, arguments)`:
//! each call out of wasm makes a closure and an arguments object, and goes through `apply`. The same `try` around the body
//! costs nothing. Out of scope: what the functions do.

use crate::Outcome;

const HEAD: &str = ": function() { return wrapError(function (";
const TAIL: &str = "\n        }, arguments); },\n";
const CATCH: &str = "\n        } catch (e) { rethrow(e); } },\n";

/// What `wrapError` does with an exception: as a wasm exception it unwinds Rust's frames.
const RETHROW: &str = "
function rethrow(e) {
    if (e instanceof WebAssembly.Exception) throw e;
    throw new WebAssembly.Exception(__wbindgen_jstag_polyfill, [e], { traceStack: true });
}
";

/// The line of `wrapError` that [`RETHROW`] repeats: a version of wasm-bindgen that does something else there is refused.
const KNOWN: &str =
    "throw new WebAssembly.Exception(__wbindgen_jstag_polyfill, [e], { traceStack: true });";

/// Rewrites the imports of the glue.
pub fn direct(glue: &str) -> Outcome<String> {
    let unknown = "wasm-bindgen writes its imports in another form: mend xtask/src/glue.rs";
    let mut pieces = glue.split(HEAD);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (parameters, rest) = piece.split_once(") {\n").ok_or(unknown)?;
        let (body, rest) = rest.split_once(TAIL).ok_or(unknown)?;
        for part in [": function(", parameters, ") { try {\n", body, CATCH, rest] {
            text.push_str(part);
        }
    }
    if text.contains("wrapError(function") || !glue.contains(KNOWN) {
        return Err(unknown.into());
    }
    text.push_str(RETHROW);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRAP: &str = "function wrapError(f, args) {
    try {
        return f.apply(this, args);
    } catch (e) {
        throw new WebAssembly.Exception(__wbindgen_jstag_polyfill, [e], { traceStack: true });
    }
}";

    #[test]
    fn each_import_catches_for_itself() {
        let import = "        a: function() { return wrapError(function (arg0, arg1) {
            try {
                return f(arg0, arg1);
            } finally {
                g();
            }
        }, arguments); },
        b: function() { return wrapError(function () {
            return 1;
        }, arguments); },
";
        let direct = direct(&format!("{import}{WRAP}")).unwrap();
        let expected = "        a: function(arg0, arg1) { try {
            try {
                return f(arg0, arg1);
            } finally {
                g();
            }
        } catch (e) { rethrow(e); } },
        b: function() { try {
            return 1;
        } catch (e) { rethrow(e); } },
";
        assert!(direct.starts_with(expected), "{direct}");
        assert!(direct.ends_with(RETHROW));
    }

    #[test]
    fn another_form_is_refused_rather_than_left_slow() {
        let import =
            "a: function() { return wrapError(function (arg0) { return 1; }, arguments); },\n";
        assert!(direct(&format!("{import}{WRAP}")).is_err());
        assert!(direct("function wrapError(f, args) { other(); }").is_err());
    }
}

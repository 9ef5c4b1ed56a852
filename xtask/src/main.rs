//! The build tool: `cargo run -p xtask -- <command>`.
//!
//! - `build [--profile fast|release]` compiles the Worker into `pkg/` (wasm and its JavaScript glue);
//! - `bench` compiles the pass-through Worker that `bench/` measures against;
//! - `size` tells where the bytes of the last release are;
//! - `clippy` lints the wasm side, which native clippy never sees;
//! - `toolchain` prints the sysroot that the wasm build would use, or says what is missing.
//!
//! It replaces `worker-build`: wasm-bindgen is a library of this program, so that the tool and the crate come from one
//! `Cargo.lock`, and std is built with `panic=unwind`, which `worker-build` only does with a nightly compiler.

mod glue;
mod size;
mod toolchain;
mod wasm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use toolchain::Toolchain;

/// What every fallible step returns: on failure, one line that says what went wrong and what to do.
type Outcome<T> = Result<T, String>;

const USAGE: &str = "usage: cargo run -p xtask -- build [--profile fast|release] | bench | bench-intent | size | clippy | toolchain";

#[expect(
    clippy::print_stderr,
    reason = "a command-line tool reports its failure to the terminal"
)]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Outcome<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["build"] => wasm::build(&repository()?, &wasm::WORKER, "fast"),
        ["build", "--profile", profile @ ("fast" | "release")] => {
            wasm::build(&repository()?, &wasm::WORKER, profile)
        }
        ["bench"] => wasm::build(&repository()?, &wasm::PASSTHROUGH, "release"),
        ["bench-intent"] => wasm::module(
            &repository()?,
            "intent-bench",
            ".patchbay/bench/intent.wasm",
        ),
        ["size"] => size::print(&wasm::compiled(&repository()?, &wasm::WORKER)?),
        ["clippy"] => wasm::clippy(&repository()?),
        ["toolchain"] => {
            say(&Toolchain::find()?.describe());
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

/// The root of the repository: the folder above this crate. Asked of `cargo run` first: two checkouts that share a target
/// directory share this program too.
fn repository() -> Outcome<PathBuf> {
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here)
        .parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| "the xtask crate has no parent folder".into())
}

#[expect(
    clippy::print_stdout,
    reason = "a command-line tool reports its result to the terminal"
)]
fn say(line: &str) {
    println!("{line}");
}

//! The wasm build: cargo, then wasm-bindgen, then (for a release) wasm-opt, into `pkg/`.
//!
//! `pkg/` is replaced only by a build that succeeded, so that a running `wrangler dev` never sees half of one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasm_bindgen_cli_support::Bindgen;

use crate::toolchain::Toolchain;
use crate::{Outcome, glue, say};

const TARGET: &str = "wasm32-unknown-unknown";
const BUILD_STD: [&str; 2] = [
    "-Zbuild-std=std,panic_unwind",
    // Its sorts are long, and what is sorted here is short. Backtraces, which wasm has none of, stay out.
    "-Zbuild-std-features=panic-unwind,optimize_for_size",
];

/// The name of the generated module: `pkg/index.js`, `pkg/index_bg.wasm`.
const OUT_NAME: &str = "index";

/// Names the program that shrinks a release; npm's `binaryen` brings it.
const WASM_OPT: &str = "WASM_OPT_BIN";

/// What rustc's wasm32 target emits and workerd runs; wasm-opt refuses features that it was not told of.
const FEATURES: [&str; 7] = [
    "mutable-globals",
    "sign-ext",
    "nontrapping-float-to-int",
    "bulk-memory",
    "multivalue",
    "reference-types",
    "exception-handling",
];

/// A Worker of this repository.
pub struct Worker {
    package: &'static str,
    /// The file that cargo writes.
    artifact: &'static str,
    /// Where the module and its glue go, below the root.
    out: &'static str,
}

/// The gateway.
pub const WORKER: Worker = Worker {
    package: "patchbay",
    artifact: "patchbay.wasm",
    out: "pkg",
};

/// The yardstick of the benchmark.
pub const PASSTHROUGH: Worker = Worker {
    package: "passthrough-rs",
    artifact: "passthrough_rs.wasm",
    out: ".patchbay/bench/passthrough-rs/pkg",
};

/// Builds a Worker with the given profile.
pub fn build(root: &Path, worker: &Worker, profile: &str) -> Outcome<()> {
    let toolchain = Toolchain::find()?;
    let target = target_dir(root, &toolchain)?;
    let mut cargo = toolchain.command("cargo");
    cargo
        .current_dir(root)
        .args(["build", "--package", worker.package, "--lib"])
        .args(["--profile", profile, "--target", TARGET])
        .args(BUILD_STD)
        .arg("--target-dir")
        .arg(&target);
    succeed(&mut cargo, "the wasm build failed: see the compiler above")?;

    let staged = target.join(worker.package);
    let compiled = target.join(TARGET).join(profile).join(worker.artifact);
    bind(&compiled, &staged)?;
    if profile == "release" {
        optimise(root, &staged)?;
    }
    let size = fs::metadata(staged.join(format!("{OUT_NAME}_bg.wasm")))
        .map_err(|error| format!("wasm-bindgen wrote no module: {error}"))?
        .len();
    replace(&staged, &root.join(worker.out))?;
    say(&format!(
        "{}/{OUT_NAME}_bg.wasm: {size} bytes ({profile}, {})",
        worker.out,
        toolchain.describe()
    ));
    Ok(())
}

/// Builds a package that needs nothing of the platform, and puts its module at `out`.
pub fn module(root: &Path, package: &str, out: &str) -> Outcome<()> {
    let toolchain = Toolchain::find()?;
    let target = target_dir(root, &toolchain)?;
    let mut cargo = toolchain.command("cargo");
    cargo
        .current_dir(root)
        .args(["build", "--package", package, "--lib"])
        .args(["--profile", "release", "--target", TARGET])
        .args(BUILD_STD)
        .arg("--target-dir")
        .arg(&target);
    succeed(&mut cargo, "the wasm build failed: see the compiler above")?;
    let artifact = format!("{}.wasm", package.replace('-', "_"));
    let out = root.join(out);
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let built = target.join(TARGET).join("release").join(artifact);
    fs::copy(&built, &out).map_err(|error| format!("{}: {error}", built.display()))?;
    Ok(())
}

/// What the compiler left of the last release.
pub fn compiled(root: &Path, worker: &Worker) -> Outcome<PathBuf> {
    let target = target_dir(root, &Toolchain::find()?)?;
    Ok(target.join(TARGET).join("release").join(worker.artifact))
}

/// Lints what only the wasm build compiles.
pub fn clippy(root: &Path) -> Outcome<()> {
    let toolchain = Toolchain::find()?;
    let target = target_dir(root, &toolchain)?;
    let mut clippy = toolchain.command("cargo-clippy");
    clippy
        .current_dir(root)
        .args(["clippy", "--lib", "--package", WORKER.package])
        .args(["--package", PASSTHROUGH.package])
        .args(["--target", TARGET])
        .args(BUILD_STD)
        .arg("--target-dir")
        .arg(target)
        .args(["--", "-D", "warnings"]);
    succeed(&mut clippy, "clippy for wasm32 failed: see above")
}

/// Apart from the native target directory: the compiler and its flags differ, and cargo would rebuild all at each turn.
/// Emptied when the toolchain changed: two compilers cannot share one (E0514).
fn target_dir(root: &Path, toolchain: &Toolchain) -> Outcome<PathBuf> {
    let dir = env::var_os("CARGO_TARGET_DIR")
        .filter(|value| !value.is_empty())
        .map_or_else(|| root.join("target"), |named| root.join(named))
        .join("wasm");
    let mark = dir.join(".toolchain");
    let description = toolchain.describe();
    match fs::read_to_string(&mark) {
        Ok(used) if used == description => return Ok(dir),
        Ok(_) => remove_dir(&dir)?,
        Err(_) => {}
    }
    fs::create_dir_all(&dir)
        .and_then(|()| fs::write(&mark, description))
        .map_err(|error| format!("cannot write {}: {error}", mark.display()))?;
    Ok(dir)
}

fn bind(compiled: &Path, out: &Path) -> Outcome<()> {
    remove_dir(out)?;
    Bindgen::new()
        .input_path(compiled)
        .out_name(OUT_NAME)
        .typescript(false)
        .reset_state_function(true)
        .force_enable_abort_handler(true)
        .module(true)
        .and_then(|bindgen| bindgen.generate(out))
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    let glue = out.join(format!("{OUT_NAME}.js"));
    let text = fs::read_to_string(&glue).map_err(|error| format!("{}: {error}", glue.display()))?;
    // workerd imports a compiled module by an ordinary import, not by a source-phase one.
    let text = glue::direct(&text.replace("import source ", "import "))?;
    fs::write(&glue, text).map_err(|error| format!("{}: {error}", glue.display()))
}

fn optimise(root: &Path, out: &Path) -> Outcome<()> {
    let installed = root.join("node_modules/.bin/wasm-opt");
    let program = env::var_os(WASM_OPT).map_or(installed, PathBuf::from);
    if !program.is_file() {
        return Err(format!(
            "a release needs wasm-opt: run `npm install`, or name the program in {WASM_OPT}"
        ));
    }
    let wasm = out.join(format!("{OUT_NAME}_bg.wasm"));
    let mut wasm_opt = Command::new(program);
    wasm_opt
        .arg(&wasm)
        .arg("-O")
        .args(FEATURES.map(|feature| format!("--enable-{feature}")))
        .arg("-o")
        .arg(&wasm);
    succeed(&mut wasm_opt, "wasm-opt failed: see above")
}

fn replace(staged: &Path, out: &Path) -> Outcome<()> {
    remove_dir(out)?;
    copy_dir(staged, out).map_err(|error| format!("cannot write {}: {error}", out.display()))
}

/// Copies rather than renames: the target directory may be on another file system.
fn copy_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn remove_dir(dir: &Path) -> Outcome<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn succeed(command: &mut Command, failure: &str) -> Outcome<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(failure.to_owned()),
        Err(error) => Err(format!("{name} does not start: {error}")),
    }
}

//! Finds a Rust toolchain that can build std for wasm32 with `panic=unwind`.
//!
//! A toolchain is a sysroot: `bin/cargo`, `bin/rustc` and the library source under `lib/rustlib/src`. Two kinds are
//! known to work: rustup's with the `rust-src` component, and Debian's `rustc-web` with `rust-web-src`. Installing
//! either is not done here: `scripts/` does that.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;

/// Overrides the search: a sysroot directory, or the name of a rustup toolchain.
const OVERRIDE: &str = "PATCHBAY_WASM_TOOLCHAIN";

/// The oldest compiler whose `panic=unwind` build for wasm32 is known to work.
const OLDEST_MINOR: u32 = 95;

/// Where a distribution's own compiler lives.
const SYSTEM_SYSROOT: &str = "/usr";

/// A compiler, its cargo and the linker they need.
pub struct Toolchain {
    sysroot: PathBuf,
    version: String,
    /// Set where the toolchain lacks its own `rust-lld`.
    linker: Option<PathBuf>,
}

impl Toolchain {
    /// The toolchain named by the environment, else the one that runs now, else the distribution's.
    pub fn find() -> Outcome<Self> {
        if let Some(named) = env::var_os(OVERRIDE).filter(|value| !value.is_empty()) {
            let sysroot = sysroot_named(&named)?;
            return Self::inspect(&sysroot).map_err(|why| format!("{OVERRIDE}: {why}"));
        }
        let mut reasons = Vec::new();
        for sysroot in running_sysroot()
            .into_iter()
            .chain([PathBuf::from(SYSTEM_SYSROOT)])
        {
            match Self::inspect(&sysroot) {
                Ok(toolchain) => return Ok(toolchain),
                Err(why) => reasons.push(why),
            }
        }
        Err(format!(
            "no Rust toolchain here can build for wasm32 ({}); run `rustup component add rust-src`, or on Debian \
             `apt-get install rustc-web cargo-web rust-web-src lld-22`",
            reasons.join("; ")
        ))
    }

    /// One line for the terminal.
    pub fn describe(&self) -> String {
        format!("{} ({})", self.sysroot.display(), self.version)
    }

    /// A command of this toolchain, with the environment of the wasm build and no trace of the outer cargo's.
    pub fn command(&self, program: &str) -> Command {
        let bin = self.sysroot.join("bin");
        let mut command = Command::new(bin.join(program));
        for (name, _) in env::vars_os() {
            if is_inherited_from_cargo(&name) {
                command.env_remove(name);
            }
        }
        command
            .env("CARGO", bin.join("cargo"))
            .env("RUSTC", bin.join("rustc"))
            .env("RUSTFLAGS", "-Cpanic=unwind")
            // Stable compilers take -Zbuild-std only with this.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("WASM_BINDGEN_USE_JS_SYS", "1");
        if let Some(linker) = &self.linker {
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }

    fn inspect(sysroot: &Path) -> Outcome<Self> {
        let at = sysroot.display();
        for program in ["cargo", "rustc"] {
            if !sysroot.join("bin").join(program).is_file() {
                return Err(format!("{at} has no {program}"));
            }
        }
        let facts = output(Command::new(sysroot.join("bin/rustc")).arg("-vV"))?;
        let fact = |name: &str| {
            facts
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|value| value.trim().to_owned())
                .ok_or_else(|| format!("{at}: `rustc -vV` does not tell its {name}"))
        };
        let (version, host, llvm) = (fact("release:")?, fact("host:")?, fact("LLVM version:")?);
        if minor(&version).is_none_or(|minor| minor < OLDEST_MINOR) {
            return Err(format!("{at} is {version}, older than 1.{OLDEST_MINOR}"));
        }
        let rustlib = sysroot.join("lib/rustlib");
        if !rustlib.join("src/rust/library/Cargo.lock").is_file() {
            return Err(format!("{at} has no library source"));
        }
        let linker = if rustlib.join(&host).join("bin/rust-lld").is_file() {
            None
        } else {
            Some(wasm_ld(&llvm).ok_or_else(|| format!("{at} has no wasm linker (lld)"))?)
        };
        Ok(Self {
            sysroot: sysroot.to_path_buf(),
            version,
            linker,
        })
    }
}

/// The outer `cargo run` exports its own toolchain and this crate's metadata: none of it may reach the inner build.
fn is_inherited_from_cargo(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || matches!(
            name.as_ref(),
            "RUSTUP_TOOLCHAIN"
                | "CARGO_ENCODED_RUSTFLAGS"
                | "CARGO_BUILD_RUSTFLAGS"
                | "RUSTDOC"
                | "LD_LIBRARY_PATH"
        )
}

fn sysroot_named(named: &OsString) -> Outcome<PathBuf> {
    let path = PathBuf::from(named);
    if path.is_absolute() {
        return Ok(path);
    }
    let mut rustc = Command::new("rustup");
    rustc
        .arg("run")
        .arg(named)
        .args(["rustc", "--print", "sysroot"]);
    output(&mut rustc)
        .map(|line| PathBuf::from(line.trim()))
        .map_err(|why| format!("{OVERRIDE} names no rustup toolchain and no directory: {why}"))
}

fn running_sysroot() -> Option<PathBuf> {
    output(Command::new("rustc").args(["--print", "sysroot"]))
        .ok()
        .map(|line| PathBuf::from(line.trim()))
}

/// `wasm-ld` of the compiler's own LLVM: another major version may not read its object files.
fn wasm_ld(llvm: &str) -> Option<PathBuf> {
    let major = llvm.split('.').next()?;
    [
        format!("/usr/lib/llvm-{major}/bin/wasm-ld"),
        format!("/usr/bin/wasm-ld-{major}"),
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.is_file())
}

fn minor(version: &str) -> Option<u32> {
    version.split('.').nth(1)?.parse().ok()
}

fn output(command: &mut Command) -> Outcome<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command
        .output()
        .map_err(|error| format!("{name} does not start: {error}"))?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&done.stderr);
        Err(said.lines().next().unwrap_or("it failed").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::minor;

    #[test]
    fn a_compiler_version_gives_its_minor() {
        assert_eq!(minor("1.96.0"), Some(96));
        assert_eq!(minor("1.97.0-nightly"), Some(97));
        assert_eq!(minor("gcc"), None);
    }
}

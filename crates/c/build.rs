//! Names the shared library: programs that are linked with it look for `libpollset.so.0`. Sets the `cfg` of
//! systems that have two sizes of `time_t`.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| env::var(name).unwrap_or_default();
    let is_apple = variable("CARGO_CFG_TARGET_VENDOR") == "apple";
    if env::var_os("CARGO_CFG_UNIX").is_some() && !is_apple {
        let major = env!("CARGO_PKG_VERSION_MAJOR");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libpollset.so.{major}");
    }
    let has_time64 = variable("CARGO_CFG_TARGET_OS") == "linux"
        && variable("CARGO_CFG_TARGET_POINTER_WIDTH") == "32"
        && matches!(&*variable("CARGO_CFG_TARGET_ENV"), "gnu" | "musl")
        && variable("CARGO_CFG_TARGET_ARCH") != "x86_64"; // x32 has one of 64 bits
    println!("cargo::rustc-check-cfg=cfg(has_time64)");
    if has_time64 {
        println!("cargo::rustc-cfg=has_time64");
    }
}

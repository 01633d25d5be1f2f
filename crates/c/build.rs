//! Names the shared library: programs that are linked with it look for `libpollset.so.0`.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_apple = env::var("CARGO_CFG_TARGET_VENDOR").is_ok_and(|vendor| vendor == "apple");
    if env::var_os("CARGO_CFG_UNIX").is_some() && !is_apple {
        let major = env!("CARGO_PKG_VERSION_MAJOR");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libpollset.so.{major}");
    }
}

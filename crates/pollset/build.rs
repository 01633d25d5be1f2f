//! Sets `cfg`s for the interfaces of the target system.
//!
//! `RUSTFLAGS="--cfg pollset_portable"` makes it use only what every Unix has.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| env::var(name).unwrap_or_default();
    let os = variable("CARGO_CFG_TARGET_OS");
    let architecture = variable("CARGO_CFG_TARGET_ARCH");
    let is_portable = env::var_os("CARGO_CFG_POLLSET_PORTABLE").is_some();

    let is_linux = matches!(&*os, "linux" | "android") && !is_portable;
    // The events of poll(2) and epoll(7) differ on these.
    let differs = matches!(&*architecture, "mips" | "mips64" | "sparc64");
    // A mask of signals is shorter than the kernel's there.
    let is_small_android = os == "android" && variable("CARGO_CFG_TARGET_POINTER_WIDTH") == "32";
    let has_ppoll = matches!(&*os, "linux" | "android" | "freebsd" | "dragonfly" | "openbsd");
    for (name, is_set) in [
        ("is_linux", is_linux),
        ("has_epoll", is_linux && !differs && !is_small_android),
        ("has_ppoll", has_ppoll && !is_portable),
    ] {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if is_set {
            println!("cargo::rustc-cfg={name}");
        }
    }
}

//! Compiles and runs the code of `docs/guide.md` and `docs/moving.md`, with the libraries that they
//! name. Its tests run the TLS server of the guide, and compare the public items of pollset with the
//! list of them.

// `SignalMask`, which the guide explains, is not on every system.
#[cfg(all(doctest, target_os = "linux", not(pollset_portable)))]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;

#[cfg(all(doctest, target_os = "linux", not(pollset_portable)))]
#[doc = include_str!("../../../docs/moving.md")]
struct Moving;

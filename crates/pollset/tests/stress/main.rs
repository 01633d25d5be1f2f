//! Several threads change one set, wait on it and wake it concurrently.
//!
//! A program without a test harness, whose threads share statics and are joined one by one. It uses
//! no synchronization inside the standard library, so ThreadSanitizer sees all synchronization
//! between the threads even with a standard library that is not built for it.

#[cfg(target_os = "linux")]
mod linux;

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
}

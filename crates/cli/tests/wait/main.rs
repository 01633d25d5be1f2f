//! Runs `pollset wait` in a shell, as a user types it.

mod all;
mod basics;
mod bulk;
mod command;
mod follow;
mod generated;
mod gone;
mod hosts;
mod inherited;
mod paths;
mod progress;
mod signals;
mod tcp;
mod unix;
mod util;

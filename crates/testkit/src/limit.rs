//! The soft limit on the descriptors of this process, `RLIMIT_NOFILE`. New descriptors are below
//! it, and poll(2) takes at most that many entries. Descriptors above a lowered limit stay open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit.
pub fn fd_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Sets the soft limit.
pub fn set_fd_limit(limit: u64) {
    let limit = Rlimit { current: Some(limit), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).expect("the limit is not above the hard limit");
}

/// Raises the soft limit to the hard limit, and returns it.
pub fn raise_fd_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: limit, maximum: limit };
    setrlimit(Resource::Nofile, limit).unwrap();
    fd_limit()
}

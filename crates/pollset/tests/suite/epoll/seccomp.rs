//! Helpers that install seccomp filters, as sandboxes do.

use libc::{c_long, sock_filter, sock_fprog};

use crate::util::skip;

// Newer architectures have neither `epoll_create` nor `epoll_wait`.
pub const CREATE: &[c_long] = &[
    libc::SYS_epoll_create1,
    #[cfg(any(target_arch = "x86", target_arch = "x86_64", target_arch = "s390x"))]
    libc::SYS_epoll_create,
];
pub const CONTROL: &[c_long] = &[libc::SYS_epoll_ctl];
pub const WAIT: &[c_long] = &[
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    #[cfg(any(target_arch = "x86", target_arch = "x86_64", target_arch = "s390x"))]
    libc::SYS_epoll_wait,
];

/// Whether filters can be installed. If not, prints that the test is skipped: emulators of other
/// processors have none.
pub fn is_available() -> bool {
    // SAFETY: the call takes a number.
    let is_available = unsafe { libc::prctl(libc::PR_GET_SECCOMP) } >= 0;
    if !is_available {
        let error = std::io::Error::last_os_error();
        skip(&format!("needs seccomp, which this system lacks: {error}"));
    }
    is_available
}

/// Makes `calls` fail with `errno`, in this thread and those that it starts from now on.
pub fn forbid(calls: &[c_long], errno: i32) {
    let mut program = vec![load(NUMBER)];
    for &call in calls {
        program.push(unless_equal(call as u32, 1));
        program.push(fail_with(errno));
    }
    program.push(allow());
    install(&mut program);
}

/// Makes it fail with `errno` to add descriptors from `first` on to an epoll instance.
pub fn forbid_adding_from(first: i32, errno: i32) {
    install(&mut [
        load(NUMBER),
        unless_equal(libc::SYS_epoll_ctl as u32, 5),
        load(argument(1)),
        unless_equal(libc::EPOLL_CTL_ADD as u32, 3),
        load(argument(2)),
        unless_at_least(first as u32, 1),
        fail_with(errno),
        allow(),
    ]);
}

/// Makes it fail with `EINVAL` to mark a file with a signal from `first` on.
pub fn forbid_marks_from(first: i32) {
    #[cfg(target_pointer_width = "32")]
    const FCNTL: c_long = libc::SYS_fcntl64;
    #[cfg(target_pointer_width = "64")]
    const FCNTL: c_long = libc::SYS_fcntl;
    const F_SETSIG: u32 = 10;
    install(&mut [
        load(NUMBER),
        unless_equal(FCNTL as u32, 5),
        load(argument(1)),
        unless_equal(F_SETSIG, 3),
        load(argument(2)),
        unless_at_least(first as u32, 1),
        fail_with(libc::EINVAL),
        allow(),
    ]);
}

/// Offset of the system call number in `seccomp_data`.
const NUMBER: u32 = 0;

/// Offset of the lower half of an argument in `seccomp_data`.
fn argument(index: u32) -> u32 {
    16 + 8 * index + if cfg!(target_endian = "big") { 4 } else { 0 }
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn fail_with(errno: i32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32)
}

fn allow() -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW)
}

fn unless_equal(value: u32, skip: u8) -> sock_filter {
    let jump = statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value);
    sock_filter { jf: skip, ..jump }
}

fn unless_at_least(value: u32, skip: u8) -> sock_filter {
    let jump = statement(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, value);
    sock_filter { jf: skip, ..jump }
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn install(program: &mut [sock_filter]) {
    let program = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program outlives the call, which copies it. System calls that it doesn't make
    // fail are allowed.
    let outcome = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program)
    };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}

//! The programs in `tests/c` and the examples, compiled by a C compiler and linked with the library.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

const DIRECTORY: &str = env!("CARGO_MANIFEST_DIR");
const STRICT: [&str; 5] = ["-std=gnu11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];
/// What the static library needs, as in `pollset.pc.in`.
const SYSTEM: [&str; 3] = ["-pthread", "-ldl", "-lm"];

/// A library that cargo has built together with this test.
fn library(name: &str) -> PathBuf {
    env::current_exe().unwrap().with_file_name(name)
}

fn compiler() -> String {
    env::var("CC").unwrap_or("cc".into())
}

/// Compiles a program of this directory, with these options in addition.
fn compile(source: &str, options: &[&str]) -> PathBuf {
    let name = source.replace('/', "-") + &options.join("");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(compiler());
    command.args(STRICT).args(options).arg("-g").arg("-o").arg(&program);
    command.args(env::var("CFLAGS").unwrap_or_default().split_whitespace());
    if cfg!(pollset_portable) {
        command.arg("-DPORTABLE");
    }
    command.arg("-I").arg(Path::new(DIRECTORY).join("include"));
    command.arg(Path::new(DIRECTORY).join(source)).arg(library("libpollset_c.a")).args(SYSTEM);
    succeed(command);
    program
}

#[track_caller]
fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let Output { status, stdout, stderr } = &output;
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(text));
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    output
}

/// What a program has skipped.
fn show(output: Output) {
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn contract() {
    show(succeed(Command::new(compile("tests/c/contract.c", &[]))));
}

/// On 32-bit systems with glibc, programs are compiled with a `time_t` of either size.
#[test]
fn contract_with_64_bit_time() {
    if cfg!(all(target_env = "gnu", target_pointer_width = "32")) {
        let options = ["-D_TIME_BITS=64", "-D_FILE_OFFSET_BITS=64"];
        succeed(Command::new(compile("tests/c/contract.c", &options)));
    }
}

#[test]
fn errors() {
    show(succeed(Command::new(compile("tests/c/errors.c", &[]))));
}

#[test]
fn threads() {
    succeed(Command::new(compile("tests/c/threads.c", &[])));
}

#[test]
fn memory() {
    succeed(Command::new(compile("tests/c/memory.c", &[])));
}

#[test]
fn loaded() {
    let mut program = Command::new(compile("tests/c/loaded.c", &[]));
    program.arg(library("libpollset_c.so"));
    succeed(program);
}

/// The programs in the documents.
#[test]
fn documents() {
    for document in ["README.md", "docs/c.md"] {
        let text = fs::read_to_string(Path::new(DIRECTORY).join("../..").join(document)).unwrap();
        let blocks: Vec<_> = text.split("```c\n").skip(1).collect();
        assert!(!blocks.is_empty(), "{document}");
        for block in blocks {
            let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("document.c");
            fs::write(&source, block.split("```").next().unwrap()).unwrap();
            let mut program = Command::new(compile(source.to_str().unwrap(), &[]));
            program.stdin(Stdio::null());
            let output = succeed(program);
            assert_eq!(output.stdout, b"0 is ready: 0x1\n");
        }
    }
}

#[test]
fn example_of_pipes() {
    let output = succeed(Command::new(compile("examples/pipes.c", &[])));
    let output = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<_> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["child 0", "child 1", "child 2"]);
}

/// Of the example, and of the same on poll(2) and on epoll(7).
#[test]
fn echo_servers() {
    for source in ["examples/echo.c", "tests/c/echo_poll.c", "tests/c/echo_epoll.c"] {
        check_echo_server(Command::new(compile(source, &["-O2"])));
    }
}

fn check_echo_server(mut server: Command) {
    server.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = server.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap();
    let mut clients: Vec<_> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
    // More than the buffers of a connection hold: the server has to wait until it can send.
    let data: Vec<u8> = (0..5_000_000_u32).map(|i| (i / 7) as u8).collect();
    let mut reader = clients[0].try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| clients[0].write_all(&data).unwrap());
        let mut echoed = vec![0; data.len()];
        thread::sleep(Duration::from_millis(100));
        reader.read_exact(&mut echoed).unwrap();
        assert!(echoed == data);
    });
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(&[number as u8]).unwrap();
        let mut echoed = [0];
        client.read_exact(&mut echoed).unwrap();
        assert_eq!(echoed, [number as u8]);
    }
    drop(server.stdin.take());
    assert!(server.wait().unwrap().success());
}

/// The C side: how the tests use what the library has written.
#[test]
fn address_and_undefined_behavior_sanitizers_find_nothing() {
    let options = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DSANITIZED"];
    for source in ["tests/c/contract.c", "tests/c/errors.c", "tests/c/threads.c"] {
        succeed(Command::new(compile(source, &options)));
    }
}

#[test]
fn valgrind_finds_no_errors_and_no_lost_memory() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return eprintln!("SKIPPED: there is no valgrind");
    }
    for source in ["tests/c/contract.c", "tests/c/threads.c"] {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
        valgrind.args(["--errors-for-leak-kinds=definite,indirect", "--track-fds=no"]);
        valgrind.arg("--fair-sched=yes").arg(compile(source, &["-DRUNS=1"]));
        succeed(valgrind);
    }
}

#[test]
fn header_is_accepted_by_compilers_of_c_and_cpp() {
    let standards = [("c", "c90"), ("c", "c99"), ("c", "c17"), ("c++", "c++98"), ("c++", "c++17")];
    for (language, standard) in standards {
        let mut command = Command::new(compiler());
        command.arg(format!("-std={standard}")).args(["-x", language]);
        command.args(["-D_POSIX_C_SOURCE=200809L", "-fsyntax-only"]).args(&STRICT[1..]);
        // C90 has neither long long nor variadic macros, which headers of the system may use.
        command.arg(Path::new(DIRECTORY).join("include/pollset.h"));
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let is_missing = errors.contains("cc1plus");
        assert!(output.status.success() || is_missing, "{standard}: {errors}");
    }
}

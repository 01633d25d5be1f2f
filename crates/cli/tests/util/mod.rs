//! Starts `pollset serve --listen` for a test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

pub const POLLSET: &str = env!("CARGO_BIN_EXE_pollset");

/// A running server.
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Server {
    pub fn start() -> Self {
        Self::start_in_shell("exec \"$POLLSET\" serve --listen 127.0.0.1:0")
    }

    /// `script` has to `exec` the server.
    pub fn start_in_shell(script: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .env("POLLSET", POLLSET)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.split([' ', ',']).nth(2).unwrap().parse().unwrap();
        Self { child, stdout, address }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends a signal, and returns the exit status and the rest of standard output and error.
    pub fn stop(mut self, signal: Signal) -> (Option<i32>, String, String) {
        kill_process(self.pid(), signal).unwrap();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stdout, stderr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub fn assert_echoes(mut client: &TcpStream, text: &[u8]) {
    client.write_all(text).unwrap();
    let mut echo = vec![0; text.len()];
    client.read_exact(&mut echo).unwrap();
    assert_eq!(echo, text);
}

//! `akin serve` as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::Workplace;

/// A server as a process.
pub struct Server {
    pub child: Child,
    pub address: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Server {
    /// Starts one on a free port, and waits until it listens.
    pub fn start(workplace: &Workplace, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        Self::of(&mut workplace.command(&arguments))
    }

    /// The same of a command.
    pub fn of(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let before = said.len();
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
            if let Some((_, address)) = said[before..].trim().rsplit_once("http://") {
                break address.to_owned();
            }
        };
        Self { child, address, stderr }
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> (u16, String) {
        self.send("POST", path, &body.to_string())
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> (u16, String) {
        self.send("GET", path, "")
    }

    pub fn send(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: &str) {
        assert!(
            Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success()
        );
    }

    /// Asks it to end, and gives what it said.
    #[track_caller]
    pub fn stop(mut self, signal: &str) -> String {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{said}");
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

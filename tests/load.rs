//! A server under mixed load that is killed again and again: nothing acknowledged is lost.

#![allow(clippy::unwrap_used)] // a test that panics has found something
#![cfg(unix)]

mod common;

use std::process::Command;

use common::{AKIN, Workplace, tiny_model};
use serde_json::Value;

/// Seconds, as `make torture` has it, and as a test among others.
const SECONDS: [&str; 2] = ["600", "20"];

#[test]
fn a_server_that_is_killed_under_load_keeps_what_it_acknowledged() {
    let workplace = Workplace::new();
    let seconds = SECONDS[usize::from(std::env::var_os("AKIN_TORTURE").is_none())];
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/server/tests/load/load.py");
    let mut command = Command::new("python3");
    workplace.settle(command.args(["-B", program, AKIN, "--seconds", seconds, "--precision", "f32"]));
    command.env("TMPDIR", workplace.root()).arg("--model").arg(tiny_model());
    let run = command.output().unwrap();
    let (said, log) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}{log}");
    let report: Value = serde_json::from_str(&said).unwrap();
    let count = |name: &str| report["counts"][name].as_u64().unwrap_or(0);
    assert_eq!(report["lost"], 0, "{log}");
    assert!(report["kills"].as_u64() >= Some(1), "{said}");
    for what in ["writes acknowledged", "deletes acknowledged", "queries answered", "clients gone midway"] {
        assert!(count(what) > 0, "{what}: {said}");
    }
}

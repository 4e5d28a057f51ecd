//! `akin index --watch`: the index follows its corpus until the command is ended.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use common::Workplace;
use serde_json::Value;

/// `akin index --watch --json`, and the lines that it prints.
struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn begin(workplace: &Workplace, arguments: &[&str]) -> Self {
        let mut command = workplace.command(&[&["index", "ix", "--watch", "--json"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The first report from now on in which `field` is `count`. A change may be heard of in two parts.
    fn report(&mut self, field: &str, count: usize) -> Value {
        loop {
            let line = self.lines.next().expect("the command goes on").unwrap();
            let report: Value = serde_json::from_str(&line).unwrap();
            if report[field] == count {
                return report;
            }
        }
    }

    fn end(mut self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert!(self.child.wait().unwrap().success(), "ended by {signal}");
    }
}

#[test]
fn files_that_appear_change_move_and_vanish_are_followed_while_queries_are_answered() {
    let workplace = Workplace::new();
    fs::create_dir(workplace.path("docs")).unwrap();
    workplace.write("docs/a.md", "Cats purr.");
    workplace.write("docs/b.md", "Dogs bark.");
    let mut watching = Watching::begin(&workplace, &["docs"]);
    watching.report("added", 2);
    let best = |question: &str| {
        let answer = workplace.akin(&["query", "ix", question, "--json", "-k", "1"]).succeeded().json();
        answer["hits"][0]["id"].as_str().unwrap().to_owned()
    };
    workplace.write("docs/deep.md", "Birds sing.");
    watching.report("added", 1);
    assert_eq!(best("Birds sing."), "deep.md");
    workplace.write("docs/a.md", "Horses run.");
    watching.report("replaced", 1);
    assert_eq!(best("Horses run."), "a.md");
    fs::rename(workplace.path("docs/b.md"), workplace.path("docs/c.md")).unwrap();
    let renamed = watching.report("added", 1);
    assert_eq!((&renamed["removed"], &renamed["encoded"]), (&1.into(), &0.into()));
    assert_eq!(best("Dogs bark."), "c.md");
    fs::remove_file(workplace.path("docs/deep.md")).unwrap();
    assert_eq!(watching.report("removed", 1)["documents"], 2);
    watching.end("-TERM");
    workplace.akin(&["verify", "ix"]).succeeded();
}

#[test]
fn a_file_of_records_is_followed_over_faults_and_new_files_of_its_name() {
    let workplace = Workplace::new();
    workplace.write("c.jsonl", "{\"id\":1,\"text\":\"one\"}\n");
    let mut watching = Watching::begin(&workplace, &["c.jsonl", "--sync"]);
    watching.report("added", 1);
    // What cannot be read leaves the index as it was, and ends nothing.
    workplace.write("c.jsonl", "{\"id\":1,\"te");
    workplace.write("new", "{\"id\":2,\"text\":\"two\"}\n");
    fs::rename(workplace.path("new"), workplace.path("c.jsonl")).unwrap();
    let report = watching.report("added", 1);
    assert_eq!((&report["removed"], &report["documents"]), (&1.into(), &1.into()));
    watching.end("-INT");
}

/// Has writes of a process fail beyond so many bytes of a file, as on a full disk, or no more.
#[cfg(target_os = "linux")]
fn limit_files(process: &Child, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let done = Command::new("prlimit").args(["--pid", &process.id().to_string(), &limit]).status().unwrap();
    assert!(done.success());
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_and_waited_for() {
    let workplace = Workplace::new();
    workplace.write("c.jsonl", "{\"id\":1,\"text\":\"one\"}\n");
    let mut command = Command::new("bash");
    workplace.settle(&mut command);
    // A write past the limit fails, instead of ending the process.
    let script = "trap '' XFSZ; exec \"$0\" index ix c.jsonl --sync --watch --json";
    let command = command.args(["-c", script, common::AKIN]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut hear = |part: &str| said.find(|line| line.as_ref().unwrap().contains(part)).unwrap().unwrap();
    let mut watching = Watching { child, lines };
    watching.report("added", 1);
    hear("watching");
    for (id, text) in [(2, "two"), (3, "three")] {
        limit_files(&watching.child, "1024");
        workplace.write("c.jsonl", format!("{{\"id\":{id},\"text\":\"{text}\"}}\n"));
        let line = hear("cannot write to the index");
        assert!(
            line.ends_with("what was committed is kept, and it goes on once the disk takes more"),
            "{line}"
        );
        assert_eq!(workplace.figures("ix")["documents"], 1);
        limit_files(&watching.child, "unlimited");
        hear("the disk takes writes again");
        let report = watching.report("documents", 1);
        assert_eq!((&report["added"], &report["removed"]), (&1.into(), &1.into()));
    }
    // It ends while it waits, too.
    limit_files(&watching.child, "1024");
    workplace.write("c.jsonl", "{\"id\":4,\"text\":\"four\"}\n");
    hear("cannot write to the index");
    watching.end("-TERM");
    workplace.akin(&["verify", "ix"]).succeeded();
    assert_eq!(
        workplace.akin(&["index", "ix", "c.jsonl", "--sync", "--json"]).succeeded().json()["added"],
        1
    );
}

#[test]
fn a_pipe_cannot_be_watched() {
    let workplace = Workplace::new();
    let refused = workplace.akin_reading(&["index", "ix", "-", "--watch"], b"one\n").refused();
    assert!(refused.contains("is a pipe"), "{refused}");
}

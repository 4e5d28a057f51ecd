//! What people see: sessions, colours, notes, help and mistakes.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use common::{AKIN, Run, Workplace, json_lines, run_reading, sentences, with_notes};

#[test]
fn quiet_says_nothing_and_verbose_says_where_the_time_goes() {
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(5).join("\n"));
    let run = workplace.akin(&["index", "notes", "notes.txt", "--quiet"]).succeeded();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    let run = workplace.akin(&["query", "notes", "anything", "--verbose"]).succeeded();
    for step in ["loaded the model", "opened the index", "encoded 1 query", "searched 1 query"] {
        assert!(run.stderr.contains(step), "{step}: {run:#?}");
    }
    assert_eq!(run.stdout.lines().count(), 5);
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let workplace = with_notes(3);
    let query = ["query", "notes", "anything"];
    assert!(!workplace.akin(&query).succeeded().stdout.contains('\x1b'));
    let always = [&query[..], &["--color", "always"]].concat();
    assert!(workplace.akin(&always).succeeded().stdout.contains('\x1b'));
    let never = [&query[..], &["--color", "never"]].concat();
    assert!(!workplace.akin(&never).succeeded().stdout.contains('\x1b'));
}

#[test]
fn no_color_is_honoured_on_a_terminal() {
    let workplace = with_notes(3);
    // `script` of util-linux gives the program a terminal.
    let on_a_terminal = |no_color: Option<&str>| {
        let mut command = Command::new("script");
        workplace.settle(&mut command).env("TERM", "xterm");
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let line = format!("{AKIN} query notes anything");
        run_reading(command.args(["--quiet", "--return", "--command", &line, "/dev/null"]), b"")
            .succeeded()
            .stdout
    };
    assert!(on_a_terminal(None).contains("\x1b[32m"));
    assert!(on_a_terminal(Some("")).contains("\x1b[32m"));
    assert!(!on_a_terminal(Some("1")).contains("\x1b["));
}

/// What the line editor writes once a line, when it begins to listen: it asks for bracketed pastes.
const PROMPT: &str = "\x1b[?2004h";

/// Reads up to the end of `mark`.
fn read_past(screen: &mut impl Read, mark: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(mark.as_bytes()) {
        let read = screen.read(&mut byte).unwrap();
        assert_eq!(read, 1, "no {mark:?} in {:?}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

#[test]
fn a_session_on_a_terminal_answers_and_keeps_its_history() {
    let workplace = with_notes(4);
    let mut command = Command::new("script");
    workplace.settle(&mut command).env("TERM", "xterm");
    let line = format!("{AKIN} query notes --color never");
    let arguments = ["--quiet", "--return", "--command", &line, "/dev/null"];
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut stdout = String::new();
    // What is typed before there is a prompt may be lost.
    for line in [":k 1", &sentences(4)[2], ":nonsense", ":quit"] {
        stdout += &read_past(&mut screen, PROMPT);
        keys.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    screen.read_to_string(&mut stdout).unwrap();
    let run = Run { stdout, ..Run::from(child.wait_with_output().unwrap()) }.succeeded();
    assert!(run.stdout.contains("1   1.000  notes.txt:3"), "{run:#?}");
    assert!(!run.stdout.contains("2   "), "{run:#?}");
    assert!(run.stdout.contains("there is no command :nonsense"), "{run:#?}");
    assert!(workplace.read("state/akin/history").contains(&sentences(4)[2]));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let workplace = with_notes(30);
    workplace.write("questions.txt", vec![sentences(30).join("\n"); 40].join("\n"));
    let mut child = workplace
        .command(&["batch", "notes", "questions.txt"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(json_lines(&first).len(), 1);
    let run = Run::from(child.wait_with_output().unwrap()).succeeded();
    assert_eq!(run.stderr, "");
}

#[test]
fn the_program_explains_itself() {
    let workplace = Workplace::new();
    let version = workplace.akin(&["--version"]).succeeded().stdout;
    assert_eq!(version, format!("akin {}\n", env!("CARGO_PKG_VERSION")));
    for command in ["index", "query", "batch", "encode", "delete", "stat", "verify", "completions"] {
        let help = workplace.akin(&["help", command]).succeeded().stdout;
        assert!(help.contains("Example"), "{command} has no example");
        assert!(help.contains(&format!("\n  akin {command} ")) || command == "batch", "{command}: {help}");
    }
    assert!(workplace.akin(&["eval", "sts", "--help"]).succeeded().stdout.contains("Examples:"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(workplace.akin(&["completions", shell]).succeeded().stdout.contains("akin"));
    }
}

#[test]
fn a_mistaken_option_is_exit_2() {
    let workplace = with_notes(3);
    for options in [["-k", "0"], ["--ef", "0"], ["--threads", "0"], ["--nonsense", "1"]] {
        let arguments = [&["query", "notes", "anything"][..], &options].concat();
        assert_eq!(workplace.akin(&arguments).code, Some(2), "{options:?}");
    }
    assert_eq!(workplace.akin(&["index", "notes", "notes.txt", "--precision", "int4"]).code, Some(2));
}

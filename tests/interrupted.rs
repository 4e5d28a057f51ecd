//! Ctrl-C ends each long command with one sentence and status 130, and leaves nothing half done.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Run, Workplace, sentences};

/// Sends a signal to a process.
fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        sleep(Duration::from_millis(2));
    }
}

/// Begins a command, interrupts it once `is_begun`, and gives what it said.
fn interrupted(workplace: &Workplace, arguments: &[&str], is_begun: impl Fn(&Child) -> bool) -> Run {
    let mut command = workplace.command(arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the command begins", || is_begun(&child));
    signal(&child, "-INT");
    child.wait_with_output().unwrap().into()
}

/// Whether a process has computed for so many hundredths of a second.
fn has_worked(child: &Child, hundredths: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    // The time in user mode is the twelfth field after the name.
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.split_whitespace().nth(11).unwrap().parse::<u64>().unwrap() > hundredths
}

/// The one sentence of a command that was interrupted.
#[track_caller]
fn sentence(run: &Run) -> &str {
    assert_eq!(run.code, Some(130), "{run:#?}");
    let lines: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("akin: ")).collect();
    assert_eq!(lines.len(), 1, "{run:#?}");
    assert!(lines[0].starts_with("akin: interrupted"), "{run:#?}");
    lines[0]
}

/// Writes `c.txt` with so many different lines.
fn corpus(workplace: &Workplace, lines: usize) {
    let text: String = (0..lines)
        .map(|n| format!("document {n} of a corpus, with some more words in it, {}\n", n % 97))
        .collect();
    workplace.write("c.txt", &text);
}

/// Files that a command had not finished.
fn unfinished(workplace: &Workplace) -> Vec<String> {
    let names = fs::read_dir(workplace.root()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".part")).collect()
}

#[test]
fn indexing_keeps_what_is_committed_and_goes_on() {
    let workplace = Workplace::new();
    corpus(&workplace, 20_000);
    let segments = workplace.path("ix/segments");
    let begun = |_: &Child| fs::read_dir(&segments).is_ok_and(|files| files.count() > 1);
    let run = interrupted(&workplace, &["index", "ix", "c.txt"], begun);
    let said = sentence(&run);
    let documents = workplace.figures("ix")["documents"].as_u64().unwrap();
    assert!(documents > 0 && documents < 20_000, "{documents}");
    let digits: String = said.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(digits, documents.to_string(), "{said}");
    assert!(said.contains("documents are kept; the same command goes on"), "{said}");
    workplace.akin(&["verify", "ix"]).succeeded();
    let again = workplace.akin(&["index", "ix", "c.txt", "--json"]).succeeded().json();
    assert_eq!((&again["documents"], &again["unchanged"]), (&20_000.into(), &documents.into()));
}

#[test]
fn a_command_that_has_begun_nothing_ends_at_once() {
    let workplace = Workplace::new();
    let mut command = workplace.command(&["index", "ix", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: the command has read of it, and listens.
    stdin.write_all(&b"a line of text\n".repeat(20_000)).unwrap();
    signal(&child, "-INT");
    let run: Run = child.wait_with_output().unwrap().into();
    sentence(&run);
    assert!(!workplace.path("ix").exists());
    drop(stdin);
}

#[test]
fn mining_is_stopped_and_writes_nothing() {
    let workplace = Workplace::new();
    corpus(&workplace, 40_000);
    workplace.akin(&["index", "ix", "c.txt", "--quiet"]).succeeded();
    let commands: [&[&str]; 4] = [
        &["pairs", "ix", "--verbose"],
        &["dedup", "ix", "--output", "out.jsonl"],
        &["cluster", "ix", "--clusters", "3000", "--output", "out.jsonl"],
        &["cluster", "c.txt", "--clusters", "30", "--output", "out.jsonl"],
    ];
    for arguments in commands {
        // Reading the index takes less, and the work more.
        let run = interrupted(&workplace, arguments, |child| has_worked(child, 60));
        sentence(&run);
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert!(!workplace.path("out.jsonl").exists() && unfinished(&workplace).is_empty());
    }
}

#[test]
fn files_that_are_being_written_are_removed() {
    let workplace = Workplace::new();
    corpus(&workplace, 20_000);
    let writes = |_: &Child| !unfinished(&workplace).is_empty();
    let encoding = interrupted(&workplace, &["encode", "c.txt", "--output", "out.npy"], writes);
    sentence(&encoding);
    workplace.akin(&["encode", "c.txt", "--output", "all.npy", "--quiet"]).succeeded();
    workplace.akin(&["import", "ix", "--vectors", "all.npy", "--quiet"]).succeeded();
    let exporting = interrupted(&workplace, &["export", "ix", "--documents", "out.npy"], writes);
    sentence(&exporting);
    assert!(unfinished(&workplace).is_empty() && !workplace.path("out.npy").exists());
}

#[test]
fn a_batch_ends_after_whole_lines_also_while_it_waits_for_queries() {
    let workplace = Workplace::new();
    workplace.write("c.txt", sentences(50).join("\n"));
    workplace.akin(&["index", "ix", "c.txt", "--quiet"]).succeeded();
    let mut command = workplace.command(&["batch", "ix", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&b"the baker\n".repeat(600)).unwrap();
    stdin.flush().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..512 {
        lines.next().unwrap().unwrap();
    }
    signal(&child, "-INT");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest.len(), 88, "queries that came are answered");
    assert!(rest.iter().all(|line| line.starts_with("{\"query\"") && line.ends_with('}')));
    let run: Run = child.wait_with_output().unwrap().into();
    assert!(sentence(&run).contains("600 queries are answered"), "{run:#?}");
    drop(stdin);
}

#[test]
fn a_measurement_ends_between_its_lines() {
    let workplace = Workplace::new();
    corpus(&workplace, 6000);
    workplace.akin(&["encode", "c.txt", "--output", "q.npy", "--quiet"]).succeeded();
    workplace.akin(&["index", "ix", "c.txt", "--quiet"]).succeeded();
    let mut command = workplace.command(&["bench", "ix", "--vectors", "q.npy", "--json", "--ef", "16,32,64"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    signal(&child, "-INT");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest, Vec::<String>::new());
    let run: Run = child.wait_with_output().unwrap().into();
    sentence(&run);
}

#[test]
fn training_keeps_its_steps_and_goes_on() {
    let workplace = Workplace::new();
    let lines = sentences(400);
    let table: String = lines
        .chunks(2)
        .enumerate()
        .map(|(n, pair)| format!("{}\t{}\t{}\n", pair[0], pair[1], n % 6))
        .collect();
    workplace.write("t.tsv", format!("sentence1\tsentence2\tscore\n{table}"));
    let model = common::tiny_model();
    let base = model.to_str().unwrap();
    let arguments = ["train", "--objective", "regression", "--base", base, "--train", "t.tsv"];
    let arguments = [&arguments[..], &["--output", "out", "--epochs", "200", "--batch-size", "8"]].concat();
    let begun = |child: &Child| has_worked(child, 100) && workplace.path("out/checkpoints").exists();
    let run = interrupted(&workplace, &arguments, begun);
    let said = sentence(&run);
    assert!(said.contains("of the run are kept in out, and --resume goes on with it"), "{said}");
    let steps: String = said.chars().filter(char::is_ascii_digit).collect();
    let resumed = interrupted(&workplace, &[&arguments[..], &["--resume"]].concat(), |child| {
        has_worked(child, 100) && fs::read_dir(workplace.path("out/checkpoints")).unwrap().count() > 0
    });
    sentence(&resumed);
    if let Some(line) = resumed.stderr.lines().find(|line| line.starts_with("going on after step")) {
        let after: String = line.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(after, steps);
    }
}

#[test]
fn a_second_signal_ends_a_command_that_does_not_come_to_a_clean_point() {
    let workplace = Workplace::new();
    workplace.write("c.txt", sentences(50).join("\n"));
    workplace.akin(&["index", "ix", "c.txt", "--quiet"]).succeeded();
    // A pipe that nobody reads: an answer cannot be written whole.
    let mut command = workplace.command(&["batch", "ix", "-", "-k", "50"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    stdin.write_all(&b"the baker\n".repeat(600)).unwrap();
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    until("the command ends", || {
        signal(&child, "-INT");
        child.try_wait().unwrap().is_some()
    });
    let run: Run = child.wait_with_output().unwrap().into();
    sentence(&run);
}

//! `akin query` through a running server: the same bytes, and no worse where that does not work.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use akin_fixtures::models::ModelCopy;
use common::server::Server;
use common::{AKIN, Run, Workplace, run_reading, sentences};
use serde_json::json;

const SOCKET: &str = "notes/query.sock";

/// Connects until the server's queue takes no more, says so, and stays.
const CROWD: &str = "
import socket, sys, time
crowd = []
while len(crowd) < 10000:
    one = socket.socket(socket.AF_UNIX)
    one.setblocking(False)
    try:
        one.connect(sys.argv[1])
    except BlockingIOError:
        break
    crowd.append(one)
print('full', flush=True)
time.sleep(60)
";

/// An index `notes` of documents with a number and a colour, some of which have several passages.
fn with_documents() -> Workplace {
    let workplace = Workplace::with_passages();
    let texts = sentences(60);
    let line = |n: usize| {
        let text = if n.is_multiple_of(10) { texts[n..].join(". ") } else { texts[n].clone() };
        let color = if n.is_multiple_of(2) { "red" } else { "green" };
        json!({ "id": format!("d{n}"), "text": text, "n": n, "color": color }).to_string()
    };
    workplace.write("notes.jsonl", (0..60).map(line).collect::<Vec<_>>().join("\n"));
    workplace.akin(&["index", "notes", "notes.jsonl"]).succeeded();
    workplace
}

/// How many queries came by the socket, and were answered or refused.
fn asked(server: &Server) -> (u64, u64) {
    let (_, metrics) = server.get("/metrics");
    let count = |status: &str| {
        let begin = format!("akin_requests_total{{route=\"socket\",status=\"{status}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&begin)).map_or(0, |n| n.parse().unwrap())
    };
    let all: u64 = metrics
        .lines()
        .filter(|line| line.starts_with("akin_requests_total{route=\"socket\""))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    (count("200"), all - count("200"))
}

/// What a query prints and says, and the same without the server.
#[track_caller]
fn both_ways(workplace: &Workplace, arguments: &[&str]) -> (Run, Run) {
    let with = workplace.akin(&[&["query", "notes"], arguments].concat());
    let without = workplace.akin(&[&["query", "notes", "--no-server"], arguments].concat());
    let all = |run: &Run| (run.code, run.stdout.clone(), run.stderr.clone());
    assert_eq!(all(&with), all(&without), "{arguments:?}");
    (with, without)
}

#[test]
fn a_running_server_answers_with_the_same_bytes() {
    let workplace = with_documents();
    let server = Server::start(&workplace, &["notes"]);
    assert_eq!(workplace.path(SOCKET).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = "the baker repairs a wooden bridge on day 30";
    let options: &[&[&str]] = &[
        &[],
        &["-k", "3"],
        &["-k", "3", "--offset", "4"],
        &["-k", "100"],
        &["--mode", "semantic"],
        &["--mode", "keyword"],
        &["--mode", "hybrid"],
        &["--mode", "keyword", "--precision", "int8"],
        &["--filter", "n >= 20 and color = red"],
        &["--filter", "n < 2", "--mode", "keyword"],
        &["--min-score", "0.5"],
        &["--min-score", "0.1", "--mode", "semantic"],
        &["--exact"],
        &["--ef", "100"],
        &["--diverse"],
        &["--per-document", "3"],
        &["--facet", "color", "--facet", "n"],
        &["--like", "d3"],
        &["--like", "d3", "--unlike", "d4", "--mode", "semantic"],
        &["--color", "always"],
    ];
    let mut expected = 0;
    for options in options {
        for more in [&[][..], &["--json"]] {
            both_ways(&workplace, &[&[text], *options, more].concat());
            expected += 1;
            assert_eq!(asked(&server), (expected, 0), "{options:?}");
        }
    }
    // Without a text, and as long as a passage.
    both_ways(&workplace, &["--like", "d3", "--json"]);
    both_ways(&workplace, &["it is not there", "--min-score", "1.0"]);
    both_ways(&workplace, &["--mode", "keyword", "-k", "2", "--", "-bridge"]);
    assert_eq!(asked(&server), (expected + 3, 0));
    // What another process commits is in the answer.
    workplace.write("more.jsonl", json!({ "id": "new", "text": "zebras" }).to_string());
    workplace.akin(&["index", "notes", "more.jsonl"]).succeeded();
    let (with, _) = both_ways(&workplace, &["zebras", "-k", "1"]);
    assert!(with.stdout.contains("zebras") && asked(&server) == (expected + 4, 0), "{with:?}");
    server.stop("-TERM");
    assert!(!workplace.path(SOCKET).exists());
}

#[test]
fn a_terminal_shows_the_same() {
    let workplace = with_documents();
    let server = Server::start(&workplace, &["notes"]);
    // `script` of util-linux gives the program a terminal.
    let shown = |more: &str| {
        let mut command = Command::new("script");
        workplace.settle(&mut command).env("TERM", "xterm");
        let line = format!("{AKIN} query notes 'a wooden bridge on day 30' --facet color {more}");
        run_reading(command.args(["--quiet", "--return", "--command", &line, "/dev/null"]), b"")
            .succeeded()
            .stdout
    };
    let with = shown("");
    assert_eq!(asked(&server), (1, 0));
    assert_eq!(with, shown("--no-server"));
    assert!(with.contains("\x1b[1m"), "{with}");
}

#[test]
fn what_a_server_would_do_otherwise_is_done_without_it() {
    let workplace = with_documents();
    let server = Server::start(&workplace, &["notes"]);
    let text = &sentences(40)[3];
    let other = with_documents();
    let long = "day ".repeat(200);
    for (arguments, refusals) in [
        // Not asked at all.
        (&[text.as_str(), "--no-server"][..], 0),
        (&[text.as_str(), "--model", "nowhere"], 0),
        (&[text.as_str(), "--query-prompt", "find: "], 0),
        (&[text.as_str(), "--dimensions", "4"], 0),
        (&[" "], 0),
        // Asked, and refused: another precision, one thread, errors, and what is said on stderr.
        (&[text.as_str(), "--precision", "int8"], 1),
        (&[text.as_str(), "--threads", "1"], 1),
        (&[text.as_str(), "--filter", "n >"], 1),
        (&[text.as_str(), "--filter", "colour = red"], 1),
        (&[text.as_str(), "--filter", "n > 1000"], 1),
        (&[text.as_str(), "--like", "nobody"], 1),
        (&[text.as_str(), "--like", "d3", "--mode", "keyword"], 1),
        (&[long.as_str()], 1),
    ] {
        let before = asked(&server);
        let query = [&["query", "notes"], arguments].concat();
        let here = workplace.akin(&query);
        // The same index without a server.
        let there = other.akin(&query);
        assert_eq!((here.code, here.stdout, here.stderr), (there.code, there.stdout, there.stderr));
        assert_eq!(asked(&server), (before.0, before.1 + refusals), "{arguments:?}");
    }
}

#[test]
fn the_model_is_not_loaded() {
    let workplace = Workplace::new();
    let model = ModelCopy::tiny("bert");
    workplace.write("notes.txt", sentences(20).join("\n"));
    workplace.akin(&["index", "notes", "notes.txt", "--model", model.path().to_str().unwrap()]).succeeded();
    let server = Server::start(&workplace, &["notes"]);
    drop(model);
    let query = ["query", "notes", "a wooden bridge"];
    assert_eq!(workplace.akin(&query).succeeded().stdout.lines().count(), 10);
    server.stop("-TERM");
    assert!(workplace.akin(&query).refused().contains("model"));
}

#[test]
fn a_server_that_does_not_answer_costs_a_moment_and_nothing_else() {
    let workplace = with_documents();
    let query = ["query", "notes", "a wooden bridge", "--json"];
    let expected = workplace.akin(&query).succeeded().stdout;
    let server = Server::start(&workplace, &["notes"]);
    server.signal("-STOP");
    assert_eq!(workplace.akin(&query).succeeded().stdout, expected);
    // Its queue of connections is full.
    let mut crowd = Command::new("python3")
        .args(["-c", CROWD, workplace.path(SOCKET).to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    crowd.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    assert_eq!(workplace.akin(&query).succeeded().stdout, expected);
    crowd.kill().unwrap();
    crowd.wait().unwrap();
    server.signal("-KILL");
    drop(server);
    // What a killed server left.
    assert!(workplace.path(SOCKET).exists());
    assert_eq!(workplace.akin(&query).succeeded().stdout, expected);
    let next = Server::start(&workplace, &["notes"]);
    assert_eq!(workplace.akin(&query).succeeded().stdout, expected);
    assert_eq!(asked(&next), (1, 0));
    // The first server keeps it, and takes it along.
    let second = Server::start(&workplace, &["notes"]);
    workplace.akin(&query).succeeded();
    assert_eq!((asked(&next), asked(&second)), ((2, 0), (0, 0)));
    second.stop("-TERM");
    assert!(workplace.path(SOCKET).exists());
}

#[test]
fn whatever_looks_after_an_index_leaves_the_socket_alone() {
    let workplace = with_documents();
    let server = Server::start(&workplace, &["notes"]);
    let figures = workplace.figures("notes");
    for command in [
        &["verify", "notes"][..],
        &["delete", "notes", "d1"],
        &["compact", "notes"],
        &["repair", "notes"],
        &["export", "notes", "--vectors", "vectors.npy"],
        &["stat", "notes"],
        &["verify", "notes"],
    ] {
        workplace.akin(command).succeeded();
        assert!(workplace.path(SOCKET).exists(), "{command:?}");
    }
    assert_ne!(workplace.figures("notes"), figures);
    both_ways(&workplace, &["a wooden bridge", "--json"]);
    assert_eq!(asked(&server), (1, 0));
    // A folder that was copied with what a server left in it, and one that was moved.
    server.signal("-KILL");
    drop(server);
    std::fs::rename(workplace.path("notes"), workplace.path("moved")).unwrap();
    workplace.akin(&["query", "moved", "a wooden bridge"]).succeeded();
    workplace.akin(&["verify", "moved"]).succeeded();
}

#[test]
fn a_server_whose_folder_was_moved_does_not_answer_for_another() {
    let workplace = with_documents();
    let server = Server::start(&workplace, &["notes"]);
    std::fs::rename(workplace.path("notes"), workplace.path("moved")).unwrap();
    workplace.write("other.txt", sentences(3).join("\n"));
    workplace.akin(&["index", "notes", "other.txt"]).succeeded();
    let with = workplace.akin(&["query", "moved", "a wooden bridge", "--json"]).succeeded().stdout;
    let without = workplace.akin(&["query", "moved", "a wooden bridge", "--json", "--no-server"]).succeeded();
    assert_eq!(with, without.stdout);
    assert_eq!(asked(&server).0, 0);
}

#[test]
fn an_index_that_a_client_creates_is_asked_through_the_server_until_it_is_dropped() {
    let workplace = with_documents();
    let server = Server::start(&workplace, &["notes", "--writable", "--create-in", "made"]);
    let created = server.post("/v1/indexes", &json!({ "name": "fresh" }));
    assert_eq!(created.0, 200, "{}", created.1);
    assert_eq!(
        workplace.path("made/fresh/query.sock").metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let documents = json!({ "documents": [{ "id": "a", "text": "a lantern on the harbour wall" }] });
    assert_eq!(server.post("/v1/indexes/fresh/documents", &documents).0, 200);
    let found = workplace.akin(&["query", "made/fresh", "a lantern", "--json"]).succeeded();
    assert_eq!(common::ids(&found.json()), ["a"]);
    assert_eq!(asked(&server), (1, 0));
    // Dropped and made again, it has a socket of its own.
    for _ in 0..2 {
        assert_eq!(server.send("DELETE", "/v1/indexes/fresh", "").0, 200);
        assert!(!workplace.path("made/fresh").exists());
        assert_eq!(server.post("/v1/indexes", &json!({ "name": "fresh" })).0, 200);
    }
    workplace.akin(&["query", "made/fresh", "a lantern"]).succeeded();
    assert_eq!(asked(&server), (2, 0));
    server.stop("-TERM");
    assert!(!workplace.path("made/fresh/query.sock").exists());
}

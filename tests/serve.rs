//! `akin serve` as a program: what it says, how it stops, and what it refuses to begin with.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use common::server::Server;
use common::{Workplace, sentences};
use serde_json::{Value, json};

fn with_notes() -> Workplace {
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(40).join("\n"));
    workplace.akin(&["index", "notes", "notes.txt"]).succeeded();
    workplace
}

#[test]
fn it_answers_what_the_command_line_prints_byte_by_byte() {
    let workplace = with_notes();
    let server = Server::start(&workplace, &["notes"]);
    let text = &sentences(40)[3];
    for (options, request) in [
        (&[][..], json!({ "text": text })),
        (&["--mode", "keyword", "-k", "3"], json!({ "text": text, "mode": "keyword", "k": 3 })),
        (&["--mode", "semantic", "--offset", "2"], json!({ "text": text, "mode": "semantic", "offset": 2 })),
        (&["--exact", "--per-document", "2"], json!({ "text": text, "exact": true, "per_document": 2 })),
    ] {
        let line =
            workplace.akin(&[&["query", "notes", text, "--json"], options].concat()).succeeded().stdout;
        assert_eq!(server.post("/v1/indexes/notes/query", &request), (200, line));
    }
    // What another process commits is seen.
    workplace.write("more.jsonl", json!({ "id": "new", "text": "zebras" }).to_string());
    workplace.akin(&["index", "notes", "more.jsonl"]).succeeded();
    let (_, answer) = server.post("/v1/indexes/notes/query", &json!({ "text": "zebras", "mode": "keyword" }));
    assert!(answer.contains("\"id\":\"new\""), "{answer}");
    server.stop("-TERM");
}

/// How many arenas of glibc a process has beside the first: each begins with 64 MiB of addresses, of which some are used.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn arenas(process: u32) -> usize {
    const WHOLE: u64 = 64 << 20;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let ranges: Vec<(u64, u64, &str)> = maps
        .lines()
        .map(|line| {
            let (range, rest) = line.split_once(' ').unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let number = |hex| u64::from_str_radix(hex, 16).unwrap();
            (number(from), number(to), &rest[..4])
        })
        .collect();
    let is_arena = |pair: &&[(u64, u64, &str)]| {
        let [used, unused] = [pair[0], pair[1]];
        let kinds = (used.2, unused.2) == ("rw-p", "---p");
        kinds && used.0 % WHOLE == 0 && used.1 == unused.0 && unused.1 == used.0 + WHOLE
    };
    ranges.windows(2).filter(is_arena).count()
}

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn its_threads_share_few_arenas_so_that_freed_memory_does_not_add_up() {
    let workplace = with_notes();
    let server = Server::start(&workplace, &["notes", "--writable"]);
    std::thread::scope(|scope| {
        for client in 0..24 {
            let server = &server;
            scope.spawn(move || {
                let text = format!("the baker repairs a bridge {client}");
                let body = json!({ "documents": [{ "id": client.to_string(), "text": text }] });
                assert_eq!(server.post("/v1/indexes/notes/documents", &body).0, 200);
                assert_eq!(server.post("/v1/indexes/notes/query", &json!({ "text": text })).0, 200);
            });
        }
    });
    let cores = std::thread::available_parallelism().unwrap().get();
    let found = arenas(server.child.id());
    assert!(found <= cores.max(2), "{found} arenas on {cores} cores");
    server.stop("-TERM");
}

#[test]
fn it_tells_the_files_that_gave_no_document() {
    let workplace = Workplace::new();
    std::fs::create_dir(workplace.path("papers")).unwrap();
    workplace.write("papers/good.txt", "a lantern by the sea");
    workplace.write("papers/broken.pdf", "%PDF-1.7\nnothing more");
    workplace.akin(&["index", "notes", "papers"]).succeeded();
    let server = Server::start(&workplace, &["notes", "--writable"]);
    let (status, state) = server.get("/v1/indexes/notes/state");
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!((status, &state["skipped"]["count"]), (200, &json!(1)), "{state}");
    let skipped = &state["skipped"]["files"][0];
    assert!(skipped["file"].as_str().unwrap().ends_with("broken.pdf"), "{skipped}");
    assert!(!skipped["reason"].as_str().unwrap().is_empty(), "{skipped}");
    server.stop("-TERM");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_when_its_requests_are_answered() {
    let workplace = with_notes();
    for signal in ["-TERM", "-INT"] {
        let server = Server::start(&workplace, &["notes"]);
        // Its head is there, and its body is not: it is being answered.
        let mut slow = TcpStream::connect(&server.address).unwrap();
        let head = format!(
            "POST /v1/indexes/notes/query HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n",
            server.address
        );
        slow.write_all(head.as_bytes()).unwrap();
        let mut go_on = [0; 25];
        slow.read_exact(&mut go_on).unwrap();
        let id = server.child.id().to_string();
        Command::new("kill").args([signal, &id]).status().unwrap();
        while TcpStream::connect(&server.address).is_ok() {}
        slow.write_all(b"{\"text\":\"door\"}").unwrap();
        let mut reply = String::new();
        slow.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        server.stop("-0");
    }
}

#[test]
fn logs_tell_neither_texts_nor_keys() {
    let workplace = with_notes();
    workplace.write("keys", "read kkkkkkkkkkkkkkkkkkkkkkk\n");
    let server = Server::start(&workplace, &["notes", "--verbose", "--api-key-file", "keys"]);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let body = json!({ "text": "zanzibar" }).to_string();
    let head = format!(
        "POST /v1/indexes/notes/query HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer kkkkkkkkkkkkkkkkkkkkkkk\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    let log = server.stop("-TERM");
    for part in ["method=\"POST\"", "path=\"/v1/indexes/notes/query\"", "status=200", "key=\"line-1\""] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert!(!log.contains("zanzibar") && !log.contains("kkkk"), "{log}");
}

#[test]
fn a_log_of_json_has_a_line_a_request_and_texts_where_they_are_asked_for() {
    let workplace = with_notes();
    for texts in [false, true] {
        let more: &[&str] = if texts { &["--log-texts"] } else { &[] };
        let server = Server::start(&workplace, &[&["notes", "--log-format", "json"], more].concat());
        server.post("/v1/indexes/notes/query?secret=1", &json!({ "text": "zanzibar" }));
        server.get("/nothing");
        let log = server.stop("-TERM");
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let requests: Vec<&Value> = lines.iter().filter(|line| line["message"] == "request").collect();
        assert_eq!(requests.len(), 2, "{log}");
        let (query, nothing) = (requests[0], requests[1]);
        assert_eq!(
            (&query["method"], &query["path"], &query["status"]),
            (&json!("POST"), &json!("/v1/indexes/notes/query"), &json!(200))
        );
        assert!(query["bytes"].as_u64() > Some(100) && query["ms"].as_f64() > Some(0.0), "{query}");
        assert!(query["id"].is_string() && query["id"] != nothing["id"] && query["timestamp"].is_string());
        assert_eq!((&nothing["status"], &nothing["level"]), (&json!(404), &json!("INFO")));
        assert!(!log.contains("secret"), "{log}");
        assert_eq!(log.contains("zanzibar"), texts, "{log}");
    }
}

#[test]
fn settings_come_from_a_file_and_the_environment() {
    let workplace = with_notes();
    workplace.write(
        "akin.toml",
        "indexes = ['notes']\nlisten = '127.0.0.1:0'\nmax-texts = 1\nrate = 5\nmax-head = 8\n",
    );
    let mut command = workplace.command(&["serve", "--config", "akin.toml", "--rate", "1000"]);
    let server = Server::of(command.env("AKIN_SERVE_MAX_TEXTS", "2").env("AKIN_SERVE_WRITABLE", "yes"));
    let texts = |texts: &[&str]| server.post("/embed", &json!({ "inputs": texts })).0;
    assert_eq!((texts(&["a", "b"]), texts(&["a", "b", "c"])), (200, 413));
    assert!((0..10).all(|_| texts(&["a"]) == 200));
    let document = json!({ "documents": [{ "id": "new", "text": "a" }] });
    assert_eq!(server.post("/v1/indexes/notes/documents", &document).0, 200);
    server.stop("-TERM");
    let refused = |arguments: &[&str], variable: (&str, &str)| {
        common::Run::of(workplace.command(&[&["serve"], arguments].concat()).env(variable.0, variable.1))
            .refused()
    };
    let sentence = refused(&["notes"], ("AKIN_SERVE_LISTEN", "here"));
    assert!(sentence.contains("AKIN_SERVE_LISTEN: invalid value 'here'"), "{sentence}");
    let sentence = refused(&["notes"], ("AKIN_SERVE_INSECURE", "perhaps"));
    assert!(sentence.contains("AKIN_SERVE_INSECURE is true or false"), "{sentence}");
    workplace.write("bad.toml", "indexes = ['notes']\nwriteable = true\n");
    let sentence = refused(&[], ("AKIN_SERVE_CONFIG", "bad.toml"));
    assert!(
        sentence.contains("bad.toml:2: there is no setting \"writeable\": did you mean writable?"),
        "{sentence}"
    );
}

/// Does what systemd does with a service that it passes a socket and asks to tell when it is ready.
#[cfg(target_os = "linux")]
const SYSTEMD: &str = "
import os, socket, sys
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.bind('notify')
passed = socket.socket()
passed.bind(('127.0.0.1', 0))
passed.listen()
child = os.fork()
if child == 0:
    os.dup2(passed.fileno(), 3)
    os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), NOTIFY_SOCKET=os.path.abspath('notify'))
    os.execv(sys.argv[1], sys.argv[1:])
print(told.recv(100).decode())
with socket.create_connection(passed.getsockname()) as client:
    client.sendall(b'GET /health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')
    print(client.recv(100).split(b'\\r\\n')[0].decode())
os.kill(child, 15)
print(os.waitpid(child, 0)[1])
";

#[cfg(target_os = "linux")]
#[test]
fn a_socket_that_systemd_passes_is_listened_on() {
    let workplace = with_notes();
    let mut command = Command::new("python3");
    let arguments = ["-c", SYSTEMD, common::AKIN, "serve", "notes", "--listen", "127.0.0.1:1"];
    let run = common::Run::of(workplace.settle(command.args(arguments))).succeeded();
    assert_eq!(run.stdout, "READY=1\nHTTP/1.1 200 OK\n0\n", "{run:?}");
}

#[test]
fn what_cannot_be_served_is_refused_with_a_remedy() {
    let workplace = with_notes();
    workplace.write("short", "read short\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let refused = |arguments: &[&str]| workplace.akin(&[&["serve"], arguments].concat()).refused();
    for (arguments, part) in [
        (&["nowhere"][..], "`akin index` makes one"),
        (&["notes", "--listen", "0.0.0.0:0"], "--api-key-file"),
        (&["notes", "--listen", taken.as_str()], "with --listen"),
        (&["notes", "./notes"], "another folder is named notes too"),
        (&["notes", "--api-key-file", "short"], "short:1: a key has 16 characters"),
        (&["notes", "--api-key-file", "none"], "cannot read the keys"),
        (&["notes", "--tls-certificate", "short", "--tls-key", "short"], "there is no certificate in it"),
    ] {
        let sentence = refused(arguments);
        assert!(sentence.contains(part), "{arguments:?}: {sentence}");
    }
    let nothing = workplace.akin(&["serve"]);
    assert!(nothing.code == Some(2) && nothing.stderr.contains("INDEX"), "{nothing:?}");
}

#[test]
fn an_agent_is_answered_on_stdin_and_stdout() {
    let workplace = with_notes();
    let messages = [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "search", "arguments": { "query": sentences(40)[3], "limit": 2 },
        } }),
    ];
    let mut child =
        workplace.command(&["mcp", "notes"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut answers = Vec::new();
    for message in messages {
        writeln!(stdin, "{message}").unwrap();
        if message.get("id").is_some() {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            answers.push(serde_json::from_str::<Value>(&line).unwrap());
        }
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(answers[0]["result"]["protocolVersion"], "2025-11-25");
    let found = &answers[1]["result"]["structuredContent"]["results"];
    assert_eq!((found.as_array().unwrap().len(), &found[0]["id"]), (2, &json!("notes.txt:4")));
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_that_begins_on_a_full_disk_answers_and_takes_changes_when_there_is_room() {
    let workplace = with_notes();
    let mut command = Command::new("bash");
    workplace.settle(&mut command);
    // A write past the limit fails as on a full disk, instead of ending the process.
    let script =
        "trap '' XFSZ; exec prlimit --fsize=64:unlimited \"$0\" serve notes --writable --listen 127.0.0.1:0";
    let server = Server::of(command.args(["-c", script, common::AKIN]));
    let text = &sentences(40)[3];
    let asked = json!({ "text": text, "k": 1 });
    let (status, answer) = server.post("/v1/indexes/notes/query", &asked);
    assert!(status == 200 && answer.contains(text.as_str()), "{answer}");
    let write = json!({ "documents": [{ "id": "new", "text": "zebras" }] });
    let refused = server.post("/v1/indexes/notes/documents", &write);
    assert!(refused.0 == 503 && refused.1.contains("cannot write to the index"), "{refused:?}");
    let (status, state) = server.get("/v1/indexes/notes/state");
    assert!(status == 200 && state.contains("\"skipped\":null"), "{state}");
    let lifted = ["--pid", &server.child.id().to_string(), "--fsize=unlimited:unlimited"];
    assert!(Command::new("prlimit").args(lifted).status().unwrap().success());
    assert_eq!(server.post("/v1/indexes/notes/documents", &write).0, 200);
    let zebras = json!({ "text": "zebras", "k": 1, "mode": "keyword" });
    assert!(server.post("/v1/indexes/notes/query", &zebras).1.contains("\"id\":\"new\""));
    let deleted = server.send("DELETE", "/v1/indexes/notes/documents/new", "");
    assert_eq!(deleted.0, 200, "{deleted:?}");
    assert!(!server.post("/v1/indexes/notes/query", &zebras).1.contains("\"id\":\"new\""));
    server.stop("-TERM");
    workplace.akin(&["verify", "notes"]).succeeded();
    assert_eq!(workplace.figures("notes")["documents"], 40);
}

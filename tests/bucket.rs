//! Commands whose INDEX is in a bucket of an object store. Left out where no object store can be started.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use akin_fixtures::{BUCKET, Random, certify, encrypted_s3};
use akin_index::{Document, Embeddings, Index, ModelIdentity};
use common::between::{Between, Verdict};
use common::server::Server;
use common::{Run, Workplace, ids, sentences};
use serde_json::{Value, json};

/// Who a request says that it is from.
const ANYBODY: &str =
    "AWS4-HMAC-SHA256 Credential=anybody/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// A folder to work in, and a place in a bucket.
struct Store {
    workplace: Workplace,
    url: String,
    prefix: String,
}

impl Store {
    fn new(name: &str) -> Option<Self> {
        let url = akin_fixtures::s3()?;
        let prefix = format!("{name}-{}/notes", std::process::id());
        Some(Self { workplace: Workplace::new(), url, prefix })
    }

    /// The address of the index.
    fn place(&self) -> String {
        format!("s3://{BUCKET}/{}", self.prefix)
    }

    fn command(&self, url: &str, arguments: &[&str]) -> Command {
        settled(self.workplace.command(arguments), url, &self.workplace.path("cache"))
    }

    fn akin(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(&self.url, arguments))
    }

    /// The same by another server.
    fn akin_by(&self, between: &Between, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(&between.url, arguments))
    }

    /// Adds sentences to the index `notes`, in a commit of their own.
    fn add(&self, range: std::ops::Range<usize>) {
        let name = format!("{}.txt", range.start);
        self.workplace.write(&name, sentences(range.end)[range].join("\n"));
        self.akin(&["index", "notes", &name, "--quiet"]).succeeded();
    }

    fn back_up(&self) -> Value {
        self.akin(&["copy", "notes", &self.place(), "--json"]).succeeded().json()
    }

    /// What a query finds.
    fn ask(&self, index: &str) -> String {
        self.akin(&["query", index, "a painter of bridges", "--json"]).succeeded().stdout
    }

    /// Sends a request for an object to the object store itself, which wants to see credentials and compares none.
    fn send(&self, method: &str, name: &str, body: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let head = format!(
            "{method} /{BUCKET}/{}/{name} HTTP/1.1\r\nHost: store\r\nConnection: close\r\nAuthorization: {ANYBODY}\r\n\
             Content-Length: {}\r\n\r\n",
            self.prefix,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let end = reply.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        reply.split_off(end)
    }

    /// The names of the files of an index in a folder.
    fn files(&self, index: &str) -> Vec<String> {
        let entries = fs::read_dir(self.workplace.path(index).join("segments")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A command that asks the object store at `url` and keeps copies in `cache`.
fn settled(mut command: Command, url: &str, cache: &Path) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "someone")
        .env("AWS_SECRET_ACCESS_KEY", "a secret")
        .env("XDG_CACHE_HOME", cache);
    command
}

/// How often a retry was told.
fn retries(run: &Run) -> usize {
    run.stderr.matches("trying again in").count()
}

#[test]
fn an_index_is_backed_up_read_and_restored_byte_for_byte() {
    let Some(store) = Store::new("whole") else { return };
    let (workplace, place) = (&store.workplace, store.place());
    store.add(0..150);
    store.add(150..200);
    let done = store.back_up();
    assert_eq!(
        (&done["documents"], &done["sent"], &done["removed"]),
        (&200.into(), &done["files"], &0.into())
    );
    let again = store.back_up();
    assert_eq!((&again["sent"], &again["sent_bytes"]), (&0.into(), &0.into()));
    workplace.write("questions.txt", "frozen lake\n\nseven stones\n");
    workplace.write("pairs.tsv", format!("anchor\tpositive\n{}\t{}\n", sentences(2)[0], sentences(2)[1]));
    for arguments in [
        &["query", "", "a painter of bridges", "--json"][..],
        &["query", "", "frozen lake", "--mode", "keyword", "--json"],
        &["query", "", "--like", "150.txt:3", "--json"],
        &["batch", "", "questions.txt"],
        &["show", "", "150.txt:3", "--json"],
        &["verify", ""],
        &["pairs", "", "--top", "3", "--json"],
        &["dedup", "", "--json"],
        &["cluster", "", "--clusters", "3", "--json"],
        &["map", "", "--json"],
        &["negatives", "pairs.tsv", ""],
    ] {
        let of = |index: &str| {
            let arguments: Vec<&str> =
                arguments.iter().map(|one| if one.is_empty() { index } else { one }).collect();
            store.akin(&arguments).succeeded().stdout
        };
        assert_eq!(of("notes"), of(&place), "{arguments:?}");
    }
    let sentence = store.akin(&["show", &place, "nothing"]).refused();
    assert!(sentence.contains(&format!("{place} has no document")), "{sentence}");
    store.akin(&["export", &place, "--vectors", "there.npy"]).succeeded();
    let measured = store.akin(&["bench", &place, "--vectors", "there.npy"]).succeeded().stdout;
    assert!(measured.contains("recall") && measured.contains("1.0000"), "{measured}");
    let documents =
        |index: &str| store.akin(&["stat", index, "--json"]).succeeded().json()["documents"].clone();
    assert_eq!(documents(&place), 200);
    store.akin(&["export", &place, "--documents", "there.jsonl"]).succeeded();
    store.akin(&["export", "notes", "--documents", "here.jsonl"]).succeeded();
    let read = |name: &str| fs::read(workplace.path(name)).unwrap();
    assert!(read("there.jsonl") == read("here.jsonl") && !read("here.jsonl").is_empty());
    let copied = store.akin(&["copy", &place, "restored", "--json"]).succeeded().json();
    assert_eq!((&copied["documents"], &copied["fetched"]), (&200.into(), &done["files"]));
    for name in store.files("notes").iter().map(|name| format!("segments/{name}")).chain(["manifest".into()])
    {
        assert_eq!(read(&format!("notes/{name}")), read(&format!("restored/{name}")), "{name}");
    }
    assert_eq!(store.files("notes"), store.files("restored"));
    workplace.write("more.txt", "zebras of the steppe");
    let report = store.akin(&["index", "restored", "more.txt", "--json"]).succeeded().json();
    assert_eq!(report["added"], 1);
    store.akin(&["verify", "restored"]).succeeded();
    assert_eq!(documents("restored"), 201);
    // The restored index has gone on, so that its commits follow those in the bucket.
    let done = store.akin(&["copy", "restored", &place, "--json"]).succeeded().json();
    assert_eq!((&done["documents"], documents(&place)), (&201.into(), 201.into()));
    let other = format!("{place}-too");
    store.akin(&["copy", &place, &other]).succeeded();
    assert_eq!(store.ask(&other), store.ask("restored"));
    store.akin(&["copy", &place, "notes"]).succeeded();
    assert_eq!(documents("notes"), 201, "an index that is there gets the documents that it lacks");
}

#[test]
fn only_what_is_new_is_sent_and_fetched_and_what_is_old_is_removed() {
    let Some(store) = Store::new("steps") else { return };
    let (place, between) = (store.place(), Between::noting(&store.url));
    store.add(0..100);
    store.akin_by(&between, &["copy", "notes", &place]).succeeded();
    let sent = between.take("PUT", &store.prefix);
    assert_eq!(sent.len(), 1 + store.files("notes").len());
    let ask = |between: &Between| {
        store.akin_by(between, &["query", &place, "a painter of bridges", "--json"]).succeeded().stdout
    };
    let first = ask(&between);
    assert_eq!(between.take("GET", "/segments/").len(), store.files("notes").len());
    assert_eq!(first, ask(&between));
    assert_eq!(between.take("GET", "").len(), 1, "the manifest alone is asked for");
    store.akin(&["delete", "notes", ids(&serde_json::from_str(&first).unwrap())[0]]).succeeded();
    store.add(100..130);
    let before = store.files("notes");
    let done = store.akin_by(&between, &["copy", "notes", &place, "--json"]).succeeded().json();
    let sent = between.take("PUT", "/segments/");
    assert_eq!((sent.len(), &done["sent"]), (2, &2.into()), "the tombstones and the new segment: {sent:?}");
    let second = ask(&between);
    assert_eq!(second, store.ask("notes"));
    assert_ne!(second, first);
    let fetched = between.take("GET", "/segments/");
    assert_eq!(fetched.len(), 2, "each once, and only what is new: {fetched:?}");
    // Everything is one segment then.
    store.akin(&["compact", "notes"]).succeeded();
    let done = store.back_up();
    assert_eq!((&done["files"], &done["removed"]), (&1.into(), &before.len().into()));
    assert_eq!(ask(&between), store.ask("notes"));
    let homes: Vec<_> = fs::read_dir(store.workplace.path("cache/akin/buckets")).unwrap().flatten().collect();
    let kept = homes.iter().flat_map(|home| fs::read_dir(home.path().join("notes/segments")).unwrap());
    assert_eq!((homes.len(), kept.count()), (1, 1), "what no commit names is not kept");
}

#[test]
fn a_copy_that_is_killed_leaves_what_was_there_and_goes_on() {
    let Some(store) = Store::new("killed") else { return };
    let place = store.place();
    store.add(0..40);
    store.back_up();
    let before = store.ask(&place);
    for at in 1..7 {
        store.add(40 * at..40 * at + 40);
    }
    let kill_at = |method: &'static str, arguments: &[&str]| {
        let (held, seen) = (mpsc::sync_channel(9), AtomicUsize::new(0));
        let (tell, heard) = held;
        let between = Between::start(&store.url, move |request| {
            let is_it = request.starts_with(method) && request.contains("/segments/");
            if is_it && seen.fetch_add(1, Ordering::Relaxed) == 2 {
                tell.send(()).unwrap();
                return Verdict::Hold;
            }
            Verdict::Pass
        });
        let mut command = store.command(&between.url, arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        heard.recv().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    };
    kill_at("PUT", &["copy", "notes", &place]);
    assert_eq!(store.ask(&place), before, "the commit before is still the published one");
    let done = store.back_up();
    let (files, sent) = (done["files"].as_u64().unwrap(), done["sent"].as_u64().unwrap());
    assert!(sent < files - 1 && sent > 0, "{sent} of {files} were left");
    assert_eq!(store.ask(&place), store.ask("notes"));
    kill_at("GET", &["copy", &place, "restored"]);
    assert!(store.akin(&["stat", "restored"]).refused().contains("its creation was interrupted"));
    store.akin(&["copy", &place, "restored"]).succeeded();
    assert_eq!(store.ask("restored"), store.ask("notes"));
    assert_eq!(store.files("restored"), store.files("notes"));
}

#[test]
fn a_flipped_byte_of_an_object_is_found_before_it_is_used() {
    let Some(store) = Store::new("flipped") else { return };
    let place = store.place();
    store.add(0..60);
    store.back_up();
    store.ask(&place);
    let file = store.files("notes").remove(0);
    let name = format!("segments/{file}");
    let whole = store.send("GET", &name, b"");
    assert_eq!(whole, fs::read(store.workplace.path("notes").join(&name)).unwrap());
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        store.send("PUT", &name, &bytes);
    };
    flipped(100);
    assert!(
        store.akin(&["query", &place, "bridges"]).succeeded().stdout.contains("bridge"),
        "the copy is whole"
    );
    let checked = |run: Run| {
        let sentence = run.refused();
        assert!(sentence.contains("is damaged") && sentence.contains(&file), "{sentence}");
        assert!(sentence.contains(&place) && sentence.contains("remove that object"), "{sentence}");
    };
    checked(store.akin(&["verify", &place]));
    assert!(store.akin(&["query", &place, "bridges"]).succeeded().stdout.contains("bridge"), "and stays so");
    checked(store.akin(&["copy", &place, "restored"]));
    fs::remove_dir_all(store.workplace.path("cache")).unwrap();
    checked(store.akin(&["query", &place, "bridges"]));
    store.send("PUT", &name, &whole[..whole.len() - 1]);
    checked(store.akin(&["query", &place, "bridges"]));
    store.send("DELETE", &name, b"");
    checked(store.akin(&["query", &place, "bridges"]));
    assert_eq!(store.back_up()["sent"], 1);
    store.akin(&["verify", &place]).succeeded();
    let manifest = store.send("GET", "manifest", b"");
    store.send("PUT", "manifest", &[&manifest[..30], &[manifest[30] ^ 1], &manifest[31..]].concat());
    let sentence = store.akin(&["query", &place, "bridges"]).refused();
    assert!(sentence.contains("manifest") && sentence.contains("checksum"), "{sentence}");
}

#[test]
fn what_an_object_store_refuses_is_one_sentence_that_says_what_to_do() {
    let Some(store) = Store::new("refused") else { return };
    let place = store.place();
    store.add(0..20);
    let elsewhere = format!("s3://akin-nowhere/{}", store.prefix);
    for (arguments, said) in [
        (&["query", &place, "x"][..], ["there is no index at", "`akin copy FOLDER s3://BUCKET/PREFIX`"]),
        (&["copy", &place, "new"], ["there is no index at", "`akin copy FOLDER s3://BUCKET/PREFIX`"]),
        (&["copy", "notes", &elsewhere], ["has no bucket akin-nowhere", "name another"]),
        (&["copy", "nothing", &place], ["nothing is not an Akin index", "`akin index` makes one"]),
        (
            &["copy", "postgres://a:hidden@127.0.0.1:9/d/t", &place],
            ["copy it to a folder first", "postgres://a"],
        ),
        (&["query", "s3://akin-tests", "x"], ["names no place in a bucket", "s3://BUCKET/PREFIX"]),
        (&["index", &place, "0.txt"], ["nothing is changed in place", "`akin copy"]),
        (&["delete", &place, "0.txt:1"], ["nothing is changed in place", "`akin copy"]),
        (&["compact", &place], ["nothing is changed in place", "`akin copy"]),
        (&["serve", &place, "--writable"], ["nothing is changed in place", "`akin copy"]),
        (&["adopt", "notes", &place], ["nothing is changed in place", "`akin copy"]),
    ] {
        let sentence = store.akin(arguments).refused();
        assert!(said.iter().all(|said| sentence.contains(said)), "{sentence}");
        assert!(!sentence.contains("hidden") && !sentence.contains("a secret"), "{sentence}");
    }
    assert!(!store.workplace.path("new").exists() && !store.workplace.path("s3:").exists());
    const DENIED: &str = "<?xml version=\"1.0\"?><Error><Code>InvalidAccessKeyId</Code><Message>No such key.</Message></Error>";
    let strict = Between::start(&store.url, |_| Verdict::Answer(403, DENIED));
    let sentence = store.akin_by(&strict, &["copy", "notes", &place]).refused();
    assert!(sentence.contains("InvalidAccessKeyId: No such key.: AWS_ACCESS_KEY_ID"), "{sentence}");
    assert_eq!(strict.take("", "").len(), 1, "it is not asked again");
    let mut nobody = store.command(&store.url, &["query", &place, "x"]);
    nobody.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let sentence = Run::of(nobody.env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")).refused();
    assert!(sentence.contains("there are no credentials for") && sentence.contains("set AWS_"), "{sentence}");
    let mut plain = store.command("http://store.example:9000", &["query", &place, "x"]);
    let sentence = Run::of(&mut plain).refused();
    assert!(sentence.contains("begins with http://") && sentence.contains("AWS_ALLOW_HTTP"), "{sentence}");
    let sentence = Run::of(&mut store.command("no url", &["query", &place, "x"])).refused();
    assert!(sentence.contains("is no URL") && sentence.contains("AWS_ENDPOINT_URL"), "{sentence}");
}

#[test]
fn a_store_that_encrypts_is_asked_where_its_certificate_is_trusted() {
    let Some(store) = Store::new("encrypted") else { return };
    let folder = store.workplace.path("certificates");
    fs::create_dir(&folder).unwrap();
    let ((certificate, key), (other, _)) = (certify(&folder, "store"), certify(&folder, "other"));
    let Some(server) = encrypted_s3(&certificate, &key) else { return };
    store.add(0..40);
    let place = store.place();
    let trusting = |trusted: &Path, arguments: &[&str]| {
        let mut command = store.command(server.place(), arguments);
        Run::of(command.env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR"))
    };
    trusting(&certificate, &["copy", "notes", &place]).succeeded();
    let asked = ["query", &place, "a painter of bridges", "--json"];
    assert_eq!(trusting(&certificate, &asked).succeeded().stdout, store.ask("notes"));
    trusting(&certificate, &["copy", &place, "again"]).succeeded();
    assert_eq!(store.files("again"), store.files("notes"));
    fs::remove_dir_all(store.workplace.path("cache")).unwrap();
    let sentence = trusting(&other, &asked).refused();
    assert!(sentence.contains("certificate") && sentence.contains("https://localhost"), "{sentence}");
}

#[test]
fn a_store_that_is_away_is_asked_again_a_few_times_and_each_is_told() {
    let Some(store) = Store::new("away") else { return };
    let place = store.place();
    store.add(0..20);
    let left = AtomicUsize::new(2);
    let tired = Between::start(&store.url, move |_| {
        let left = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() { Verdict::Answer(503, "<Code>SlowDown</Code>") } else { Verdict::Pass }
    });
    let run = store.akin_by(&tired, &["copy", "notes", &place]).succeeded();
    assert!(retries(&run) == 2 && run.stderr.contains("503"), "{run:?}");
    assert_eq!(store.ask(&place), store.ask("notes"));
    let away = Run::of(&mut store.command("http://127.0.0.1:9", &["query", &place, "x"]));
    assert_eq!((away.code, retries(&away)), (Some(2), 4));
    let sentence = away.stderr.lines().last().unwrap();
    assert!(
        sentence.contains("no answer from the object store at http://127.0.0.1:9 (tries: 5)"),
        "{sentence}"
    );
    assert!(sentence.contains("AWS_ENDPOINT_URL"), "{sentence}");
}

#[test]
fn of_two_copies_at_a_time_the_second_to_publish_changes_nothing() {
    let Some(store) = Store::new("both") else { return };
    let store = Arc::new(store);
    let place = store.place();
    store.add(0..30);
    for round in 0..2 {
        // The first round has nothing to replace, the second a manifest.
        store.add(100 * round + 30..100 * round + 60);
        let (other, is_first) = (Arc::clone(&store), AtomicUsize::new(0));
        let between = Between::start(&store.url, move |request| {
            let publishes = request.starts_with("PUT") && request.ends_with("/manifest");
            if publishes && is_first.fetch_add(1, Ordering::Relaxed) == 0 {
                other.add(100 * round + 60..100 * round + 80);
                other.back_up();
            }
            Verdict::Pass
        });
        let sentence = store.akin_by(&between, &["copy", "notes", &place]).refused();
        assert!(
            sentence.contains("another copy to") && sentence.contains("run the same command again"),
            "{sentence}"
        );
        assert_eq!(store.ask(&place), store.ask("notes"), "that of the other is whole");
        store.akin(&["verify", &place]).succeeded();
        assert_eq!(store.back_up()["sent"], 0);
    }
}

#[test]
fn neither_another_index_nor_a_newer_commit_is_replaced() {
    let Some(store) = Store::new("other") else { return };
    let (workplace, place) = (&store.workplace, store.place());
    store.add(0..30);
    store.back_up();
    store.akin(&["index", "others", "0.txt", "--quiet"]).succeeded();
    let sentence = store.akin(&["copy", "others", &place]).refused();
    assert!(sentence.contains("has another index, of 30 documents: name another PREFIX"), "{sentence}");
    store.akin(&["copy", &place, "older"]).succeeded();
    store.add(30..50);
    store.back_up();
    let sentence = store.akin(&["copy", "older", &place]).refused();
    assert!(sentence.contains("has a newer commit of this index"), "{sentence}");
    workplace.write("apart.txt", sentences(90)[60..].join("\n"));
    for _ in 0..4 {
        // More commits than the other has, but not after its.
        store.akin(&["index", "older", "apart.txt", "--quiet"]).succeeded();
        store.akin(&["delete", "older", "apart.txt:1"]).succeeded();
    }
    let sentence = store.akin(&["copy", "older", &place]).refused();
    assert!(sentence.contains("has a copy of this index that was changed apart from it"), "{sentence}");
    assert_eq!(store.ask(&place), store.ask("notes"));
    let sentence = store.akin(&["copy", &place, "0.txt"]).refused();
    assert!(sentence.contains("0.txt is not an Akin index: it is a file"), "{sentence}");
}

#[test]
fn a_large_file_goes_in_parts_and_several_processes_fetch_it_once() {
    let Some(store) = Store::new("large") else { return };
    let (workplace, place) = (&store.workplace, store.place());
    let mut index = Index::open_or_create(&workplace.path("notes"), &ModelIdentity::unknown(512)).unwrap();
    let mut random = Random::new(7);
    let documents: Vec<Document> =
        (0..9000).map(|id| Document { id: format!("d{id}"), ..Document::default() }).collect();
    let values = (0..9000 * 512).map(|_| random.below(1000) as f32 - 500.0).collect();
    index.upsert(&documents, &Embeddings::from_values(512, values)).unwrap();
    drop(index);
    let between = Between::noting(&store.url);
    store.akin_by(&between, &["copy", "notes", &place]).succeeded();
    let parts = between.take("PUT", "partNumber=");
    assert_eq!(parts.len(), 3, "18 MB of vectors in parts of 8 MiB: {parts:?}");
    let verified = store.akin(&["verify", "notes"]).succeeded().stdout;
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut command = store.command(&between.url, &["stat", &place, "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let run = Run::from(child.wait_with_output().unwrap()).succeeded();
        assert_eq!(run.json()["documents"], 9000);
    }
    assert_eq!(between.take("GET", "/segments/").len(), 3, "three parts, each once");
    assert_eq!(store.akin(&["verify", &place]).succeeded().stdout, verified);
}

#[test]
fn an_index_in_a_bucket_is_served_for_reading() {
    let Some(store) = Store::new("served") else { return };
    let place = store.place();
    store.add(0..40);
    store.back_up();
    let server = Server::of(&mut store.command(&store.url, &["serve", "--listen", "127.0.0.1:0", &place]));
    let text = &sentences(40)[3];
    let line = store.akin(&["query", "notes", text, "--json"]).succeeded().stdout;
    assert_eq!(server.post("/v1/indexes/notes/query", &json!({ "text": text })), (200, line));
    let write = json!({ "documents": [{ "id": "new", "text": "zebras" }] });
    assert_eq!(server.post("/v1/indexes/notes/documents", &write).0, 403);
    server.stop("-TERM");
}

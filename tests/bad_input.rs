//! Everything that can be wrong with what a user gives: one clear sentence, exit 2, and the index as
//! it was.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use akin_fixtures::files::{files_below, fixture};
use akin_fixtures::models::ModelCopy;
use common::{AKIN, Run, Workplace, ids, real_model, sentences};
use serde_json::Value;

/// An index of twenty sentences, and what it says of itself and to a question.
struct Standing {
    workplace: Workplace,
    figures: Value,
    answer: String,
}

impl Standing {
    fn new() -> Self {
        let workplace = Workplace::new();
        workplace.write("notes.txt", sentences(20).join("\n"));
        workplace.akin(&["index", "notes", "notes.txt"]).succeeded();
        let figures = workplace.figures("notes");
        let answer = Self::ask(&workplace);
        Self { workplace, figures, answer }
    }

    fn ask(workplace: &Workplace) -> String {
        workplace.akin(&["query", "notes", "the baker repairs a clock", "--json"]).succeeded().stdout
    }

    #[track_caller]
    fn is_as_it_was(&self) {
        assert_eq!(self.workplace.figures("notes"), self.figures);
        assert_eq!(Self::ask(&self.workplace), self.answer);
        self.workplace.akin(&["verify", "notes"]).succeeded();
    }

    /// `akin index` with these arguments is refused, leaves the index as it was, and makes no new one.
    #[track_caller]
    fn refuses(&self, corpus_and_options: &[&str]) -> String {
        let sentence = self.workplace.akin(&[&["index", "notes"], corpus_and_options].concat()).refused();
        self.is_as_it_was();
        let again = self.workplace.akin(&[&["index", "new"], corpus_and_options].concat()).refused();
        assert_eq!(again, sentence);
        assert!(!self.workplace.path("new").exists(), "an index was left behind");
        sentence
    }
}

#[track_caller]
fn names(sentence: &str, parts: &[&str]) {
    for part in parts {
        assert!(sentence.contains(part), "no {part:?} in {sentence:?}");
    }
}

#[test]
fn an_empty_corpus_is_refused() {
    let standing = Standing::new();
    standing.workplace.write("empty.txt", "");
    names(&standing.refuses(&["empty.txt"]), &["empty.txt"]);
    standing.workplace.write("blank.txt", "\n  \n\n");
    names(&standing.refuses(&["blank.txt"]), &["blank.txt"]);
    standing.workplace.write("header.csv", "id,text\n");
    names(&standing.refuses(&["header.csv"]), &["header.csv"]);
    standing.workplace.akin(&["index", "notes", "-"]).refused();
    standing.is_as_it_was();
    standing.workplace.akin(&["index", "new", "-"]).refused();
}

#[test]
fn a_missing_file_is_refused() {
    let standing = Standing::new();
    names(&standing.refuses(&["no-such-file.txt"]), &["no-such-file.txt"]);
    names(&standing.refuses(&["notes.txt", "no-such-file.txt"]), &["no-such-file.txt"]);
    names(&standing.workplace.akin(&["batch", "notes", "no-such-file.txt"]).refused(), &["no-such-file.txt"]);
    names(&standing.workplace.akin(&["eval", "sts", "no-such-file.tsv"]).refused(), &["no-such-file.tsv"]);
}

#[test]
fn a_directory_is_refused_where_it_can_be_no_corpus() {
    let standing = Standing::new();
    fs::create_dir(standing.workplace.path("folder")).unwrap();
    names(&standing.refuses(&["folder"]), &["folder", "no document"]);
    names(&standing.refuses(&["folder", "--format", "csv"]), &["folder", "directory"]);
    names(&standing.workplace.akin(&["batch", "notes", "folder"]).refused(), &["folder", "directory"]);
}

#[test]
fn invalid_utf8_is_refused_with_its_line() {
    let standing = Standing::new();
    standing.workplace.write("bad.txt", b"good\nalso good\ncaf\xe9\nfine\n");
    names(&standing.refuses(&["bad.txt"]), &["bad.txt:3", "UTF-8", "--encoding windows-1252"]);
    standing
        .workplace
        .write("bad.jsonl", b"{\"id\":\"a\",\"text\":\"b\"}\n{\"id\":\"c\",\"text\":\"\xff\"}\n");
    names(&standing.refuses(&["bad.jsonl"]), &["bad.jsonl:2"]);
    standing.workplace.write("bad.tsv", b"id\ttext\na\tgood\nb\tb\xe9d\n");
    names(&standing.refuses(&["bad.tsv"]), &["bad.tsv:3"]);
}

#[test]
fn a_malformed_json_line_is_refused_with_its_line() {
    let standing = Standing::new();
    standing.workplace.write("bad.jsonl", "{\"id\":\"a\",\"text\":\"b\"}\n{\"id\":\"c\",\"text\":\n");
    names(&standing.refuses(&["bad.jsonl"]), &["bad.jsonl:2"]);
    standing.workplace.write("list.jsonl", "[1,2]\n");
    names(&standing.refuses(&["list.jsonl"]), &["list.jsonl:1"]);
}

#[test]
fn a_missing_field_is_refused_by_name_and_line() {
    let standing = Standing::new();
    standing.workplace.write("bad.jsonl", "{\"id\":\"a\",\"text\":\"b\"}\n{\"id\":\"c\",\"body\":\"d\"}\n");
    names(&standing.refuses(&["bad.jsonl"]), &["bad.jsonl:2", "text"]);
    standing.workplace.write("bad.csv", "id,body\na,b\n");
    names(&standing.refuses(&["bad.csv"]), &["bad.csv:1", "text", "id, body", "--text-field"]);
    names(&standing.refuses(&["bad.jsonl", "--id-field", "doi"]), &["bad.jsonl:1", "doi", "--id-field"]);
}

#[test]
fn of_duplicate_ids_the_last_wins_and_it_is_reported() {
    let workplace = Workplace::new();
    workplace.write("twice.tsv", "id\ttext\na\tthe first\nb\tanother\na\tthe last\n");
    let run = workplace.akin(&["index", "notes", "twice.tsv"]).succeeded();
    assert!(run.stderr.contains("duplicate"), "{run:#?}");
    assert_eq!(workplace.figures("notes")["documents"], 2);
    let answer = workplace.akin(&["query", "notes", "the last", "--json"]).succeeded().json();
    assert_eq!(answer["hits"][0]["text"], "the last");
    assert!(!answer.to_string().contains("the first"), "{answer}");
    let again = workplace.akin(&["index", "notes", "twice.tsv", "--json"]).succeeded().json();
    assert_eq!(workplace.figures("notes")["documents"], 2);
    assert_eq!(again["duplicates"], 1);
}

#[test]
fn a_line_of_50_megabytes_is_refused_with_its_line() {
    let standing = Standing::new();
    let mut content = b"short\n".to_vec();
    content.extend(b"word ".repeat(10 << 20));
    standing.workplace.write("long.txt", content);
    names(&standing.refuses(&["long.txt"]), &["long.txt:2"]);
}

#[test]
fn nul_bytes_are_refused_with_their_line() {
    let standing = Standing::new();
    standing.workplace.write("nul.txt", b"fine\nnot\0fine\n");
    names(&standing.refuses(&["nul.txt"]), &["nul.txt:2", "NUL"]);
}

#[test]
fn an_index_path_that_is_something_else_is_refused_and_kept() {
    let workplace = Workplace::new();
    workplace.write("notes.txt", "a note");
    workplace.write("file", "precious");
    fs::create_dir(workplace.path("folder")).unwrap();
    workplace.write("folder/photo", "precious too");
    for path in ["file", "folder"] {
        for command in
            [&["index", path, "notes.txt"][..], &["query", path, "x"], &["stat", path], &["verify", path]]
        {
            names(&workplace.akin(command).refused(), &[path, "not an Akin index"]);
        }
        names(&workplace.akin(&["delete", path, "x"]).refused(), &[path]);
    }
    assert_eq!(workplace.read("file"), "precious");
    assert_eq!(fs::read_dir(workplace.path("folder")).unwrap().count(), 1);
    assert_eq!(workplace.read("folder/photo"), "precious too");
}

#[test]
fn an_index_that_is_not_there_is_refused_and_not_made() {
    let workplace = Workplace::new();
    for command in [
        &["query", "nowhere", "x"][..],
        &["stat", "nowhere"],
        &["verify", "nowhere"],
        &["delete", "nowhere", "x"],
    ] {
        names(&workplace.akin(command).refused(), &["nowhere", "akin index"]);
        assert!(!workplace.path("nowhere").exists());
    }
}

#[test]
fn an_index_of_a_newer_format_is_refused() {
    let standing = Standing::new();
    let manifest = standing.workplace.path("notes/manifest");
    let known = fs::read(&manifest).unwrap();
    let mut newer = known.clone();
    // The version follows eight bytes that name the file.
    newer[8..12].copy_from_slice(&99u32.to_le_bytes());
    fs::write(&manifest, newer).unwrap();
    for command in [
        &["query", "notes", "x"][..],
        &["index", "notes", "notes.txt"],
        &["stat", "notes"],
        &["verify", "notes"],
    ] {
        names(&standing.workplace.akin(command).refused(), &["notes", "format 99", "newer akin"]);
    }
    fs::write(&manifest, known).unwrap();
    standing.is_as_it_was();
}

#[test]
fn an_index_of_format_3_is_refused_with_the_command_that_upgrades_it_and_that_does() {
    let workplace = Workplace::new();
    let packed = fixture("format-3/index");
    for file in files_below(&packed) {
        let name = file.strip_prefix(&packed).unwrap().with_extension("");
        let target = workplace.path("old").join(name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, zstd::decode_all(fs::File::open(&file).unwrap()).unwrap()).unwrap();
    }
    for command in [&["query", "old", "x"][..], &["stat", "old"], &["delete", "old", "x"]] {
        names(&workplace.akin(command).refused(), &["old", "format 3", "akin compact"]);
    }
    workplace.akin(&["compact", "old"]).succeeded();
    workplace.akin(&["verify", "old"]).succeeded();
    let exported = workplace.akin(&["export", "old", "--documents", "-"]).succeeded().stdout;
    let expected = fs::read_to_string(fixture("format-3/expected.jsonl")).unwrap();
    assert_eq!(exported, expected);
    assert!(!workplace.path("old/store").exists() && !workplace.path("old/akin-index").exists());
}

#[test]
fn an_index_built_with_another_model_is_refused() {
    let standing = Standing::new();
    let model = real_model();
    let model = model.to_str().unwrap();
    standing.workplace.write("more.txt", "one more");
    let workplace = &standing.workplace;
    names(&workplace.akin(&["index", "notes", "more.txt", "--model", model]).refused(), &["notes", "model"]);
    names(&workplace.akin(&["query", "notes", "x", "--model", model]).refused(), &["notes", "model"]);
    workplace.write("questions.txt", "x");
    names(&workplace.akin(&["batch", "notes", "questions.txt", "--model", model]).refused(), &["model"]);
    standing.is_as_it_was();
}

#[test]
fn an_index_that_another_process_changes_can_be_read_and_not_changed() {
    let standing = Standing::new();
    let workplace = &standing.workplace;
    // The lock of a writer, as another process holds it.
    let lock = fs::File::options().write(true).open(workplace.path("notes/writer.lock")).unwrap();
    lock.lock().unwrap();
    for command in [&["index", "notes", "notes.txt"][..], &["delete", "notes", "x"], &["compact", "notes"]] {
        names(&workplace.akin(command).refused(), &["notes", "another process"]);
    }
    for command in [&["query", "notes", "x"][..], &["stat", "notes"], &["verify", "notes"]] {
        workplace.akin(command).succeeded();
    }
    drop(lock);
    standing.is_as_it_was();
}

#[test]
fn a_session_sees_what_another_process_commits() {
    let standing = Standing::new();
    let workplace = &standing.workplace;
    let mut session = workplace
        .command(&["query", "notes", "--json", "-k", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = session.stdin.take().unwrap();
    let mut answers = BufReader::new(session.stdout.take().unwrap());
    let mut ask = |query: &str| {
        writeln!(stdin, "{query}").unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["hits"][0]["text"].as_str().unwrap().to_owned()
    };
    let new = "a sentence that nobody wrote before";
    assert_ne!(ask(new), new);
    workplace.write("more.txt", new);
    workplace.akin(&["index", "notes", "more.txt"]).succeeded();
    assert_eq!(ask(new), new);
    workplace.akin(&["delete", "notes", "more.txt:1"]).succeeded();
    assert_ne!(ask(new), new);
    drop(stdin);
    assert!(session.wait().unwrap().success());
}

#[test]
fn a_model_that_is_not_there_is_refused() {
    let standing = Standing::new();
    let workplace = &standing.workplace;
    for command in
        ["index new notes.txt", "index notes notes.txt", "query notes x", "encode notes.txt --output x.npy"]
    {
        let mut child = workplace.command(&command.split(' ').collect::<Vec<_>>());
        // With no network to try and no cache to look in.
        child.env("HF_HUB_OFFLINE", "1").env("HF_HOME", workplace.path("cache"));
        let sentence = Run::of(child.args(["--model", "nobody/no-such-model"])).refused();
        names(&sentence, &["nobody/no-such-model"]);
    }
    assert!(!workplace.path("new").exists());
    assert!(!workplace.path("x.npy").exists());
    standing.is_as_it_was();
}

/// Every command that loads a model refuses one with a file spoilt like this, naming the file.
#[track_caller]
fn refuses_model(file: &str, spoil: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
    let standing = Standing::new();
    let workplace = &standing.workplace;
    let model = ModelCopy::tiny("bert").rewritten(file, |bytes| *bytes = spoil(std::mem::take(bytes)));
    let model = model.path().to_str().unwrap();
    let sentence = standing.refuses(&["notes.txt", "--model", model]);
    names(&sentence, &[file]);
    workplace.akin(&["query", "notes", "x", "--model", model]).refused();
    workplace.akin(&["encode", "notes.txt", "--output", "x.npy", "--model", model]).refused();
    assert!(!workplace.path("x.npy").exists());
    standing.is_as_it_was();
    sentence
}

#[test]
fn truncated_weights_are_refused() {
    refuses_model("model.safetensors", |bytes| bytes[..bytes.len() / 2].to_vec());
    refuses_model("model.safetensors", |bytes| bytes[..100].to_vec());
    refuses_model("model.safetensors", |_| Vec::new());
}

#[test]
fn corrupt_weights_are_refused() {
    refuses_model("model.safetensors", |mut bytes| {
        bytes[..8].fill(0xff);
        bytes
    });
    refuses_model("model.safetensors", |mut bytes| {
        bytes[9..40].fill(b'?');
        bytes
    });
}

#[test]
fn a_tokenizer_that_does_not_fit_the_model_is_refused() {
    refuses_model("tokenizer.json", |bytes| {
        let mut tokenizer: Value = serde_json::from_slice(&bytes).unwrap();
        tokenizer["model"]["vocab"]["zyzzyva"] = 999_999.into();
        serde_json::to_vec(&tokenizer).unwrap()
    });
    refuses_model("tokenizer.json", |_| b"{}".to_vec());
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    let standing = Standing::new();
    let workplace = &standing.workplace;
    // A bias of the last layer norm: every output passes it.
    let model = ModelCopy::tiny("bert").with_tensors("f32", |tensors| {
        let last = tensors.iter_mut().rfind(|(name, _)| name.ends_with("output.LayerNorm.bias"));
        last.expect("a BERT has layer norms").1.1[0] = f32::NAN;
    });
    let model = model.path().to_str().unwrap();
    names(&standing.refuses(&["notes.txt", "--model", model]), &["model"]);
    workplace.akin(&["encode", "notes.txt", "--output", "x.npy", "--model", model]).refused();
    assert!(!workplace.path("x.npy").exists());
}

#[test]
fn a_full_disk_is_reported_and_the_index_stays_as_it_was() {
    let standing = Standing::new();
    let workplace = &standing.workplace;
    let more: String = (0..4000).map(|n| format!("{n} {}\n", sentences(40).join(" "))).collect();
    workplace.write("more.txt", more);
    // Writes past the limit fail as on a full disk, instead of ending the process.
    let with_little_room = |arguments: &[&str], kilobytes: u64| {
        let mut command = Command::new("bash");
        workplace.settle(&mut command);
        let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
        Run::of(command.args(["-c", &script, AKIN]).args(arguments))
    };
    let largest = files_below(&workplace.path("notes"))
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .max()
        .unwrap();
    let sentence = with_little_room(&["index", "notes", "more.txt"], largest.div_ceil(1024) + 64).refused();
    names(&sentence, &["cannot write", "notes"]);
    workplace.akin(&["verify", "notes"]).succeeded();
    let answer =
        workplace.akin(&["query", "notes", &sentences(20)[7], "--exact", "--json"]).succeeded().json();
    assert_eq!(ids(&answer)[0], "notes.txt:8");

    // With room again, the same command goes on.
    workplace.akin(&["index", "notes", "more.txt"]).succeeded();
    assert_eq!(workplace.figures("notes")["documents"], 4020);
    workplace.akin(&["verify", "notes"]).succeeded();

    let sentence = with_little_room(&["encode", "more.txt", "--output", "more.npy"], 64).refused();
    names(&sentence, &["cannot write", "more.npy"]);
    workplace.write("questions.txt", sentences(2000).join("\n"));
    let batch = ["batch", "notes", "questions.txt", "--output", "hits.jsonl"];
    names(&with_little_room(&batch, largest.div_ceil(1024) + 64).refused(), &["cannot write"]);
    assert!(!workplace.path("more.npy").exists() && !workplace.path("hits.jsonl").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn without_permission_to_write_nothing_changes() {
    use std::os::unix::fs::PermissionsExt;

    let standing = Standing::new();
    let workplace = &standing.workplace;
    // Nobody may make folders here, root neither.
    let sentence = workplace.akin(&["index", "/sys/akin-index", "notes.txt"]).refused();
    names(&sentence, &["/sys/akin-index"]);
    let sentence = workplace.akin(&["encode", "notes.txt", "--output", "/sys/notes.npy"]).refused();
    names(&sentence, &["cannot write /sys/notes.npy"]);

    workplace.write("more.txt", "one more");
    let set_modes = |folder: u32, file: u32| {
        let index = workplace.path("notes");
        for path in files_below(&index) {
            fs::set_permissions(path, fs::Permissions::from_mode(file)).unwrap();
        }
        for path in [index.join("segments"), index.join("catalogue"), index] {
            fs::set_permissions(path, fs::Permissions::from_mode(folder)).unwrap();
        }
    };
    set_modes(0o555, 0o444);
    let run = if fs::write(workplace.path("notes/probe"), "").is_ok() {
        // Root passes over permissions until that power is taken away.
        fs::remove_file(workplace.path("notes/probe")).unwrap();
        let mut command = Command::new("setpriv");
        workplace.settle(&mut command).args(["--bounding-set", "-dac_override,-dac_read_search", AKIN]);
        Run::of(command.args(["index", "notes", "more.txt"]))
    } else {
        workplace.akin(&["index", "notes", "more.txt"])
    };
    set_modes(0o755, 0o644);
    names(&run.refused(), &["notes", "ermission"]);
    standing.is_as_it_was();
}

#[test]
fn a_blank_query_is_refused() {
    let standing = Standing::new();
    names(&standing.workplace.akin(&["query", "notes", "  "]).refused(), &["blank"]);
}

#[test]
fn pairs_that_are_not_scored_are_refused_with_their_line() {
    let workplace = Workplace::new();
    workplace.write("bad.tsv", "score\tsentence1\tsentence2\n3\ta\tb\nmany\ta\tb\n");
    names(&workplace.akin(&["eval", "sts", "bad.tsv"]).refused(), &["bad.tsv:3", "many"]);
    workplace.write("one.tsv", "score\tsentence1\tsentence2\n3\ta\tb\n");
    names(&workplace.akin(&["eval", "sts", "one.tsv"]).refused(), &["one.tsv", "two pairs"]);
    workplace.write("twice.tsv", "score\tscore\tsentence1\tsentence2\n3\t1\ta\tb\n");
    names(&workplace.akin(&["eval", "sts", "twice.tsv"]).refused(), &["twice.tsv:1", "score twice"]);
}

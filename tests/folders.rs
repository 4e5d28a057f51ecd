//! A folder as a corpus: a file is a document, and the index follows what happens to it.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use common::{Workplace, json_lines};
use serde_json::{Value, json};

/// A workplace with the folder `docs` of these files.
fn with_folder(files: &[(&str, &str)]) -> Workplace {
    let workplace = Workplace::new();
    files.iter().for_each(|(name, text)| write(&workplace, &format!("docs/{name}"), text));
    workplace
}

fn write(workplace: &Workplace, name: &str, text: &str) {
    fs::create_dir_all(workplace.path(name).parent().unwrap()).unwrap();
    workplace.write(name, text);
}

/// The report of indexing a corpus.
fn index(workplace: &Workplace, arguments: &[&str]) -> Value {
    workplace.akin(&[&["index", "ix", "--json"], arguments].concat()).succeeded().json()
}

/// The ids in the index.
fn all_ids(workplace: &Workplace) -> BTreeSet<String> {
    let run = workplace.akin(&["export", "ix", "--documents", "-"]).succeeded();
    json_lines(&run.stdout).iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn a_file_is_a_document_named_by_its_path_in_the_folder_from_wherever_the_command_runs() {
    let workplace =
        with_folder(&[("cats.md", "# Cats\n\nThey purr.\n"), ("deep/dogs.txt", "Dogs bark.\nLoudly.\n")]);
    workplace.write("docs/photo.jpg", b"\xff\xd8\xff\xe0\0\0binary");
    let report = index(&workplace, &["docs"]);
    assert_eq!((&report["added"], &report["skipped"]), (&json!(2), &json!([])));
    assert_eq!(all_ids(&workplace), set(&["cats.md", "deep/dogs.txt"]));
    let answer =
        workplace.akin(&["query", "ix", "Dogs bark.\nLoudly.", "--json", "-k", "1"]).succeeded().json();
    assert_eq!(answer["hits"][0]["text"], "Dogs bark.\nLoudly.\n");
    let mut elsewhere = workplace.command(&["index", "../ix", ".", "--json"]);
    let report = common::Run::of(elsewhere.current_dir(workplace.path("docs"))).succeeded().json();
    assert_eq!(
        (&report["unchanged"], &report["added"], &report["removed"]),
        (&json!(2), &json!(0), &json!(0))
    );
}

#[test]
fn what_changed_is_read_again_and_what_vanished_is_removed() {
    let workplace = with_folder(&[("a.md", "one"), ("b.md", "two"), ("c.md", "three")]);
    index(&workplace, &["docs"]);
    workplace.write("docs/a.md", "another text");
    fs::remove_file(workplace.path("docs/b.md")).unwrap();
    let report = index(&workplace, &["docs"]);
    let figures = ["added", "replaced", "unchanged", "removed"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(figures, [0, 1, 1, 1]);
    assert_eq!(all_ids(&workplace), set(&["a.md", "c.md"]));
    // What the index lost otherwise comes again.
    workplace.akin(&["delete", "ix", "c.md"]).succeeded();
    assert_eq!(index(&workplace, &["docs"])["added"], 1);
    // A repair loses what is known of files, and no document.
    workplace.akin(&["repair", "ix"]).succeeded();
    assert_eq!(index(&workplace, &["docs"])["unchanged"], 2);
}

#[test]
fn a_file_or_folder_that_was_renamed_is_not_encoded_again() {
    let workplace = with_folder(&[("a.md", "the first text"), ("b.md", "the second text")]);
    index(&workplace, &["docs"]);
    fs::rename(workplace.path("docs/a.md"), workplace.path("docs/z.md")).unwrap();
    let report = index(&workplace, &["docs"]);
    let figures = ["added", "removed", "encoded"].map(|name| report[name].as_u64().unwrap());
    assert_eq!((figures, all_ids(&workplace)), ([1, 1, 0], set(&["b.md", "z.md"])));
    fs::rename(workplace.path("docs"), workplace.path("papers")).unwrap();
    let report = index(&workplace, &["papers"]);
    assert_eq!(
        (&report["unchanged"], &report["added"], &report["removed"]),
        (&json!(2), &json!(0), &json!(0))
    );
    assert_eq!(all_ids(&workplace), set(&["b.md", "z.md"]));
}

#[test]
fn files_of_one_name_in_two_folders_are_two_documents() {
    let workplace = with_folder(&[("notes.md", "of the first folder")]);
    write(&workplace, "more/notes.md", "of the second folder");
    index(&workplace, &["docs"]);
    assert_eq!(index(&workplace, &["more"])["added"], 1);
    assert_eq!(all_ids(&workplace), set(&["notes.md", "more/notes.md"]));
    assert_eq!(index(&workplace, &["docs", "more"])["unchanged"], 2);
    // The same for files of lines, each named from its own folder.
    for folder in ["x", "y"] {
        write(&workplace, &format!("{folder}/lines.txt"), folder);
        let mut there = workplace.command(&["index", "../ix", "lines.txt"]);
        common::Run::of(there.current_dir(workplace.path(folder))).succeeded();
    }
    let ids = all_ids(&workplace);
    assert!(ids.contains("lines.txt:1") && ids.contains("y/lines.txt:1"), "{ids:?}");
}

#[test]
fn another_folder_takes_nothing_from_one_that_is_out_of_reach() {
    let workplace = with_folder(&[("a.md", "one"), ("b.md", "two")]);
    index(&workplace, &["docs"]);
    fs::rename(workplace.path("docs"), workplace.path(".away")).unwrap();
    write(&workplace, "more/c.md", "three");
    assert_eq!(index(&workplace, &["more"])["removed"], 0);
    assert_eq!(all_ids(&workplace), set(&["a.md", "b.md", "more/c.md"]));
}

#[test]
fn a_line_that_a_file_no_longer_has_is_removed_and_the_others_are_not_encoded_again() {
    let workplace = Workplace::new();
    let lines: Vec<String> = (1..=50).map(|line| format!("document number {line}\n")).collect();
    workplace.write("n.txt", lines.concat());
    index(&workplace, &["n.txt"]);
    workplace
        .write("n.txt", [&lines[..9], &lines[10..40], &["\n".to_owned()], &lines[41..]].concat().concat());
    let report = index(&workplace, &["n.txt"]);
    assert_eq!(report["removed"], 2);
    assert!(report["encoded"].as_u64().unwrap() <= 2, "{report}");
    let ids = all_ids(&workplace);
    assert!(ids.len() == 48 && !ids.contains("n.txt:50") && !ids.contains("n.txt:40"), "{ids:?}");
}

#[test]
fn globs_and_ignore_files_choose_what_is_read() {
    let workplace = with_folder(&[
        ("a.md", "one"),
        ("b.txt", "two"),
        ("drafts/c.md", "three"),
        (".akinignore", "*.txt\n"),
    ]);
    index(&workplace, &["docs", "--exclude", "drafts"]);
    assert_eq!(all_ids(&workplace), set(&["a.md"]));
    index(&workplace, &["docs", "--include", "*.md"]);
    assert_eq!(all_ids(&workplace), set(&["a.md", "drafts/c.md"]));
    let refused = workplace.akin(&["index", "ix", "docs", "--include", "["]).refused();
    assert!(refused.contains("\"[\""), "{refused}");
}

#[test]
fn an_index_within_its_folder_is_no_document_of_it() {
    let workplace = with_folder(&[("a.md", "one")]);
    for added in [1, 0] {
        let mut inside = workplace.command(&["index", "ix", ".", "--json"]);
        let report = common::Run::of(inside.current_dir(workplace.path("docs"))).succeeded().json();
        assert_eq!((&report["added"], &report["read"]), (&json!(added), &json!(1)));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_skipped_and_named_and_ends_nothing() {
    let workplace = with_folder(&[("a.md", "one")]);
    workplace.write("docs/bad.md", b"caf\xe9 and \xff more");
    for _ in 0..2 {
        let report = index(&workplace, &["docs"]);
        assert_eq!(report["skipped"].as_array().unwrap().len(), 1);
        assert_eq!(report["skipped"][0]["file"], "bad.md");
        assert!(report["skipped"][0]["reason"].as_str().unwrap().contains("UTF-8"), "{report}");
    }
    let run = workplace.akin(&["index", "ix", "docs"]).succeeded();
    assert!(run.stderr.contains("1 file skipped") && run.stderr.contains("bad.md: not UTF-8"), "{run:#?}");
    assert!(run.stderr.contains("--encoding windows-1252"), "{run:#?}");
    assert_eq!(all_ids(&workplace), set(&["a.md"]));
    // In the encoding that it is in, it is read although it has not changed.
    let report = index(&workplace, &["docs", "--encoding", "windows-1252"]);
    assert_eq!((&report["added"], &report["skipped"]), (&json!(1), &json!([])));
    assert_eq!(all_ids(&workplace), set(&["a.md", "bad.md"]));
}

#[test]
fn sync_removes_what_a_file_of_records_no_longer_has_and_nothing_that_came_from_elsewhere() {
    let workplace = Workplace::new();
    let lines = |ids: &[&str]| -> String {
        ids.iter().map(|id| format!("{}\n", json!({"id": id, "text": format!("text of {id}")}))).collect()
    };
    workplace.write("a.jsonl", lines(&["1", "2", "3", "both"]));
    workplace.write("b.csv", "id,text\n4,four\nboth,of b\n");
    index(&workplace, &["a.jsonl", "b.csv"]);
    let piped = workplace.akin_reading(&["index", "ix", "-", "--format", "jsonl"], lines(&["5"]).as_bytes());
    piped.succeeded();

    // Without the option documents are only added or replaced.
    workplace.write("a.jsonl", lines(&["1", "3"]));
    assert_eq!(index(&workplace, &["a.jsonl"])["removed"], 0);
    assert_eq!(all_ids(&workplace), set(&["1", "2", "3", "4", "5", "both"]));
    // A file that cannot be read to its end removes nothing.
    workplace.write("a.jsonl", lines(&["1"]) + "{\n");
    workplace.akin(&["index", "ix", "a.jsonl", "--sync"]).refused();
    assert_eq!(all_ids(&workplace).len(), 6);
    // What is in both stays, for the other file has it.
    workplace.write("a.jsonl", lines(&["1", "6"]));
    let run = workplace.akin(&["index", "ix", "a.jsonl", "--sync"]).succeeded();
    assert!(run.stderr.contains("2 removed that are no longer there"), "{run:?}");
    assert_eq!(all_ids(&workplace), set(&["1", "4", "5", "6", "both"]));
    assert_eq!(index(&workplace, &["a.jsonl", "--sync"])["removed"], 0);
    // From one file to another.
    workplace.write("a.jsonl", lines(&["6"]));
    workplace.write("b.csv", "id,text\n1,one\n");
    assert_eq!(index(&workplace, &["a.jsonl", "b.csv", "--sync"])["removed"], 2);
    assert_eq!(all_ids(&workplace), set(&["1", "5", "6"]));

    let refused = workplace.akin_reading(&["index", "ix", "-", "--sync"], b"").refused();
    assert!(refused.contains("cannot be synced"), "{refused}");
}

/// A mail of a mailbox.
fn mail(number: usize, id: bool) -> String {
    let id = if id { format!("Message-ID: <{number}@b>\n") } else { String::new() };
    format!(
        "From a@b Fri Jul  8 12:08:3{number} 2011\nFrom: a@b\n{id}Subject: s{number}\n\nThe text of mail {number}.\n\n"
    )
}

fn figures(report: &Value) -> [u64; 4] {
    ["added", "replaced", "unchanged", "removed"].map(|name| report[name].as_u64().unwrap())
}

#[test]
fn a_mailbox_in_a_folder_is_a_document_a_mail_and_follows_what_happens_to_it() {
    let workplace =
        with_folder(&[("a.md", "A note."), ("mails/in.mbox", &(mail(1, true) + &mail(2, false)))]);
    assert_eq!(figures(&index(&workplace, &["docs"])), [3, 0, 0, 0]);
    assert_eq!(all_ids(&workplace), set(&["a.md", "mails/in.mbox:1", "mails/in.mbox:2"]));
    let filtered = ["query", "ix", "mail", "--filter", "message_id = '1@b'", "--json"];
    let answer = workplace.akin(&filtered).succeeded().json();
    assert_eq!(common::ids(&answer), ["mails/in.mbox:1"]);
    assert_eq!(figures(&index(&workplace, &["docs"])), [0, 0, 3, 0]);
    // A mail comes, and mails go.
    workplace.write("docs/mails/in.mbox", &(mail(1, true) + &mail(2, false) + &mail(3, true)));
    assert_eq!(figures(&index(&workplace, &["docs"])), [1, 0, 3, 0]);
    workplace.akin(&["delete", "ix", "mails/in.mbox:3"]).succeeded();
    workplace.write("docs/mails/in.mbox", mail(1, true));
    assert_eq!(figures(&index(&workplace, &["docs"])), [0, 0, 2, 1]);
    // Moved, it is encoded by nobody.
    fs::rename(workplace.path("docs/mails/in.mbox"), workplace.path("docs/all.mbox")).unwrap();
    let moved = index(&workplace, &["docs"]);
    assert_eq!((figures(&moved), &moved["encoded"]), ([1, 0, 1, 1], &json!(0)));
    // What the index lost comes again.
    workplace.akin(&["delete", "ix", "all.mbox:1"]).succeeded();
    assert_eq!(figures(&index(&workplace, &["docs"])), [1, 0, 1, 0]);
    workplace.write("docs/all.mbox", "");
    let emptied = index(&workplace, &["docs"]);
    assert_eq!((figures(&emptied)[3], &emptied["skipped"][0]["file"]), (1, &json!("all.mbox")));
    assert_eq!(all_ids(&workplace), set(&["a.md"]));
}

#[test]
fn json_lines_with_texts_are_records_in_a_folder_and_other_tables_are_documents() {
    let lines = "{\"id\":\"x\",\"text\":\"one\",\"n\":1}\n\n{\"text\":\"two\"}\n";
    let workplace = with_folder(&[
        ("part.jsonl", lines),
        ("log.jsonl", "{\"level\":\"info\",\"message\":\"begun\"}\n"),
        ("table.csv", "id,text\n1,one\n2,two\n"),
        ("bad.jsonl", "{\"text\":\"three\"}\n{\"text\":4}\n"),
    ]);
    let report = index(&workplace, &["docs"]);
    assert_eq!(all_ids(&workplace), set(&["part.jsonl:1", "part.jsonl:2", "log.jsonl", "table.csv"]));
    let skipped = report["skipped"].as_array().unwrap();
    assert_eq!((skipped.len(), &skipped[0]["file"]), (1, &json!("bad.jsonl")), "{report}");
    assert!(skipped[0]["reason"].as_str().unwrap().contains("bad.jsonl:2"), "{report}");
    let shown = workplace.akin(&["show", "ix", "part.jsonl:1", "--json"]).succeeded().json();
    assert_eq!((&shown["metadata"]["record_id"], &shown["metadata"]["n"]), (&json!("x"), &json!(1)));
    // From records to a text, and back.
    workplace.write("docs/part.jsonl", "no records\n");
    assert_eq!(figures(&index(&workplace, &["docs"])), [1, 0, 2, 2]);
    workplace.write("docs/part.jsonl", lines);
    assert_eq!(figures(&index(&workplace, &["docs"])), [2, 0, 2, 1]);
    // A file whose name is that of a record.
    workplace.write("docs/part.jsonl:2", "A text of its own.");
    let report = index(&workplace, &["docs"]);
    assert!(report["skipped"].to_string().contains("the name of one of its documents"), "{report}");
    assert_eq!(all_ids(&workplace), set(&["part.jsonl:2", "log.jsonl", "table.csv"]));
}

#[test]
fn a_pdf_is_read_in_a_process_of_its_own() {
    let workplace = with_folder(&[("bad.pdf", "%PDF-1.7 and nothing else")]);
    let report = index(&workplace, &["docs"]);
    assert!(report["skipped"][0]["reason"].as_str().unwrap().starts_with("damaged"), "{report}");
    let mut command = workplace.command(&["__read-document", "rtf"]);
    let read = common::run_reading(&mut command, br"{\rtf1 A cat.}").succeeded().json();
    assert_eq!(read["text"].as_str().unwrap().trim(), "A cat.");
}

/// A PDF of one page whose drawing unpacks to so many MiB, in some KB: packed twice.
fn swelling_pdf(mebibytes: usize) -> Vec<u8> {
    use flate2::{Compress, Compression, FlushCompress};
    // A piece that knows nothing of what is before it can stand there again and again.
    let mut piece = Vec::with_capacity(1 << 16);
    let drawing = b"BT ET   ".repeat(1 << 17);
    let mut packing = Compress::new(Compression::best(), false);
    packing.compress_vec(&drawing, &mut piece, FlushCompress::Full).unwrap();
    let once = [&[0x78, 0xda], &piece.repeat(mebibytes)[..]].concat();
    let mut twice = Vec::with_capacity(1 << 20);
    Compress::new(Compression::best(), true).compress_vec(&once, &mut twice, FlushCompress::Finish).unwrap();
    let head = format!("<</Length {}/Filter[/FlateDecode/FlateDecode]>>stream\n", twice.len());
    let drawing = [head.as_bytes(), &twice, b"\nendstream"].concat();
    let objects: [&[u8]; 4] = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<<>>>>",
        &drawing,
    ];
    let mut pdf = b"%PDF-1.4\n".to_vec();
    let mut table = "xref\n0 5\n0000000000 65535 f \n".to_owned();
    for (number, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", pdf.len()));
        pdf.extend([format!("{} 0 obj\n", number + 1).as_bytes(), object, b"\nendobj\n"].concat());
    }
    let end = format!("{table}trailer<</Size 5/Root 1 0 R>>\nstartxref\n{}\n%%EOF", pdf.len());
    [pdf, end.into_bytes()].concat()
}

#[test]
#[cfg(target_os = "linux")]
fn a_pdf_that_swells_beyond_its_memory_costs_its_process_alone() {
    let workplace = with_folder(&[("good.md", "A cat.")]);
    let pdf = swelling_pdf(20_000);
    assert!(pdf.len() < 1 << 20, "{}", pdf.len());
    fs::write(workplace.path("docs/swelling.pdf"), pdf).unwrap();
    fs::write(workplace.path("docs/swollen.pdf"), swelling_pdf(1)).unwrap();
    let begun = Instant::now();
    let report = index(&workplace, &["docs"]);
    assert_eq!(figures(&report)[0], 1, "{report}");
    let skipped = report["skipped"].as_array().unwrap();
    let reason = |name: &str| {
        let file = skipped.iter().find(|file| file["file"] == name).unwrap();
        file["reason"].as_str().unwrap().to_owned()
    };
    // The same, swollen a little, is a PDF without text.
    assert!(reason("swollen.pdf").contains("no text in it"), "{report}");
    assert!(reason("swelling.pdf").starts_with("damaged"), "{report}");
    assert!(begun.elapsed() < Duration::from_secs(50), "it was not ended for its time");
}

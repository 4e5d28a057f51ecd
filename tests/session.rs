//! A user's first hour: index, ask, encode, delete, look at the figures, index again.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::process::Command;

use common::{AKIN, Run, Workplace, ids, sentences, tiny_model, with_notes};

#[test]
fn what_was_indexed_is_found_by_its_own_words() {
    let workplace = with_notes(40);
    let texts = sentences(40);
    let run = workplace.akin(&["query", "notes", &texts[16], "--json"]).succeeded();
    let answer = run.json();
    assert_eq!(run.stdout.lines().count(), 1);
    assert_eq!(answer["query"], texts[16].as_str());
    assert_eq!(answer["hits"].as_array().unwrap().len(), 10);
    let best = &answer["hits"][0];
    assert_eq!(best["rank"], 1);
    assert_eq!(best["id"], "notes.txt:17");
    assert_eq!(best["text"], texts[16].as_str());
    assert!(best["score"].as_f64().unwrap() > 0.9999, "{best}");
    assert!(best["metadata"].as_object().unwrap().is_empty());
    let keys: Vec<_> = best.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["rank", "id", "score", "text", "metadata"]);
}

#[test]
fn a_query_prints_an_aligned_line_a_hit() {
    let workplace = with_notes(12);
    let run = workplace.akin(&["query", "notes", &sentences(12)[2], "-k", "3"]).succeeded();
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{run:#?}");
    assert!(lines[0].starts_with("1   1.000  notes.txt:3"), "{run:#?}");
    assert!(lines[0].ends_with(&sentences(12)[2]), "{run:#?}");
    assert_eq!(run.stderr, "");
}

#[test]
fn exact_search_and_a_wide_walk_find_the_same_best_hit() {
    let workplace = with_notes(60);
    let text = &sentences(60)[33];
    for options in [&["--exact"][..], &["--ef", "200"], &["-k", "1000"]] {
        let arguments = [&["query", "notes", text, "--json"], options].concat();
        let answer = workplace.akin(&arguments).succeeded().json();
        assert_eq!(ids(&answer)[0], "notes.txt:34", "{options:?}");
    }
}

#[test]
fn more_hits_than_documents_gives_all_documents() {
    let workplace = with_notes(7);
    let answer = workplace.akin(&["query", "notes", "anything", "-k", "50", "--json"]).succeeded().json();
    let mut found = ids(&answer);
    found.sort_unstable();
    let expected: Vec<String> = (1..=7).map(|line| format!("notes.txt:{line}")).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_same_command_again_skips_everything() {
    let workplace = with_notes(25);
    let before = workplace.figures("notes");
    let report = workplace.akin(&["index", "notes", "notes.txt", "--json"]).succeeded().json();
    assert_eq!(report["read"], 25);
    assert_eq!(report["unchanged"], 25);
    assert_eq!((&report["added"], &report["replaced"]), (&0.into(), &0.into()));
    assert_eq!(workplace.figures("notes"), before);
}

#[test]
fn a_changed_line_replaces_its_document() {
    let workplace = with_notes(10);
    let mut texts = sentences(10);
    texts[4] = "something else altogether".into();
    workplace.write("notes.txt", texts.join("\n"));
    let report = workplace.akin(&["index", "notes", "notes.txt", "--json"]).succeeded().json();
    assert_eq!((&report["replaced"], &report["unchanged"]), (&1.into(), &9.into()));
    let answer =
        workplace.akin(&["query", "notes", "something else altogether", "--json"]).succeeded().json();
    assert_eq!(ids(&answer)[0], "notes.txt:5");
    let answer =
        workplace.akin(&["query", "notes", &sentences(10)[4], "--json", "-k", "50"]).succeeded().json();
    let texts: Vec<_> = answer["hits"].as_array().unwrap().iter().map(|hit| &hit["text"]).collect();
    assert_eq!(texts.len(), 10);
    assert!(!texts.iter().any(|text| **text == sentences(10)[4].as_str()), "the old text is still found");
}

#[test]
fn fields_beside_id_and_text_come_back_as_metadata() {
    let workplace = Workplace::new();
    let corpus = "{\"doi\":\"10/a\",\"abstract\":\"On bridges.\",\"year\":1999,\"tags\":[\"x\"]}\n\
                  {\"doi\":\"10/b\",\"abstract\":\"On lakes.\",\"year\":2001}\n";
    workplace.write("papers.jsonl", corpus);
    let fields = ["--id-field", "doi", "--text-field", "abstract"];
    workplace.akin(&[&["index", "papers", "papers.jsonl"], &fields[..]].concat()).succeeded();
    let answer = workplace.akin(&["query", "papers", "On bridges.", "--json", "-k", "1"]).succeeded().json();
    let hit = &answer["hits"][0];
    assert_eq!(hit["id"], "10/a");
    assert_eq!(hit["metadata"], serde_json::json!({ "year": 1999, "tags": ["x"] }));
}

#[test]
fn a_corpus_may_come_from_a_pipe() {
    let workplace = Workplace::new();
    let corpus = b"id\ttext\tpage\na\tthe first\t1\nb\tthe second\t2\n";
    workplace.akin_reading(&["index", "notes", "-", "--format", "tsv"], corpus).succeeded();
    let answer = workplace.akin(&["query", "notes", "the second", "--json", "-k", "1"]).succeeded().json();
    assert_eq!(answer["hits"][0]["id"], "b");
    assert_eq!(answer["hits"][0]["metadata"]["page"], "2");
}

#[test]
fn encode_writes_a_matrix_that_numpy_reads() {
    let workplace = Workplace::new();
    let mut texts = sentences(30);
    texts[29] = texts[3].clone();
    workplace.write("notes.txt", texts.join("\n"));
    let run = workplace.akin(&["encode", "notes.txt", "--output", "notes.npy"]).succeeded();
    assert_eq!(run.stdout, "");
    let bytes = std::fs::read(workplace.path("notes.npy")).unwrap();
    let header = std::str::from_utf8(&bytes[10..128]).unwrap();
    let dimension = (bytes.len() - 128) / 4 / 30;
    assert!(header.contains(&format!("'shape': (30, {dimension})")), "{header}");
    let values: Vec<f32> =
        bytes[128..].chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let row = |n: usize| &values[n * dimension..][..dimension];
    let distance =
        |a: usize, b: usize| row(a).iter().zip(row(b)).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
    assert!(distance(3, 29) < 1e-5, "equal texts have equal rows");
    assert!(distance(3, 4) > 1e-3, "different texts have different rows");
}

#[test]
fn deleted_documents_are_found_no_more() {
    let workplace = with_notes(8);
    let run = workplace.akin(&["delete", "notes", "notes.txt:3", "no-such-id"]).succeeded();
    assert!(run.stderr.contains("not in the index: no-such-id"), "{run:#?}");
    assert!(run.stderr.contains("deleted 1 document, 7 left"), "{run:#?}");
    let answer =
        workplace.akin(&["query", "notes", &sentences(8)[2], "--json", "-k", "20"]).succeeded().json();
    assert_eq!(ids(&answer).len(), 7);
    assert!(!ids(&answer).contains(&"notes.txt:3"));
    let again = workplace.akin(&["delete", "notes", "notes.txt:3", "--quiet"]).succeeded();
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", ""));
    workplace.akin(&["verify", "notes"]).succeeded();
}

#[test]
fn stat_tells_what_verify_confirms() {
    let workplace = with_notes(11);
    let stat = workplace.akin(&["stat", "notes", "--json"]).succeeded().json();
    assert_eq!(stat["documents"], 11);
    assert_eq!(stat["deleted"], 0);
    assert_eq!(stat["model"]["location"], tiny_model().canonicalize().unwrap().to_str().unwrap());
    assert_eq!(stat["model"]["fingerprint"].as_str().unwrap().len(), 64);
    assert!(stat["bytes_on_disk"].as_u64().unwrap() > 0);
    let text = workplace.akin(&["stat", "notes"]).succeeded().stdout;
    assert!(text.starts_with("documents    11\n"), "{text}");
    let verified = workplace.akin(&["verify", "notes"]).succeeded().stdout;
    assert!(verified.starts_with("ok: 11 documents, "), "{verified}");
    assert_eq!(verified.lines().count(), 1);
}

#[test]
fn an_index_remembers_its_model() {
    let workplace = with_notes(6);
    let mut command = Command::new(AKIN);
    workplace.settle(&mut command).env_remove("AKIN_MODEL");
    let run = Run::of(command.args(["query", "notes", &sentences(6)[1], "--json", "-k", "1"])).succeeded();
    assert_eq!(ids(&run.json()), ["notes.txt:2"]);
    workplace.write("more.txt", "one more");
    let mut command = Command::new(AKIN);
    workplace.settle(&mut command).env_remove("AKIN_MODEL");
    Run::of(command.args(["index", "notes", "more.txt"])).succeeded();
    assert_eq!(workplace.figures("notes")["documents"], 7);
}

#[test]
fn the_query_is_answered_from_another_folder() {
    let workplace = with_notes(6);
    let index = workplace.path("notes");
    let mut command = Command::new(AKIN);
    workplace.settle(&mut command).env_remove("AKIN_MODEL").current_dir("/");
    let run = Run::of(command.arg("query").arg(index).args(["anything", "--json", "-k", "2"])).succeeded();
    assert_eq!(ids(&run.json()).len(), 2);
}

#[test]
fn one_thread_gives_the_same_answer() {
    let workplace = with_notes(20);
    let query = ["query", "notes", "the baker", "--json"];
    let ranked = |arguments: &[&str]| {
        let answer = workplace.akin(arguments).succeeded().json();
        ids(&answer).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ranked(&[&query[..], &["--threads", "1"]].concat()), ranked(&query));
}

#[test]
fn an_index_of_coarse_numbers_is_asked_in_any() {
    let workplace = Workplace::new();
    let texts = sentences(40);
    workplace.write("notes.txt", texts.join("\n") + "\n");
    workplace.akin(&["index", "notes", "notes.txt", "--precision", "int8"]).succeeded();
    for precision in ["f32", "int8"] {
        let query = ["query", "notes", &texts[16], "--json", "--precision", precision];
        let answer = workplace.akin(&query).succeeded().json();
        assert_eq!(answer["hits"][0]["text"], texts[16].as_str(), "{precision}");
        assert!(answer["hits"][0]["score"].as_f64().unwrap() > 0.98, "{precision}: {answer}");
    }
}

#[test]
fn a_precision_that_cannot_be_had_is_refused_with_those_that_can() {
    let workplace = with_notes(3);
    let index = ["index", "notes", "notes.txt", "--precision"];
    let no_bf16 = Run::of(workplace.command(&[&index[..], &["bf16"]].concat()).env("AKIN_CPU", "portable"));
    assert_eq!(no_bf16.code, Some(2));
    assert!(no_bf16.stderr.contains("f32") && no_bf16.stderr.contains("int8"), "{no_bf16:#?}");
    let reference = workplace.akin(&[&index[..], &["int8", "--executor", "burn"]].concat());
    assert_eq!(reference.code, Some(2));
    assert!(reference.stderr.contains("f32"), "{reference:#?}");
}

#[test]
fn a_device_that_cannot_be_had_is_refused_with_what_would_give_it() {
    let workplace = with_notes(3);
    for (device, built) in [("cuda:99", cfg!(feature = "cuda")), ("wgpu:99", cfg!(feature = "wgpu"))] {
        let sentence = workplace.akin(&["index", "other", "notes.txt", "--device", device]).refused();
        let remedy = match built {
            true => "--device cpu".to_owned(),
            false => format!("cargo build --release --features {}", &device[..4]),
        };
        assert!(sentence.contains(device) && sentence.contains(&remedy), "{sentence}");
        assert!(!workplace.path("other").exists());
    }
    let unknown = workplace.akin(&["index", "other", "notes.txt", "--device", "tpu"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("\"tpu\"") && unknown.stderr.contains("cuda"), "{unknown:#?}");
    workplace.akin(&["index", "other", "notes.txt", "--device", "cpu"]).succeeded();
}

#[test]
fn every_instruction_set_encodes_alike() {
    let workplace = with_notes(40);
    let vectors = |cpu: &str, precision: &str| {
        let arguments = ["encode", "notes.txt", "--output", "notes.npy", "--precision", precision];
        Run::of(workplace.command(&arguments).env("AKIN_CPU", cpu)).succeeded();
        let bytes = std::fs::read(workplace.path("notes.npy")).unwrap();
        let (words, _) = bytes[128..].as_chunks::<4>();
        words.iter().map(|word| f32::from_le_bytes(*word)).collect::<Vec<f32>>()
    };
    // Some instruction sets have coarser codes, and these weights are noise: nothing makes up for what is rounded.
    for (precision, bound) in [("f32", 0.999_999), ("int8", 0.97)] {
        let expected = vectors("portable", precision);
        for cpu in ["avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "amx", "neon"] {
            let got = vectors(cpu, precision);
            assert_eq!(got.len(), expected.len());
            let dimension = got.len() / 40;
            for (a, b) in got.chunks_exact(dimension).zip(expected.chunks_exact(dimension)) {
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
                assert!(cosine >= bound, "{cpu} {precision}: {cosine}");
            }
        }
    }
}

#[test]
fn the_most_similar_pairs_of_a_corpus_come_best_first() {
    let workplace = Workplace::new();
    let mut texts = sentences(40);
    texts[31] = texts[5].clone();
    workplace.write("notes.txt", texts.join("\n"));
    let pairs = workplace.akin(&["pairs", "notes.txt", "--top", "20", "--json"]).succeeded().json_lines();
    assert_eq!(pairs.len(), 20);
    assert_eq!(
        (&pairs[0]["first"]["id"], &pairs[0]["second"]["id"]),
        (&"notes.txt:6".into(), &"notes.txt:32".into())
    );
    assert_eq!(pairs[0]["second"]["text"], texts[5].as_str());
    let scores: Vec<f64> = pairs.iter().map(|pair| pair["score"].as_f64().unwrap()).collect();
    assert!(scores[0] > 0.9999 && scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let alike = workplace.akin(&["pairs", "notes.txt", "--threshold", "0.9999", "--top", "1"]).succeeded();
    assert_eq!(alike.stdout.lines().count(), 2, "{alike:?}");
    assert!(workplace.akin(&["pairs", "notes.txt", "--threshold", "2"]).refused().contains("--threshold 2"));
}

#[test]
fn json_lines_are_told_by_their_first_line_where_they_have_no_name() {
    let workplace = Workplace::new();
    let corpus = b"{\"id\":\"a\",\"text\":\"the first\"}\n{\"id\":\"b\",\"text\":\"the second\"}\n";
    workplace.akin_reading(&["index", "notes", "-"], corpus).succeeded();
    let answer = workplace.akin(&["query", "notes", "the second", "--json", "-k", "1"]).succeeded().json();
    assert_eq!((ids(&answer), &answer["hits"][0]["text"]), (vec!["b"], &"the second".into()));
}

#[cfg(unix)]
#[test]
fn a_corpus_may_be_a_pipe_with_a_name() {
    let workplace = Workplace::new();
    workplace.write("lines.txt", "the first\nthe second\n");
    let script = format!("'{AKIN}' index notes <(cat lines.txt) --json");
    let mut bash = Command::new("bash");
    let report = Run::of(workplace.settle(bash.args(["-c", &script]))).succeeded().json();
    assert_eq!(report["added"], 2);
}

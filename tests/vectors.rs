//! Vectors in and out: `akin import`, `akin export`, and `akin bench` on what they leave.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;

use akin_fixtures::npy;
use akin_fixtures::random::unit_vectors;
use akin_fixtures::similarity::greatest_difference;
use common::{Workplace, sentences};

/// A NumPy file of `rows` vectors of four numbers, all in different directions.
fn write_vectors(workplace: &Workplace, name: &str, rows: usize) {
    workplace.write(name, npy::matrix(&unit_vectors(rows, 4, 7)));
}

#[test]
fn imported_vectors_are_measured_with_a_json_line_an_ef() {
    let workplace = Workplace::new();
    write_vectors(&workplace, "v.npy", 5000);
    write_vectors(&workplace, "q.npy", 50);
    workplace.akin(&["import", "index", "--vectors", "v.npy"]).succeeded();
    let bench = ["bench", "index", "--vectors", "q.npy", "-k", "5", "--ef", "5,100", "--json"];
    let lines = workplace.akin(&bench).succeeded().json_lines();
    assert_eq!(lines.iter().map(|line| line["ef"].as_u64().unwrap()).collect::<Vec<_>>(), [5, 100]);
    for line in &lines {
        let keys: Vec<_> = line.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["ef", "recall", "recall_p1", "recall_p10", "qps", "p50_ms", "p99_ms"]);
        let [mean, p1, p10] = ["recall", "recall_p1", "recall_p10"].map(|key| line[key].as_f64().unwrap());
        assert!((0.0..=p10).contains(&p1) && p10 <= 1.0 && p1 <= mean, "{line}");
        assert!(line["qps"].as_f64().unwrap() > 0.0);
        assert!(line["p99_ms"].as_f64().unwrap() >= line["p50_ms"].as_f64().unwrap());
    }
    let recall = |line: usize| lines[line]["recall"].as_f64().unwrap();
    assert!(recall(0) <= recall(1) && recall(1) > 0.99 && recall(1) <= 1.0, "{lines:?}");
    let table = workplace.akin(&["bench", "index", "--vectors", "q.npy", "--ef", "50"]).succeeded();
    assert_eq!(table.stdout.lines().count(), 2, "{table:?}");
    assert!(table.stdout.contains("p1") && table.stdout.contains("p10"), "{table:?}");
}

#[test]
fn a_hit_as_near_as_the_true_ones_is_right() {
    let workplace = Workplace::new();
    // Each vector thirty times: any ten of thirty answer a query for ten.
    let different = unit_vectors(150, 4, 7);
    let values = (0..30).flat_map(|_| different.as_slice().to_vec()).collect();
    workplace.write("v.npy", npy::matrix(&akin_index::Embeddings::from_values(4, values)));
    workplace.write("q.npy", npy::matrix(&different));
    workplace.akin(&["import", "index", "--vectors", "v.npy"]).succeeded();
    let bench = ["bench", "index", "--vectors", "q.npy", "--ef", "128", "--json"];
    let line = workplace.akin(&bench).succeeded().json();
    let [mean, worst] = ["recall", "recall_p1"].map(|key| line[key].as_f64().unwrap());
    assert!(mean > 0.97 && worst <= mean, "{line}");
}

#[test]
fn without_documents_the_ids_are_the_numbers_of_the_rows() {
    let workplace = Workplace::new();
    write_vectors(&workplace, "v.npy", 12);
    workplace.akin(&["import", "index", "--vectors", "v.npy"]).succeeded();
    let lines = workplace.akin(&["export", "index", "--documents", "-"]).succeeded().json_lines();
    let ids: Vec<_> = lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (0..12).map(|row| row.to_string()).collect::<Vec<_>>());
    let figures = workplace.figures("index");
    assert_eq!((&figures["dimension"], &figures["model"]), (&4.into(), &serde_json::Value::Null));
    workplace.akin(&["verify", "index"]).succeeded();
}

#[test]
fn what_was_exported_is_imported_as_it_was() {
    let workplace = Workplace::new();
    let corpus: String = sentences(30)
        .iter()
        .enumerate()
        .map(|(n, text)| {
            serde_json::json!({ "id": format!("d{n}"), "text": text, "n": n }).to_string() + "\n"
        })
        .collect();
    workplace.write("c.jsonl", &corpus);
    workplace.akin(&["index", "notes", "c.jsonl"]).succeeded();
    workplace.akin(&["delete", "notes", "d3"]).succeeded();
    let export = |index: &str, name: &str| {
        let (vectors, documents) = (format!("{name}.npy"), format!("{name}.jsonl"));
        workplace.akin(&["export", index, "--vectors", &vectors, "--documents", &documents]).succeeded();
    };
    export("notes", "one");
    let kept: Vec<&str> = corpus.lines().filter(|line| !line.contains("\"d3\"")).collect();
    assert_eq!(workplace.read("one.jsonl").lines().collect::<Vec<_>>(), kept);
    workplace.akin(&["import", "copy", "--vectors", "one.npy", "--documents", "one.jsonl"]).succeeded();
    export("copy", "two");
    for extension in ["npy", "jsonl"] {
        let [one, two] =
            ["one", "two"].map(|name| fs::read(workplace.path(format!("{name}.{extension}"))).unwrap());
        assert!(one == two, "{extension}");
    }
    // Encoding the same texts gives the same vectors, without the deleted one.
    workplace.write("kept.jsonl", kept.join("\n"));
    workplace.akin(&["encode", "kept.jsonl", "--output", "kept.npy"]).succeeded();
    assert_eq!(
        fs::read(workplace.path("kept.npy")).unwrap().len(),
        fs::read(workplace.path("one.npy")).unwrap().len()
    );
}

#[test]
fn a_matrix_of_doubles_in_fortran_order_is_imported_as_the_same_vectors() {
    let workplace = Workplace::new();
    let vectors = unit_vectors(6, 4, 7);
    let columns = (0..4).flat_map(|column| vectors.iter().map(move |row| f64::from(row[column])));
    let values: Vec<u8> = columns.flat_map(f64::to_be_bytes).collect();
    workplace.write("v.npy", npy::file(&npy::dictionary(">f8", true, "(6, 4)"), &values));
    workplace.akin(&["import", "index", "--vectors", "v.npy"]).succeeded();
    workplace.akin(&["export", "index", "--vectors", "out.npy"]).succeeded();
    let exported = npy::read(&workplace.path("out.npy"));
    assert!(greatest_difference(exported.as_slice(), vectors.as_slice()) < 1e-6);
}

#[test]
fn a_vector_that_is_not_finite_is_named_before_the_index_is_touched() {
    let workplace = Workplace::new();
    for value in [f32::NAN, f32::INFINITY] {
        let mut vectors = unit_vectors(9000, 4, 7);
        vectors.as_mut_slice()[8500 * 4 + 1] = value;
        workplace.write("v.npy", npy::matrix(&vectors));
        let sentence = workplace.akin(&["import", "index", "--vectors", "v.npy"]).refused();
        assert!(sentence.contains("row 8500 of v.npy"), "{sentence}");
        assert!(!workplace.path("index").exists());
    }
}

#[test]
fn queries_without_rows_are_refused() {
    let workplace = Workplace::new();
    write_vectors(&workplace, "v.npy", 3);
    write_vectors(&workplace, "none.npy", 0);
    workplace.akin(&["import", "index", "--vectors", "v.npy"]).succeeded();
    let sentence = workplace.akin(&["bench", "index", "--vectors", "none.npy"]).refused();
    assert!(sentence.contains("none.npy has no rows"), "{sentence}");
}

#[test]
fn an_index_without_a_model_is_not_asked_in_words() {
    let workplace = Workplace::new();
    write_vectors(&workplace, "v.npy", 3);
    workplace.write("notes.txt", "a line\n");
    workplace.akin(&["import", "index", "--vectors", "v.npy"]).succeeded();
    for command in [&["query", "index", "words"][..], &["index", "index", "notes.txt"]] {
        let sentence = workplace.akin(command).refused();
        assert!(sentence.contains("knows no model"), "{sentence}");
    }
    assert_eq!(workplace.figures("index")["documents"], 3);
}

#[test]
fn what_does_not_fit_together_is_refused_and_leaves_nothing() {
    let workplace = Workplace::new();
    write_vectors(&workplace, "v.npy", 3);
    workplace.write("two.txt", "a\nb\n");
    workplace.write(
        "twice.jsonl",
        "{\"id\":1,\"text\":\"a\"}\n{\"id\":1,\"text\":\"b\"}\n{\"id\":2,\"text\":\"c\"}\n",
    );
    workplace.write("other.npy", "no matrix");
    for (arguments, said) in [
        (&["--vectors", "v.npy", "--documents", "two.txt"][..], "2 documents"),
        (&["--vectors", "v.npy", "--documents", "twice.jsonl"], "duplicate id"),
        (&["--vectors", "other.npy"], "not a NumPy file of vectors: it has no NumPy header"),
        (&["--vectors", "other.npy"], "numpy.save"),
        (&["--vectors", "missing.npy"], "missing.npy"),
    ] {
        let sentence = workplace.akin(&[&["import", "index"], arguments].concat()).refused();
        assert!(sentence.contains(said), "{sentence}");
        assert!(!workplace.path("index").exists());
    }
    workplace.akin(&["import", "index", "--vectors", "v.npy"]).succeeded();
    let sentence = workplace.akin(&["bench", "index", "--vectors", "other.npy"]).refused();
    assert!(sentence.contains("not a NumPy file"), "{sentence}");
}

#[test]
fn queries_of_another_dimension_are_refused() {
    let workplace = Workplace::new();
    write_vectors(&workplace, "v.npy", 3);
    workplace.write("notes.txt", "a line\n");
    workplace.akin(&["index", "notes", "notes.txt"]).succeeded();
    let sentence = workplace.akin(&["bench", "notes", "--vectors", "v.npy"]).refused();
    assert!(sentence.contains("4 dimensions"), "{sentence}");
}

#[test]
fn a_field_of_the_name_of_the_id_or_the_text_is_not_lost() {
    let workplace = Workplace::new();
    let line = r#"{"doi":"10/a","abstract":"On bridges.","id":7,"text":"the whole paper"}"#;
    workplace.write("papers.jsonl", line);
    let fields = ["--id-field", "doi", "--text-field", "abstract"];
    workplace.akin(&[&["index", "papers", "papers.jsonl"], &fields[..]].concat()).succeeded();
    let export = ["export", "papers", "--documents", "out.jsonl"];
    for (more, said) in [
        (&[][..], "\"id\" besides"),
        (&["--id-field", "doi"], "--text-field"),
        (&["--id-field", "text"], "both \"text\""),
    ] {
        let sentence = workplace.akin(&[&export[..], more].concat()).refused();
        assert!(sentence.contains("10/a") || more.len() > 1, "{sentence}");
        assert!(sentence.contains(said), "{sentence}");
        assert!(!workplace.path("out.jsonl").exists());
    }
    workplace.akin(&[&export[..], &fields].concat()).succeeded();
    assert_eq!(workplace.read("out.jsonl").trim_end(), line);
}

#[test]
fn vectors_are_compared_by_the_similarity_that_is_asked_for() {
    let workplace = Workplace::new();
    // One direction, three lengths: by the dot product the longest is first, by the distance the nearest.
    let rows = [[1.0, 0.0], [10.0, 0.0], [3.0, 0.5]].concat();
    workplace.write("v.npy", npy::matrix(&akin_index::Embeddings::from_values(2, rows)));
    for similarity in ["dot", "euclidean", "manhattan"] {
        let import = ["import", similarity, "--vectors", "v.npy", "--similarity", similarity];
        workplace.akin(&import).succeeded();
        assert_eq!(
            workplace.akin(&["stat", similarity, "--json"]).succeeded().json()["similarity"],
            similarity
        );
        workplace.akin(&["import", similarity, "--vectors", "v.npy"]).succeeded();
        workplace.akin(&["verify", similarity]).succeeded();
        workplace.akin(&["export", similarity, "--vectors", "out.npy"]).succeeded();
        assert_eq!(
            npy::read(&workplace.path("out.npy")).as_slice(),
            [[1.0, 0.0], [10.0, 0.0], [3.0, 0.5]].concat()
        );
        let index = akin_index::Reader::open(&workplace.path(similarity)).unwrap();
        let found = index.search(&[2.0, 0.0], &akin_index::SearchOptions::default()).unwrap();
        let found: Vec<(&str, f32)> = found.iter().map(|hit| (hit.document.id.as_str(), hit.score)).collect();
        assert_eq!(
            found,
            match similarity {
                "dot" => [("1", 20.0), ("2", 6.0), ("0", 2.0)],
                "euclidean" => [("0", -1.0), ("2", -1.25f32.sqrt()), ("1", -8.0)],
                _ => [("0", -1.0), ("2", -1.5), ("1", -8.0)],
            }
        );
    }
    let other = ["import", "dot", "--vectors", "v.npy", "--similarity", "cosine"];
    let refused = workplace.akin(&other).refused();
    assert!(refused.contains("compares vectors by similarity dot"), "{refused}");
}

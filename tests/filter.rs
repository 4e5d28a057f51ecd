//! `--filter`: only what fits is found, and as much of it as there is.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use common::{Workplace, ids, sentences};

/// An index of papers, one of each year from 1980 on, `n` of them.
fn with_papers(n: usize) -> Workplace {
    let workplace = Workplace::new();
    let lines = sentences(n).into_iter().enumerate().map(|(at, text)| {
        let tags = if at % 2 == 0 { serde_json::json!(["even", "to do"]) } else { "odd".into() };
        serde_json::json!({ "id": at, "text": text, "year": 1980 + at, "tags": tags }).to_string() + "\n"
    });
    workplace.write("papers.jsonl", lines.collect::<String>());
    workplace.akin(&["index", "papers", "papers.jsonl"]).succeeded();
    workplace
}

#[test]
fn a_filter_finds_as_many_as_fit_and_no_others() {
    let workplace = with_papers(30);
    let query = ["query", "papers", "the baker", "-k", "20", "--json", "--filter"];
    for (filter, expected) in [
        ("year >= 2005", (25..30).collect::<Vec<usize>>()),
        ("year in (1980, 1983, 2222)", vec![0, 3]),
        ("tags = 'to do' and year < 1985", vec![0, 2, 4]),
        ("not (tags = even or year != 1981)", vec![1]),
        ("missing = 1", vec![]),
    ] {
        for exact in [&[][..], &["--exact"]] {
            let answer = workplace.akin(&[&query[..], &[filter], exact].concat()).succeeded().json();
            let mut found: Vec<usize> = ids(&answer).iter().map(|id| id.parse().unwrap()).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{filter}");
        }
    }
    let run = workplace.akin(&["query", "papers", "the baker", "--filter", "yaer = 1"]).succeeded();
    assert_eq!(run.stdout, "no hits\n");
    assert!(
        run.stderr.contains("none of 30 documents fits the filter (fields: tags, year)")
            && run.stderr.contains("no document has the field yaer; did you mean year?"),
        "{run:?}"
    );
    let run = workplace.akin(&["query", "papers", "the baker", "--filter", "Tag != odd"]).succeeded();
    assert!(run.stderr.contains("no document has the field Tag; did you mean tags?"), "{run:?}");
    let run = workplace.akin(&["query", "papers", "the baker", "--filter", "year > 1990"]).succeeded();
    assert_eq!(run.stderr, "");
}

#[test]
fn a_field_that_no_document_has_is_told_although_all_documents_fit() {
    let workplace = with_papers(3);
    let asked = |filter: &str| {
        let run = workplace.akin(&["query", "papers", "the baker", "--json", "--filter", filter]).succeeded();
        assert_eq!(ids(&run.json()).len(), 3, "{run:?}");
        run.stderr
    };
    let told = asked("Year != 7 and author != x");
    assert!(told.contains("no document has the field Year; did you mean year?"), "{told}");
    assert!(told.contains("no document has the field author (fields: tags, year)"), "{told}");
    assert_eq!(asked("year != 7"), "");
}

#[test]
fn a_filter_counts_for_every_query_of_a_batch_and_a_pipe() {
    let workplace = with_papers(30);
    let queries = sentences(30).join("\n");
    workplace.write("queries.txt", &queries);
    let batch = ["batch", "papers", "queries.txt", "-k", "3", "--filter", "tags = odd"];
    let answers = workplace.akin(&batch).succeeded().json_lines();
    assert_eq!(answers.len(), 30);
    for (at, answer) in answers.iter().enumerate() {
        assert!(ids(answer).iter().all(|id| id.parse::<usize>().unwrap() % 2 == 1), "{answer}");
        assert!(at % 2 == 0 || ids(answer)[0] == at.to_string(), "{answer}");
    }
    let piped = ["query", "papers", "-k", "3", "--json", "--filter", "tags = odd"];
    let piped = workplace.akin_reading(&piped, queries.as_bytes()).succeeded().json_lines();
    assert_eq!(piped.iter().map(ids).collect::<Vec<_>>(), answers.iter().map(ids).collect::<Vec<_>>());
}

#[test]
fn a_filter_that_cannot_be_read_is_refused_with_the_place() {
    let workplace = with_papers(3);
    for command in [&["query", "papers", "x"][..], &["batch", "papers", "papers.jsonl"]] {
        let sentence = workplace.akin(&[command, &["--filter", "year = 1980 year"]].concat()).refused();
        assert!(sentence.contains("at character 13") && sentence.contains("`and`"), "{sentence}");
    }
}

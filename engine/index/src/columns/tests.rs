//! What columns say of documents is what a filter says of each by itself.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{Document, Embeddings, Filter, Index, Metadata, ModelIdentity};
use akin_fixtures::Folder;

fn object(value: Value) -> Metadata {
    match value {
        Value::Object(object) => object,
        _ => Metadata::new(),
    }
}

/// The numbers of the documents that a filter selects in an index of them, and what it says of each.
fn selected(documents: &[Metadata], filter: &Filter) -> (Vec<usize>, Vec<usize>) {
    let folder = Folder::new();
    let mut index = Index::open_or_create(&folder.path("index"), &ModelIdentity::unknown(1)).unwrap();
    let texts: Vec<Document> = documents
        .iter()
        .enumerate()
        .map(|(id, metadata)| Document {
            id: id.to_string(),
            text: String::new(),
            metadata: metadata.clone(),
        })
        .collect();
    index.upsert(&texts, &Embeddings::from_values(1, vec![1.0; texts.len()])).unwrap();
    let snapshot = index.snapshot();
    for view in &snapshot.segments {
        assert!(view.segment.select(filter).unwrap().is_some(), "there are columns");
    }
    index.verify().unwrap();
    let selection = snapshot.select(filter).unwrap();
    let options = crate::SearchOptions { k: 1000, among: Some(selection), ..Default::default() };
    let mut found: Vec<usize> = snapshot
        .search(&[1.0], &options)
        .unwrap()
        .iter()
        .map(|hit| hit.document.id.parse().unwrap())
        .collect();
    found.sort_unstable();
    let expected = (0..documents.len()).filter(|at| filter.matches(&documents[*at])).collect();
    (found, expected)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4i64).prop_map(Value::from),
        prop::sample::select(vec!["a", "b", "1", "2024-05-01", "2024-06", "true", ""]).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "a.b", "b.a"]).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn columns_and_records_select_the_same(
        documents in prop::collection::vec(prop::collection::vec((name(), value()), 0..4), 1..12),
        fields in prop::collection::vec(prop::sample::select(vec!["a", "b", "a.b", "b.a", "a.b.a", "c"]), 3),
        signs in prop::collection::vec(prop::sample::select(vec!["=", "!=", "<", ">="]), 3),
        values in prop::collection::vec(prop::sample::select(vec!["a", "1", "2024-05", "'1'", "true", "2024"]), 3),
    ) {
        let documents: Vec<Metadata> =
            documents.into_iter().map(|fields| fields.into_iter().collect()).collect();
        let text = format!(
            "{} {} {} and ({} in ({}, b) or not {} {} {})",
            fields[0], signs[0], values[0], fields[1], values[1], fields[2], signs[2], values[2]
        );
        let (found, expected) = selected(&documents, &Filter::parse(&text).unwrap());
        prop_assert_eq!(found, expected, "{}", text);
    }
}

#[test]
fn many_values_and_long_ones_are_told_apart() {
    let documents: Vec<Metadata> = (0..700)
        .map(|at| object(json!({ "at": at, "tags": [at % 3, format!("t{}", at % 300)], "odd": at % 2 == 1 })))
        .collect();
    for (text, count) in [("at >= 650 and odd = true", 25), ("tags = t299", 2), ("tags in (1, t0)", 236)] {
        let (found, expected) = selected(&documents, &Filter::parse(text).unwrap());
        assert!(found == expected && found.len() == count, "{text}: {}", found.len());
    }
}

#[test]
fn what_is_too_long_or_too_much_is_read_from_the_records() {
    let folder = Folder::new();
    let mut index = Index::open_or_create(&folder.path("index"), &ModelIdentity::unknown(1)).unwrap();
    let metadata = object(json!({ "body": "x".repeat(600), "kind": "note" }));
    let document = Document { id: "1".into(), text: String::new(), metadata };
    index.upsert(&[document], &Embeddings::from_values(1, vec![1.0])).unwrap();
    let snapshot = index.snapshot();
    let select = |text: &str| snapshot.segments[0].segment.select(&Filter::parse(text).unwrap()).unwrap();
    assert!(select("kind = note").is_some() && select("body > a").is_none());
    assert_eq!(snapshot.select(&Filter::parse("body > a and kind = note").unwrap()).unwrap().len(), 1);
    index.verify().unwrap();

    let metadata = (0..2000).map(|at| (format!("field {at}"), Value::from(at))).collect();
    let document = Document { id: "2".into(), text: String::new(), metadata };
    index.upsert(&[document], &Embeddings::from_values(1, vec![1.0])).unwrap();
    let snapshot = index.snapshot();
    let filter = Filter::parse("\"field 7\" = 7").unwrap();
    assert!(snapshot.segments[1].segment.select(&filter).unwrap().is_none());
    assert_eq!(snapshot.select(&filter).unwrap().len(), 1);
    index.verify().unwrap();
}

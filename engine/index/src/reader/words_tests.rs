//! Searches by words against a plain one that scores every passage.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;

use crate::segment::Segment;
use crate::storage::{Memory, Storage};
use crate::words::analysis::{Analyzer, Token, each_token};
use crate::words::query::{Plan, Unit};
use crate::{
    Document, Embeddings, Filter, Index, ModelIdentity, Neighbor, Passage, SearchOptions, Selection,
    Snapshot, WordQuery,
};

/// The terms of a passage, at their positions.
struct Text {
    terms: Vec<(String, u32)>,
    length: f64,
}

impl Text {
    fn of(text: &str, analyzer: &Analyzer) -> Self {
        let (mut terms, mut length) = (Vec::new(), 0);
        each_token(text, &mut |token| match token {
            Token::Word(word) => {
                let word = analyzer.word(word);
                terms.extend(word.placed().map(|(term, place)| (term.to_owned(), length + place)));
                length += word.positions();
            }
            Token::Pair(term) | Token::Last(term) => {
                terms.push((term.to_owned(), length));
                length += 1;
            }
        });
        Self { terms, length: length.into() }
    }

    fn count(&self, unit: &Unit) -> f64 {
        let count = |fits: &dyn Fn(&str) -> bool| self.terms.iter().filter(|(term, _)| fits(term)).count();
        let found = match unit {
            Unit::Term(term) => count(&|held| held == term),
            Unit::Prefix { beginning, stem } => count(&|held| held.starts_with(beginning) || held == stem),
            Unit::Phrase(terms) => {
                let has =
                    |term: &str, at: u32| self.terms.iter().any(|held| (&*held.0, held.1) == (term, at));
                let starts = 0..self.length as u32;
                starts.filter(|start| terms.iter().all(|(term, after)| has(term, start + after))).count()
            }
        };
        found as f64
    }
}

/// A passage of a snapshot, deleted or not.
struct Found {
    id: String,
    is_live: bool,
    text: Text,
    plan: usize,
}

/// The score of each live document that a query finds, by its id.
fn plain(snapshot: &Snapshot, query: &WordQuery) -> BTreeMap<String, f64> {
    let (mut passages, mut plans) = (Vec::new(), Vec::<Plan>::new());
    for view in &snapshot.segments {
        let Some(words) = view.segment.words().unwrap() else { continue };
        let analyzer = Analyzer::new(words.language);
        plans.push(query.plan(&analyzer));
        for document in 0..view.segment.documents() {
            let Document { id, text, .. } = view.segment.document(document).unwrap();
            for passage in view.segment.passages_of(document).unwrap() {
                let part = part(&view.segment, passage, &text);
                let (id, is_live) = (id.clone(), view.is_live(passage));
                passages.push(Found { id, is_live, text: Text::of(part, &analyzer), plan: plans.len() - 1 });
            }
        }
    }
    let all = passages.len() as f64;
    let average = passages.iter().map(|passage| passage.text.length).sum::<f64>() / all;
    let units_of = |plan: &Plan| -> Vec<Unit> {
        plan.required.iter().chain(&plan.optional).map(|(unit, _)| unit.clone()).collect()
    };
    let units: Vec<Vec<Unit>> = plans.iter().map(units_of).collect();
    // A segment of another language is asked for other terms of the same words.
    let has = |held: &Found, unit: &Unit| units[held.plan].contains(unit) && held.text.count(unit) > 0.0;
    let holding: BTreeMap<&Unit, f64> = units
        .iter()
        .flatten()
        .map(|unit| (unit, passages.iter().filter(|held| has(held, unit)).count() as f64))
        .collect();
    let score = |unit: &Unit, times: u32, text: &Text| {
        let holding = holding[unit];
        let rarity = (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln();
        let count = text.count(unit);
        let (k1, b) = (f64::from(query.constants().k1), f64::from(query.constants().b));
        f64::from(times) * rarity * (k1 + 1.0) * count / (count + k1 * (1.0 - b + b * text.length / average))
    };
    // Beside meaning a word of more than a quarter does not count, unless all are.
    let is_rare = |unit: &Unit| (1.0..=(all / 4.0).floor().max(256.0)).contains(&holding[unit]);
    let some_are_rare = plans.iter().flat_map(|plan| &plan.optional).any(|(unit, _)| is_rare(unit));
    let counts = |unit: &Unit| query.most_common(1).is_none() || !some_are_rare || is_rare(unit);
    let excluded: HashSet<&str> = passages
        .iter()
        .filter(|passage| passage.is_live)
        .filter(|passage| plans[passage.plan].excluded.iter().any(|unit| passage.text.count(unit) > 0.0))
        .map(|passage| &*passage.id)
        .collect();
    let mut scores = BTreeMap::new();
    for Found { id, is_live, text, plan } in &passages {
        let Plan { optional, required, .. } = &plans[*plan];
        let optional: Vec<&(Unit, u32)> = optional.iter().filter(|(unit, _)| counts(unit)).collect();
        let has = |(unit, _): &(Unit, u32)| text.count(unit) > 0.0;
        let is_found =
            required.iter().all(has) && (!required.is_empty() || optional.iter().any(|unit| has(unit)));
        if *is_live && is_found && !excluded.contains(&**id) {
            let score: f64 =
                required.iter().chain(optional).map(|(unit, times)| score(unit, *times, text)).sum();
            let best: &mut f64 = scores.entry(id.clone()).or_default();
            *best = best.max(score);
        }
    }
    scores
}

fn part<'a>(segment: &Segment, passage: usize, text: &'a str) -> &'a str {
    let span = segment.span(passage).unwrap();
    span.map_or(text, |Passage { start, end }| &text[start as usize..end as usize])
}

/// Holds a search against the plain one: the same scores in the same order, each that of its document.
fn compare(snapshot: &Snapshot, text: &str, k: usize) {
    let query = WordQuery::parse(text);
    compare_query(snapshot, &query, text, k);
    compare_query(snapshot, &query.beside_meaning(), text, k);
}

fn compare_query(snapshot: &Snapshot, query: &WordQuery, text: &str, k: usize) {
    let mut expected = plain(snapshot, query);
    if let Some(selected) = snapshot.select_words(query, None).unwrap() {
        let fits = |id: &str| selected.rows_of(snapshot, id);
        assert!(expected.keys().all(|id| fits(id)), "{text}");
    }
    check(snapshot, query, &SearchOptions { k, ..SearchOptions::default() }, &expected, text);
    let even = snapshot.select(&Filter::parse("even = 1").unwrap()).unwrap();
    expected.retain(|id, _| id.parse::<u32>().unwrap().is_multiple_of(2));
    let among = SearchOptions { k, among: Some(even), ..SearchOptions::default() };
    check(snapshot, query, &among, &expected, text);
}

fn check(
    snapshot: &Snapshot,
    query: &WordQuery,
    options: &SearchOptions,
    expected: &BTreeMap<String, f64>,
    text: &str,
) {
    let found = snapshot.nearest_words(query, options).unwrap();
    let beside = snapshot
        .nearest_words_beside_all(std::slice::from_ref(query), std::slice::from_ref(&found), options)
        .unwrap();
    let (again, scores) = beside.into_iter().next().unwrap();
    assert_eq!(again, found, "{text}");
    let near = |(score, near): (&f32, &Neighbor)| (score - near.score).abs() <= 1e-5 * near.score.max(1.0);
    assert!(scores.iter().zip(&found).all(near), "{text}: {scores:?}");
    let hits = snapshot.hits(found).unwrap();
    let mut best: Vec<f64> = expected.values().copied().collect();
    best.sort_by(|a, b| b.total_cmp(a));
    best.truncate(options.k);
    assert_eq!(hits.len(), best.len(), "{text}");
    let mut seen = HashSet::new();
    for (hit, best) in hits.iter().zip(best) {
        assert!(
            (f64::from(hit.score) - best).abs() < 1e-4 * best.max(1.0),
            "{text}: {} and {best}",
            hit.score
        );
        let own = expected[&hit.document.id];
        assert!((own - best).abs() < 1e-4 * best.max(1.0), "{text}: {own} and {best}");
        assert!(seen.insert(&hit.document.id));
    }
}

impl Selection {
    /// Whether it has the document of an id.
    fn rows_of(&self, snapshot: &Snapshot, id: &str) -> bool {
        let doc = snapshot.find(id).unwrap().unwrap();
        let passages = snapshot.segments[doc.segment as usize].segment.passages_of(doc.document as usize);
        passages.unwrap().all(|passage| self.rows(doc.segment as usize).contains(passage as u32))
    }
}

#[test]
fn documents_are_selected_by_what_a_query_demands_and_forbids() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut index = Index::open_or_create_in(storage, &ModelIdentity::unknown(2)).unwrap();
    let texts = ["a red fox", "a fox that is red", "red fox and snake", ""];
    let documents: Vec<Document> = (0..)
        .zip(texts)
        .map(|(id, text)| Document { id: format!("{id}"), text: text.into(), ..Document::default() })
        .collect();
    index.upsert(&documents, &Embeddings::from_values(2, vec![1.0; 8])).unwrap();
    let snapshot = index.snapshot();
    let count = |text: &str, among: Option<&Selection>| {
        snapshot.select_words(&WordQuery::parse(text), among).unwrap().map(|selection| selection.len())
    };
    assert_eq!(count("red fox", None), None);
    assert_eq!(count("\"red fox\"", None), Some(2));
    assert_eq!(count("-snake", None), Some(3));
    assert_eq!(count("\"red fox\" -snake", None), Some(1));
    let selected = snapshot.select_words(&WordQuery::parse("-snake"), None).unwrap().unwrap();
    assert_eq!(count("\"red fox\"", Some(&selected)), Some(1));
    assert_eq!(WordQuery::parse("\"red fox\" auto* -snake").text(), "red fox auto");
}

/// Random numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// Some words; the first of them are frequent.
    fn words(&mut self, most: usize) -> String {
        const WORDS: &str = "the of and cat dogs running run Zürich foo_bar HttpServer 苹果树 犬 automatic automobile \
                             snake python two words v1.2 seldom";
        let words: Vec<&str> = WORDS.split(' ').collect();
        let count = self.below(most + 1);
        let word = |dice: &mut Self| {
            let most = 1 + dice.below(words.len());
            words[dice.below(most)]
        };
        (0..count).map(|_| word(self)).collect::<Vec<_>>().join(" ")
    }
}

fn add(index: &mut Index, dice: &mut Dice, ids: std::ops::Range<usize>) {
    let (mut documents, mut passages) = (Vec::new(), Vec::new());
    for id in ids {
        let parts: Vec<String> = (0..1 + dice.below(3)).map(|_| dice.words(30)).collect();
        let mut spans = Vec::new();
        let mut text = String::new();
        for part in parts {
            let start = text.len() as u32;
            text.push_str(&part);
            spans.push(Passage { start, end: text.len() as u32 });
            text.push(' ');
        }
        let mut metadata = crate::Metadata::new();
        metadata.insert("even".into(), (1 - id % 2).into());
        documents.push(Document { id: id.to_string(), text, metadata });
        passages.push(spans);
    }
    let rows = passages.iter().map(Vec::len).sum::<usize>();
    let values = (0..2 * rows).map(|_| dice.below(1000) as f32 - 500.0).collect();
    index.upsert_passages(&documents, Some(&passages), &Embeddings::from_values(2, values)).unwrap();
}

const QUERIES: [&str; 14] = [
    "cat",
    "the",
    "the of and cat",
    "the of seldom",
    "seldom v1.2",
    "\"two words\"",
    "\"the of\" cat -snake",
    "\"foo_bar\" the",
    "auto* the",
    "running dogs -\"two words\"",
    "苹果",
    "犬",
    "-cat",
    "nothing of that",
];

#[test]
fn searches_find_what_a_plain_one_finds_through_commits_deletes_and_merges() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut index = Index::open_or_create_in(storage, &ModelIdentity::unknown(2)).unwrap();
    let mut dice = Dice(5);
    let go_on = &|_, _| ControlFlow::Continue(());
    let ask = |index: &Index, dice: &mut Dice| {
        let snapshot = index.snapshot();
        for query in QUERIES {
            compare(&snapshot, query, [1, 10, 100][dice.below(3)]);
        }
        snapshot.verify().unwrap();
    };
    add(&mut index, &mut dice, 0..3);
    ask(&index, &mut dice);
    for round in 0..3 {
        add(&mut index, &mut dice, round * 300..round * 300 + 400);
        index.delete(&[&*(round * 300 + 7).to_string(), &*(round * 300 + 8).to_string()]).unwrap();
        ask(&index, &mut dice);
    }
    index.compact(go_on).unwrap();
    ask(&index, &mut dice);
    add(&mut index, &mut dice, 900..1100);
    ask(&index, &mut dice);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn random_queries_of_random_texts_find_what_a_plain_search_finds(seed in any::<u64>(), many in 1usize..120) {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let mut index = Index::open_or_create_in(storage, &ModelIdentity::unknown(2)).unwrap();
        let mut dice = Dice(seed);
        (0..3).for_each(|batch| add(&mut index, &mut dice, batch * many / 2..batch * many / 2 + many));
        index.delete(&["1", "5", "30"]).unwrap();
        for _ in 0..5 {
            let query = dice.words(6);
            compare(&index.snapshot(), &query, 1 + dice.below(20));
        }
    }
}

#[test]
fn an_index_without_words_has_no_sections_of_them_and_finds_nothing() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut index = Index::open_or_create_in(Arc::clone(&storage), &ModelIdentity::unknown(2)).unwrap();
    let documents: Vec<Document> =
        (0..5).map(|id| Document { id: id.to_string(), ..Document::default() }).collect();
    index.upsert(&documents, &Embeddings::from_values(2, vec![1.0; 10])).unwrap();
    let snapshot = index.snapshot();
    assert!(!snapshot.has_words().unwrap());
    assert!(snapshot.segments.iter().all(|view| view.segment.words().unwrap().is_none()));
    let found = snapshot.search_words(&WordQuery::parse("a"), &SearchOptions::default()).unwrap();
    assert_eq!(found, []);
}

#[test]
fn texts_are_scored_with_words_as_rare_as_in_the_index() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut index = Index::open_or_create_in(storage, &ModelIdentity::unknown(1)).unwrap();
    assert_eq!(index.snapshot().score_texts(&["a"], &["a"]).unwrap(), None);
    let texts = ["a common word", "a common thing", "a rare word", "something common"];
    let documents: Vec<Document> = texts
        .iter()
        .enumerate()
        .map(|(id, text)| Document { id: id.to_string(), text: (*text).into(), ..Document::default() })
        .collect();
    index.upsert(&documents, &Embeddings::from_values(1, vec![1.0; 4])).unwrap();
    let queries = ["\"rare\" -common", "unheard of"];
    let scores = index.snapshot().score_texts(&queries, &["rare", "common", "unheard"]).unwrap().unwrap();
    assert!(scores[0][0] > scores[0][1] && scores[0][1] > 0.0 && scores[0][2] == 0.0, "{scores:?}");
    assert_eq!(scores[1], [0.0; 3]);
}

#[test]
fn what_meaning_finds_has_its_similarity_and_no_score_by_words_it_lacks() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut index = Index::open_or_create_in(storage, &ModelIdentity::unknown(2)).unwrap();
    let document =
        |id: &str, text: &str| Document { id: id.into(), text: text.into(), ..Document::default() };
    let vectors = Embeddings::from_values(2, vec![1.0, 0.0, 0.6, 0.8]);
    index.upsert(&[document("a", "snow"), document("b", "rain and rain")], &vectors).unwrap();
    let snapshot = index.snapshot();
    let near = snapshot.nearest(&[0.0, 1.0], &SearchOptions::default()).unwrap();
    let similarities = snapshot.similarities(&[0.0, 1.0], &near).unwrap();
    assert_eq!(similarities, near.iter().map(|near| near.score).collect::<Vec<_>>());
    let queries = [WordQuery::plain("rain"), WordQuery::plain("snow")];
    let found = snapshot.nearest_words_beside_all(&queries, &[near.clone(), near], &SearchOptions::default());
    let found = found.unwrap();
    assert!(found[0].1[0] > 0.0 && found[0].1[1] == 0.0, "{found:?}");
    assert!(found[1].1[0] == 0.0 && found[1].1[1] > 0.0, "{found:?}");
    let other = Neighbor { passage: 9, ..found[0].0[0] };
    assert!(matches!(snapshot.similarities(&[0.0, 1.0], &[other]), Err(crate::Error::Stale(_))));
    let beside = snapshot.nearest_words_beside_all(&queries[..1], &[vec![other]], &SearchOptions::default());
    assert!(matches!(beside, Err(crate::Error::Stale(_))));
}

#[test]
fn an_estimate_of_the_model_is_kept_through_compaction_and_seen_by_readers() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut index = Index::open_or_create_in(Arc::clone(&storage), &ModelIdentity::unknown(1)).unwrap();
    let document = |id: &str| Document { id: id.into(), ..Document::default() };
    index.upsert(&[document("a"), document("b")], &Embeddings::from_values(1, vec![1.0; 2])).unwrap();
    assert_eq!((index.snapshot().trust(), index.snapshot().trusted_passages()), (0.0, 0));
    for wrong in [f32::NAN, 1.5] {
        assert!(matches!(index.set_trust(wrong), Err(crate::Error::Invalid(_))));
    }
    index.set_trust(-0.25).unwrap();
    index.delete(&["a"]).unwrap();
    index.compact(&|_, _| ControlFlow::Continue(())).unwrap();
    let reader = crate::Reader::of(storage, crate::ReaderOptions::default()).unwrap();
    assert_eq!((reader.snapshot().trust(), reader.snapshot().trusted_passages()), (-0.25, 2));
}

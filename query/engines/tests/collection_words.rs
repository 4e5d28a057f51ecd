//! Words in a collection of Milvus: what holds of it alone. Left out where no server can be started, or where it is older than 2.5.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::sync::atomic::{AtomicUsize, Ordering};

use akin_engines::milvus::{Address, MilvusEngine};
use akin_engines::{Ask, Engine, EngineOptions, Error};
use akin_fixtures::random;
use akin_index::{Document, Embeddings, ModelIdentity, WordQuery};

fn address(server: &str) -> Address {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Address::parse(&format!("{server}/w{}_{number}", std::process::id())).unwrap()
}

/// A server that keeps words.
fn server() -> Option<String> {
    let server = akin_fixtures::milvus()?;
    let engine = MilvusEngine::open_or_create(address(&server), &model(2)).unwrap();
    engine.has_words().then_some(server)
}

fn model(dimension: usize) -> ModelIdentity {
    ModelIdentity::new("a".repeat(64), "somewhere", dimension)
}

fn document(id: &str, text: &str) -> Document {
    Document { id: id.into(), text: text.into(), ..Document::default() }
}

fn ids(engine: &mut MilvusEngine, text: &str, k: usize) -> Vec<String> {
    let ask = Ask { k, ..Ask::default() };
    let hits = engine.by_words(&WordQuery::parse(text), &ask).unwrap();
    let mut ids: Vec<String> = hits.into_iter().map(|hit| hit.document.id).collect();
    ids.sort();
    ids
}

#[test]
fn words_of_every_script_are_found_as_in_an_index() {
    let Some(server) = server() else { return };
    let mut engine = MilvusEngine::open_or_create(address(&server), &model(3)).unwrap();
    let texts = [
        ("chinese", "我吃苹果树"),
        ("thai", "สวัสดีครับ"),
        ("hindi", "हिन्दी भाषा"),
        ("russian", "Зелёная ёлка"),
        ("code", "fn parse_header(httpServer)"),
        ("rare", "100% of \u{20000}\u{20001}"),
    ];
    let all: Vec<Document> = texts.iter().map(|(id, text)| document(id, text)).collect();
    engine.upsert(&all, None, &random::unit_vectors(all.len(), 3, 1)).unwrap();
    for (text, found) in [
        ("苹果", "chinese"),
        ("\"吃苹果\"", "chinese"),
        ("果", "chinese"),
        ("ครับ", "thai"),
        ("हिन्दी", "hindi"),
        ("हि*", "hindi"),
        ("ЕЛКА", "russian"),
        ("header", "code"),
        ("parse_header", "code"),
        ("\"parse header\"", "code"),
        ("serv*", "code"),
        ("\u{20000}\u{20001}", "rare"),
    ] {
        assert_eq!(ids(&mut engine, text, 9), [found], "{text}");
    }
    for nothing in ["\"果吃\"", "\"arse header\"", "a_c", "\"fn header\"", "हिन्दू"] {
        assert_eq!(ids(&mut engine, nothing, 9), Vec::<String>::new(), "{nothing}");
    }
}

#[test]
fn words_are_stemmed_in_the_language_that_the_collection_remembers() {
    let Some(server) = server() else { return };
    let address = address(&server);
    let open = |config: &EngineOptions| MilvusEngine::open_or_create_with(address.clone(), &model(2), config);
    let unknown = open(&EngineOptions::with_text_config("klingon")).err().unwrap();
    assert!(
        matches!(&unknown, Error::TextConfig { .. }) && unknown.to_string().contains("english"),
        "{unknown}"
    );
    assert!(matches!(MilvusEngine::open(address.clone()), Err(Error::NoTable { .. })));
    let mut engine = open(&EngineOptions::with_text_config("english")).unwrap();
    let texts = [document("a", "two dogs"), document("b", "nothing of it")];
    engine.upsert(&texts, None, &Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0])).unwrap();
    let mut again = open(&EngineOptions::default()).unwrap();
    assert_eq!(again.text_config(), Some("english"));
    assert_eq!(ids(&mut again, "dog", 9), ["a"]);
    assert_eq!(engine.unchanged(&texts).unwrap(), [true, true]);
    let other = open(&EngineOptions::with_text_config("simple")).err().unwrap();
    assert!(other.to_string().contains("kept by \"english\""), "{other}");
}

#[test]
fn a_collection_without_words_goes_on_without_and_says_so() {
    let Some(server) = server() else { return };
    let address = address(&server);
    let mut engine = MilvusEngine::open_or_create_with(
        address.clone(),
        &model(2),
        &EngineOptions::with_text_config("none"),
    )
    .unwrap();
    assert!(!engine.has_words() && engine.text_config().is_none());
    engine.upsert(&[document("a", "two dogs")], None, &Embeddings::from_values(2, vec![1.0, 0.0])).unwrap();
    let mut again = MilvusEngine::open_or_create(address.clone(), &model(2)).unwrap();
    assert_eq!(again.nearest(&[1.0, 0.0], &Ask::default()).unwrap()[0].document.text, "two dogs");
    let query = WordQuery::parse("dogs");
    assert!(matches!(again.by_words(&query, &Ask::default()), Err(Error::NoWords { .. })));
    assert!(matches!(again.by_both(&query, &[1.0, 0.0], &Ask::default()), Err(Error::NoWords { .. })));
    let refused = MilvusEngine::open_or_create_with(
        address.clone(),
        &model(2),
        &EngineOptions::with_text_config("simple"),
    )
    .err()
    .unwrap();
    assert!(refused.to_string().contains("was made without words"), "{refused}");
    MilvusEngine::open_or_create_with(address, &model(2), &EngineOptions::with_text_config("none")).unwrap();
}

#[test]
fn phrases_and_exclusions_of_more_documents_than_are_named_hold_all_the_same() {
    const ROWS: usize = 4150;
    let Some(server) = server() else { return };
    let mut engine = MilvusEngine::open_or_create(address(&server), &model(2)).unwrap();
    let text = |n: usize| match n % 1100 {
        7 => "only this".to_owned(),
        _ => "only the rest".to_owned(),
    };
    let all: Vec<Document> = (0..ROWS).map(|n| document(&format!("{n:04}"), &text(n))).collect();
    engine.upsert(&all, None, &random::unit_vectors(ROWS, 2, 3)).unwrap();
    let few = ["0007", "1107", "2207", "3307"];
    assert_eq!(ids(&mut engine, "only -rest", 9), few);
    let ask = Ask { k: 4, ..Ask::default() };
    let both = engine.by_both(&WordQuery::parse("only -rest"), &[1.0, 0.0], &ask).unwrap();
    let mut near: Vec<String> = both.by_meaning.into_iter().map(|hit| hit.document.id).collect();
    near.sort();
    assert_eq!(near, few);
    let both = engine.by_both(&WordQuery::parse("\"the rest\""), &[1.0, 0.0], &ask).unwrap();
    assert_eq!((both.by_meaning.len(), both.by_words.len()), (4, 4));
    let rest = |hits: &[akin_index::Hit]| hits.iter().all(|hit| hit.document.text == "only the rest");
    assert!(rest(&both.by_meaning) && rest(&both.by_words));
}

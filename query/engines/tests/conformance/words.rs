//! Words, and words beside meaning, are found alike by every engine that keeps words.

use super::*;

/// The same on those that keep words; the others say that they keep none.
fn on_each_with_words(model: &ModelIdentity, test: &dyn Fn(&mut dyn Engine)) {
    on_each(model, &|engine| match engine.has_words() {
        true => test(engine),
        false => {
            let query = WordQuery::parse("fox");
            let refused = engine.by_words(&query, &Ask::default()).unwrap_err();
            assert!(matches!(refused, Error::NoWords { .. }), "{refused}");
            let vector = vec![1.0; engine.model().dimension];
            let refused = engine.by_both(&query, &vector, &Ask::default()).unwrap_err();
            assert!(matches!(refused, Error::NoWords { .. }), "{refused}");
        }
    });
}

#[test]
fn words_are_found_by_their_rarity_with_phrases_beginnings_and_exclusions() {
    let texts = [
        ("fox", "a red fox in the snow"),
        ("snow", "the snow in the village"),
        ("bird", "the bird in the tree, the bird in the sky"),
        ("automat", "it's an automat"),
        ("foxes", "red, fox"),
        ("empty", ""),
        ("odd", "back\\slash 'quoted' o'clock & | ! :* <->"),
    ];
    let all: Vec<Document> =
        texts.iter().zip(0..).map(|((id, text), n)| document(id, text, json!({"n": n}))).collect();
    let vectors = random::unit_vectors(all.len(), 3, 1);
    on_each_with_words(&model(3), &|engine| {
        engine.upsert(&all, None, &vectors).unwrap();
        assert!(engine.has_words());
        let place = engine.place();
        let mut found = |text: &str, filter: Option<&str>, k: usize| -> Vec<String> {
            let filter = filter.map(|filter| Filter::parse(filter).unwrap());
            let ask = Ask { k, filter, ..Ask::default() };
            let hits = engine.by_words(&WordQuery::parse(text), &ask).unwrap();
            assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score), "{text} of {place}");
            assert!(hits.iter().all(|hit| hit.score > 0.0));
            hits.into_iter().map(|hit| hit.document.id).collect()
        };
        assert_eq!(found("the fox snow", None, 1), ["fox"]);
        assert_eq!(found("bird", None, 9), ["bird"]);
        let mut sorted = |text: &str, filter: Option<&str>| {
            let mut ids = found(text, filter, 9);
            ids.sort();
            ids
        };
        assert_eq!(sorted("fox", None), ["fox", "foxes"]);
        assert_eq!(sorted("fox", Some("n < 3")), ["fox"]);
        assert_eq!(sorted("FOX -snow", None), ["foxes"]);
        assert_eq!(sorted("\"fox in\"", None), ["fox"]);
        assert_eq!(sorted("the -\"the sky\"", None), ["fox", "snow"]);
        assert_eq!(sorted("auto*", None), ["automat"]);
        for nothing in ["", " ?! ", "-fox", "nobody", "back\0"] {
            let ids = sorted(nothing, None);
            assert!(ids.is_empty() || nothing.contains('\0'), "{nothing:?}: {ids:?}");
        }
        for odd in ["'quoted'", "o'clock*", "\"back\\slash\"", "& | ! :*", "\\*", "'* \"'\""] {
            sorted(odd, None);
        }
        assert_eq!(sorted("quoted", None), ["odd"]);
        engine.delete(&["fox"]).unwrap();
        let changed = document("foxes", "nothing of it", json!({}));
        engine.upsert(&[changed], None, &random::unit_vectors(1, 3, 2)).unwrap();
        let ask = Ask::default();
        assert_eq!(engine.by_words(&WordQuery::parse("fox"), &ask).unwrap(), []);
        assert_eq!(engine.by_words(&WordQuery::parse("nothing"), &ask).unwrap()[0].document.id, "foxes");
    });
}

#[test]
fn words_and_meaning_come_with_what_the_other_says_of_each() {
    on_each_with_words(&model(2), &|engine| {
        let long = document("long", "aaa bbb ccc", json!({"n": 1}));
        let texts =
            [long, document("short", "ccc", json!({"n": 2})), document("other", "ddd", json!({"n": 3}))];
        let span = |start, end| Passage { start, end };
        let passages = [vec![span(0, 3), span(4, 7), span(8, 11)], vec![span(0, 3)], vec![span(0, 3)]];
        let values = vec![1.0, 0.0, 0.9, 0.1, 0.8, 0.3, 0.0, 1.0, -1.0, 0.0];
        engine.upsert(&texts, Some(&passages), &Embeddings::from_values(2, values)).unwrap();
        let ids = |hits: &[akin_index::Hit]| -> Vec<String> {
            hits.iter().map(|hit| hit.document.id.clone()).collect()
        };
        let both = engine.by_both(&WordQuery::parse("ccc"), &[1.0, 0.0], &Ask::default()).unwrap();
        assert_eq!(ids(&both.by_meaning), ["long", "short", "other"]);
        let mut found = ids(&both.by_words);
        found.sort();
        assert_eq!(found, ["long", "short"]);
        let of_long = both.by_words.iter().position(|hit| hit.document.id == "long").unwrap();
        assert_eq!(both.by_words[of_long].passage, Some(span(8, 11)));
        assert!((both.similarities_of_found[of_long] - 0.936).abs() < 2e-3);
        // The passage that is nearest has another word.
        assert_eq!(both.words_of_near[0], 0.0);
        assert!(both.words_of_near[1] > 0.0 && both.words_of_near[2] == 0.0);
        assert!(both.background.deviation > 0.1 && both.background.mean.abs() < 1.0);
        let filter = Some(Filter::parse("n > 1").unwrap());
        let ask = Ask { filter, ..Ask::default() };
        let both = engine.by_both(&WordQuery::parse("ccc -ddd"), &[1.0, 0.0], &ask).unwrap();
        assert_eq!(
            (ids(&both.by_meaning), ids(&both.by_words)),
            (vec!["short".into()], vec!["short".into()])
        );
        let both = engine.by_both(&WordQuery::parse("\"aaa\""), &[1.0, 0.0], &Ask::default()).unwrap();
        assert_eq!(ids(&both.by_meaning), ["long"]);
    });
}

#[test]
fn phrases_and_exclusions_hold_for_whole_documents() {
    on_each_with_words(&model(2), &|engine| {
        let texts = [
            document("long", "aaa bbb. ccc snake", json!({})),
            document("short", "aaa", json!({})),
            document("snake", "a snake", json!({})),
        ];
        let span = |start, end| Passage { start, end };
        let passages = [vec![span(0, 8), span(9, 18)], vec![span(0, 3)], vec![span(0, 7)]];
        let vectors = Embeddings::from_values(2, vec![1.0, 0.0, 0.8, 0.6, 0.0, 1.0, -1.0, 0.0]);
        engine.upsert(&texts, Some(&passages), &vectors).unwrap();
        let place = engine.place();
        let mut found = |text: &str| {
            let query = WordQuery::parse(text);
            let ids = |hits: &[akin_index::Hit]| -> Vec<String> {
                hits.iter().map(|hit| hit.document.id.clone()).collect()
            };
            let alone = engine.by_words(&query, &Ask::default()).unwrap();
            let both = engine.by_both(&query, &[1.0, 0.0], &Ask::default()).unwrap();
            assert_eq!(ids(&both.by_words), ids(&alone), "{text} of {place}");
            assert_eq!(both.words_of_near.len(), both.by_meaning.len());
            assert_eq!(both.similarities_of_found.len(), both.by_words.len());
            (ids(&both.by_meaning), ids(&alone))
        };
        // The other passage of the document has it.
        assert_eq!(found("aaa -snake"), (vec!["short".into()], vec!["short".into()]));
        assert_eq!(found("bbb \"ccc snake\""), (vec!["long".into()], vec!["long".into()]));
        assert_eq!(found("\"bbb ccc\""), (vec![], vec![]));
        assert_eq!(found("zzz* -snake"), (vec!["short".into()], vec![]));
        let everything = vec!["long".into(), "short".into(), "snake".into()];
        assert_eq!(found("zzz -nobody"), (everything, vec![]));
        assert_eq!(found("-snake"), (vec![], vec![]));
    });
}

#[test]
fn a_table_without_words_gets_them_when_it_is_written_and_says_so_before() {
    let Some(address) = table() else { return };
    let parse = || Address::parse(&address).unwrap();
    let mut engine =
        PostgresEngine::open_or_create_with(parse(), &model(2), &EngineOptions::with_text_config("none"))
            .unwrap();
    let texts = [document("a", "two dogs", json!({})), document("b", "aaa dog", json!({}))];
    let span = |start, end| Passage { start, end };
    let passages = [vec![span(0, 8)], vec![span(0, 3), span(4, 7)]];
    let vectors = Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0, 0.5, 0.5]);
    engine.upsert(&texts, Some(&passages), &vectors).unwrap();
    let words = WordQuery::parse("dog");
    let ask = Ask::default();
    assert!(matches!(engine.by_words(&words, &ask), Err(Error::NoWords { .. })));
    assert!(!PostgresEngine::open_or_create(parse(), &model(2)).unwrap().has_words(), "none was chosen");
    // As an earlier release left it.
    let (server, name) = address.rsplit_once('/').unwrap();
    let mut client = postgres::Client::connect(server, postgres::NoTls).unwrap();
    let comment: String =
        client.query_one("SELECT obj_description(to_regclass($1), 'pg_class')", &[&name]).unwrap().get(0);
    let comment = comment.replace(",\"text_config\":\"none\"", "");
    assert!(!comment.contains("none\",\"text"), "{comment}");
    client.batch_execute(&format!("COMMENT ON TABLE {name} IS '{comment}'")).unwrap();
    let mut engine = PostgresEngine::open(parse()).unwrap();
    assert!(!engine.has_words() && matches!(engine.by_words(&words, &ask), Err(Error::NoWords { .. })));
    client.batch_execute(&format!("CREATE TABLE {name}_words (a int)")).unwrap();
    let refused = PostgresEngine::open_or_create(parse(), &model(2)).err().unwrap();
    assert!(
        matches!(&refused, Error::TextConfig { .. }) && refused.to_string().contains("not made by Akin"),
        "{refused}"
    );
    client.batch_execute(&format!("DROP TABLE {name}_words")).unwrap();
    let wrong =
        PostgresEngine::open_or_create_with(parse(), &model(2), &EngineOptions::with_text_config("klingon'"))
            .err()
            .unwrap();
    assert!(matches!(&wrong, Error::TextConfig { .. }), "{wrong}");
    let mut engine =
        PostgresEngine::open_or_create_with(parse(), &model(2), &EngineOptions::with_text_config("english"))
            .unwrap();
    let found: Vec<_> = engine.by_words(&words, &ask).unwrap();
    let mut ids: Vec<_> = found.iter().map(|hit| (hit.document.id.as_str(), hit.passage)).collect();
    ids.sort_by_key(|(id, _)| *id);
    assert_eq!(ids, [("a", None), ("b", Some(span(4, 7)))], "English makes one of dog and dogs");
    let other = engine.keep_words(Some("simple")).err().unwrap();
    assert!(other.to_string().contains("kept by \"english\""), "{other}");
    assert_eq!(PostgresEngine::open_or_create(parse(), &model(2)).unwrap().text_config(), Some("english"));
}

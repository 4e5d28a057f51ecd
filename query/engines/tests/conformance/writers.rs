//! Several writers of one place: what was acknowledged is there, and once.

use std::collections::BTreeMap;

use super::*;

const BATCHES: usize = 8;

/// Documents that one writer has alone, and those that both write.
const OWN: usize = 30;
const SHARED: usize = 10;

/// Opens a place once more.
type Open<'a> = &'a (dyn Fn() -> Box<dyn Engine> + Sync);

/// Runs a test on each server there is. Only one process changes a folder, so there are no two writers of one.
fn on_each_server(model: &ModelIdentity, test: &dyn Fn(Open<'_>)) {
    if let Some(table) = table() {
        let address = Address::parse(&table).unwrap();
        test(&|| Box::new(PostgresEngine::open_or_create(address.clone(), model).unwrap()));
    }
    if let Some(collection) = collection() {
        let address = milvus::Address::parse(&collection).unwrap();
        test(&|| Box::new(MilvusEngine::open_or_create(address.clone(), model).unwrap()));
    }
}

/// A document as a writer writes it in one of its batches, with its passages: their number changes from batch to batch.
fn written(id: &str, writer: usize, batch: usize, n: usize) -> (Document, Vec<Passage>, Vec<Vec<f32>>) {
    let parts = 1 + (writer + batch + n) % 3;
    let text = format!("{writer:03}{batch:03}{n:03}");
    let passages = (0..parts as u32).map(|part| Passage { start: 3 * part, end: 3 * part + 3 }).collect();
    let vectors = (0..parts).map(|part| [writer, batch, n, part + 1].map(|number| number as f32).to_vec());
    (document(id, &text, json!({"writer": writer, "batch": batch, "n": n})), passages, vectors.collect())
}

/// Writes all batches of a writer, each over the one before it, and deletes one document in the end.
fn write(engine: &mut dyn Engine, writer: usize) {
    for batch in 0..BATCHES {
        let own = (0..OWN).map(|n| written(&format!("{writer}-{n}"), writer, batch, n));
        let shared = (0..SHARED).map(|n| written(&format!("both-{n}"), writer, batch, n));
        let (mut documents, mut passages, mut embeddings) = (Vec::new(), Vec::new(), Embeddings::empty(4));
        for (document, of_document, vectors) in own.chain(shared) {
            documents.push(document);
            passages.push(of_document);
            vectors.iter().for_each(|vector| embeddings.push(vector));
        }
        assert!(engine.unchanged(&documents).unwrap().iter().all(|unchanged| !unchanged));
        engine.upsert(&documents, Some(&passages), &embeddings).unwrap();
    }
    assert_eq!(engine.delete(&[&format!("{writer}-0")]).unwrap(), [true]);
}

#[test]
fn two_writers_at_once_lose_nothing_that_was_acknowledged_and_double_nothing() {
    let model = ModelIdentity { similarity: Similarity::Dot, ..model(4) };
    on_each_server(&model, &|open| {
        let mut reader = open();
        std::thread::scope(|threads| {
            for writer in 0..2 {
                threads.spawn(move || write(&mut *open(), writer));
            }
        });
        let stored = all(&mut *reader);
        let of_id: BTreeMap<&str, &Stored> =
            stored.iter().map(|one| (one.document.id.as_str(), one)).collect();
        assert_eq!((stored.len(), of_id.len()), (2 * (OWN - 1) + SHARED, stored.len()));
        assert_eq!(reader.figures().unwrap().documents, stored.len());
        for (id, one) in &of_id {
            let number = |name: &str| one.document.metadata[name].as_u64().unwrap() as usize;
            let (document, passages, vectors) = written(id, number("writer"), number("batch"), number("n"));
            assert_eq!((&one.document, &one.vectors), (&document, &vectors), "{}", reader.place());
            if vectors.len() > 1 {
                assert_eq!(one.passages.as_ref(), Some(&passages));
            }
            assert_eq!(number("batch"), BATCHES - 1, "{id}: the last that was acknowledged stays");
        }
        // A search finds each once, too.
        let ask = Ask { k: 1000, ..Ask::default() };
        let mut found = ids(&mut *reader, &[1.0, 1.0, 1.0, 1.0], &ask);
        found.sort();
        assert_eq!(found, of_id.keys().copied().collect::<Vec<_>>());
    });
}

#[test]
fn what_another_writer_brought_since_it_was_looked_for_is_replaced() {
    on_each_server(&model(2), &|open| {
        let (mut first, mut second) = (open(), open());
        let ours = [document("a", "ours", json!({})), document("b", "new", json!({}))];
        let vectors = Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0]);
        assert_eq!(first.unchanged(&ours).unwrap(), [false, false]);
        let theirs = [document("a", "theirs", json!({}))];
        second.upsert(&theirs, None, &Embeddings::from_values(2, vec![0.0, 1.0])).unwrap();
        let upserted = first.upsert(&ours, None, &vectors).unwrap();
        assert_eq!(all(&mut *second).into_iter().map(|one| one.document).collect::<Vec<_>>(), ours);
        // Milvus may take some seconds to tell one writer of what another wrote, so that it may count it as added.
        if !second.place().starts_with("milvus://") {
            assert_eq!((upserted.added, upserted.replaced), (1, 1));
        }
        let mut reader = open();
        if reader.has_words() {
            let mut found =
                |text: &str| reader.by_words(&WordQuery::plain(text), &Ask::default()).unwrap().len();
            assert_eq!((found("ours"), found("theirs")), (1, 0));
        }
    });
}

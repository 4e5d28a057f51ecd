//! What an index is held against: a map of documents by their ids.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use akin_fixtures::Random;
use akin_index::{
    Document, Embeddings, Filter, Index, ModelIdentity, Passage, SEAL_PASSAGES, SearchOptions, Snapshot,
};

use super::Faulty;

/// The length of every vector here.
pub const DIMENSION: usize = 4;

/// The model of every index here.
pub fn identity() -> ModelIdentity {
    ModelIdentity::new("b".repeat(64), "tiny", DIMENSION)
}

/// A document with its passages and their vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub document: Document,
    /// None where the document is one passage.
    pub passages: Option<Vec<Passage>>,
    pub vectors: Vec<Vec<f32>>,
}

impl Entry {
    /// A document with a content that no other has; of `passages` passages, or whole if that is none.
    pub fn random(id: &str, passages: Option<u64>, random: &mut Random) -> Self {
        let mut document = Document { id: id.into(), ..Document::default() };
        let parts = 1 + random.below(3) as usize * usize::from(random.once_in(2)) * 40;
        // A word that all have, one that some have, and one of its own.
        let some = random.below(30);
        document.text = format!("a word {some:02} of {some:02} ");
        document.text.push_str(&format!("{:016x} ", random.bits()).repeat(parts.max(4)));
        document.metadata.insert("parity".into(), (random.bits() % 2).into());
        let spans = passages.map(|passages| {
            let span = |at: u64| Passage { start: 16 * at as u32, end: 16 * (at + 1) as u32 };
            (0..passages).map(span).collect::<Vec<_>>()
        });
        let vectors = (0..passages.unwrap_or(1)).map(|_| vector(random)).collect();
        Self { document, passages: spans, vectors }
    }

    fn is_even(&self) -> bool {
        self.document.metadata["parity"] == 0
    }
}

/// A random unit vector, or one of three that many passages have.
fn vector(random: &mut Random) -> Vec<f32> {
    if !random.once_in(4) {
        return direction(random);
    }
    let mut vector = vec![0.0; DIMENSION];
    vector[random.below(3) as usize] = 1.0;
    vector
}

/// A random unit vector.
fn direction(random: &mut Random) -> Vec<f32> {
    let mut uniform = || random.below(1 << 24) as f64 / f64::from(1 << 23) - 1.0;
    loop {
        let vector: Vec<f64> = (0..DIMENSION).map(|_| uniform()).collect();
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        if (0.1..1.0).contains(&norm) {
            return vector.iter().map(|x| (x / norm) as f32).collect();
        }
    }
}

/// What an index holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    pub entries: BTreeMap<String, Arc<Entry>>,
    /// The default `ef`, where one was set.
    pub ef: Option<usize>,
}

impl Model {
    pub fn with(mut self, entries: &[Entry]) -> Self {
        for entry in entries {
            self.entries.insert(entry.document.id.clone(), Arc::new(entry.clone()));
        }
        self
    }

    pub fn without(mut self, ids: &[&str]) -> Self {
        ids.iter().for_each(|id| drop(self.entries.remove(*id)));
        self
    }

    /// Says how a snapshot differs from it.
    pub fn compare(&self, snapshot: &Snapshot) -> Result<(), String> {
        if snapshot.len() != self.entries.len() {
            return Err(format!("{} documents and not {}", snapshot.len(), self.entries.len()));
        }
        if self.ef.is_some_and(|ef| ef != snapshot.default_ef()) {
            return Err(format!("ef {} and not {:?}", snapshot.default_ef(), self.ef));
        }
        let docs = snapshot.docs().unwrap();
        assert_eq!(docs.len(), snapshot.len());
        for doc in docs {
            let document = snapshot.document(doc).unwrap();
            let Some(entry) = self.entries.get(&document.id) else {
                return Err(format!("{} is there", document.id));
            };
            if entry.document != document {
                return Err(format!("{} has another text", document.id));
            }
            if entry.vectors != snapshot.vectors(doc).unwrap() {
                return Err(format!("{} has other vectors", document.id));
            }
        }
        Ok(())
    }

    /// Asks a snapshot that compares as equal: by id, by vector and by filter.
    pub fn ask(&self, snapshot: &Snapshot, random: &mut Random) {
        let even = snapshot.select(&Filter::parse("parity = 0").unwrap()).unwrap();
        assert_eq!(even.len(), self.entries.values().filter(|entry| entry.is_even()).count());
        assert_eq!(snapshot.get("never there").unwrap(), None);
        let ids: Vec<&String> = self.entries.keys().collect();
        for _ in 0..if ids.is_empty() { 0 } else { 3 } {
            let entry = &self.entries[*random.pick(&ids)];
            let id = &entry.document.id;
            assert_eq!(snapshot.get(id).unwrap().as_ref(), Some(&entry.document));
            assert!(snapshot.is_unchanged(&entry.document).unwrap());
            let part = random.below(entry.vectors.len() as u64) as usize;
            let vector = &entry.vectors[part];
            for exact in [true, false] {
                let options = SearchOptions { k: 5, exact, ..SearchOptions::default() };
                let hits = snapshot.search(vector, &options).unwrap();
                assert_eq!(hits.len(), 5.min(self.entries.len()));
                for hit in &hits {
                    assert_eq!(self.entries[&hit.document.id].document, hit.document);
                }
                let own = hits.iter().find(|hit| hit.document.id == *id);
                if let Some(own) = own {
                    assert!((own.score - 1.0).abs() < 1e-5);
                    // The first of its passages that have this vector.
                    let part = entry.vectors.iter().position(|other| other == vector).unwrap();
                    let expected = entry.passages.as_ref().map(|passages| passages[part]);
                    assert_eq!(own.passage, expected, "{id}");
                }
                assert!(
                    own.is_some() || !exact || full_of_equals(&hits),
                    "{id} is not found by its own vector"
                );
            }
            let among = SearchOptions { k: 5, among: Some(even.clone()), ..SearchOptions::default() };
            let hits = snapshot.search(vector, &among).unwrap();
            assert_eq!(hits.len(), 5.min(even.len()));
            assert!(hits.iter().all(|hit| self.entries[&hit.document.id].is_even()));
            let found = hits.iter().any(|hit| hit.document.id == *id);
            let crowded = entry.is_even() && full_of_equals(&hits);
            assert!(found == entry.is_even() || crowded, "{id} among {} documents", even.len());
        }
    }
}

/// Whether all hits are as near as can be, so that others of the same vector found no place.
fn full_of_equals(hits: &[akin_index::Hit]) -> bool {
    hits.len() == 5 && hits.iter().all(|hit| hit.score > 1.0 - 1e-5)
}

/// Adds entries; with passages if each of them has some.
pub fn upsert(index: &mut Index, entries: &[Entry]) -> akin_index::Result<akin_index::Upserted> {
    let documents: Vec<Document> = entries.iter().map(|entry| entry.document.clone()).collect();
    let mut embeddings = Embeddings::empty(DIMENSION);
    entries.iter().flat_map(|entry| &entry.vectors).for_each(|vector| embeddings.push(vector));
    let passages: Option<Vec<Vec<Passage>>> = entries.iter().map(|entry| entry.passages.clone()).collect();
    index.upsert_passages(&documents, passages.as_deref(), &embeddings)
}

/// The id of document `i` of [`sealed`].
pub fn sealed_id(i: u64) -> String {
    format!("sealed {i}")
}

/// Documents of [`sealed`].
pub const SEALED: u64 = 2 * 3000;

/// A closed index with two sealed segments, some of whose documents have several passages and some are deleted.
pub fn sealed() -> &'static (Faulty, Model) {
    static SEALED_INDEX: OnceLock<(Faulty, Model)> = OnceLock::new();
    SEALED_INDEX.get_or_init(|| {
        let (disk, mut random) = (Faulty::new(1), Random::new(7));
        let mut model = Model::default();
        let mut index = Index::open_or_create_in(Arc::new(disk.clone()), &identity()).unwrap();
        for half in 0..2 {
            let ids = (half * SEALED / 2..(half + 1) * SEALED / 2).map(sealed_id);
            let entries: Vec<Entry> =
                ids.map(|id| Entry::random(&id, Some(1 + random.below(3)), &mut random)).collect();
            assert!(entries.iter().map(|entry| entry.vectors.len()).sum::<usize>() >= SEAL_PASSAGES);
            upsert(&mut index, &entries).unwrap();
            index.seal(&|_, _| std::ops::ControlFlow::Continue(())).unwrap();
            model = model.with(&entries);
        }
        let dead: Vec<String> = (0..SEALED).step_by(9).map(sealed_id).collect();
        let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
        index.delete(&dead).unwrap();
        (disk, model.without(&dead))
    })
}

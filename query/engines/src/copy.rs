//! Copies the documents of one engine into another, with their vectors, and proves it.
//!
//! What the other has already is passed over, so that a copy that was interrupted goes on. At the end everything is read back:
//! each document must have its text, fields and passages, and vectors that are near enough. Those that have not are sent again.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use akin_index::{Document, Embeddings, Passage};
use sha2::{Digest, Sha256};

use crate::{Engine, Error, Progress, Result, Source, Stored};

/// Documents and numbers of vectors that are sent together, at most.
const BATCH_DOCUMENTS: usize = 1000;
const BATCH_NUMBERS: usize = 1 << 20;

/// Sums of a document's vectors that are compared, each with other signs.
const SUMS: usize = 4;

/// By how much of the magnitude of its numbers such a sum may differ. An engine may keep a number in 16 bits, which err by half of this.
const TOLERANCE: f32 = 1.0 / 1024.0;

/// What a copy came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// Documents of the source.
    pub documents: usize,
    /// Their passages.
    pub passages: usize,
    /// Documents that the target had not.
    pub added: usize,
    /// Documents that it had otherwise.
    pub replaced: usize,
    /// Documents that it had.
    pub unchanged: usize,
    /// Documents of the target that the source has not. They stay.
    pub others: usize,
}

/// Where a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It sends documents.
    Sending,
    /// The target builds what searches need.
    Building,
    /// It reads back what is there.
    Checking,
}

/// Hears what a copy does, how much of it is done and how much there is, and may stop it.
pub type Watch<'a> = &'a (dyn Fn(Step, usize, usize) -> ControlFlow<()> + Sync);

/// Brings all documents of `from` into `to`, and reads them back.
///
/// It takes some 60 bytes of memory a document.
///
/// # Errors
/// [`Error::OtherModel`] if the two have different models; [`Error::Copy`] if documents are not there as they were sent;
/// what the two report. What was sent before stays.
pub fn copy(from: &mut dyn Source, to: &mut dyn Engine, watch: Watch<'_>) -> Result<Copied> {
    if let Some(what) = from.model().difference(to.model()) {
        return Err(Error::OtherModel { place: to.place(), built_with: Box::new(to.model().clone()), what });
    }
    let figures = from.figures()?;
    let mut copied = Copied::default();
    let mut marks = HashMap::with_capacity(figures.documents);
    let mut batch = Batch::default();
    from.each(&mut |stored| {
        hear(watch(Step::Sending, copied.documents, figures.documents))?;
        copied.documents += 1;
        copied.passages += stored.vectors.len();
        marks.insert(key(&stored.document.id), Mark::of(&stored));
        batch.push(stored);
        if batch.is_full() { batch.send_changed(to, &mut copied) } else { Ok(()) }
    })?;
    batch.send_changed(to, &mut copied)?;
    finish(to, watch)?;
    let wrong = check(to, &marks, &mut copied, watch)?;
    if wrong.is_empty() {
        return Ok(copied);
    }
    // A document whose text was there may have had other vectors.
    from.each(&mut |stored| {
        hear(watch(Step::Sending, copied.documents, figures.documents))?;
        if wrong.contains(&key(&stored.document.id)) {
            batch.push(stored);
        }
        if batch.is_full() { batch.send(to, &mut copied) } else { Ok(()) }
    })?;
    batch.send(to, &mut copied)?;
    copied.unchanged = copied.unchanged.saturating_sub(wrong.len());
    finish(to, watch)?;
    match check(to, &marks, &mut copied, watch)?.len() {
        0 => Ok(copied),
        count => Err(Error::Copy { place: to.place(), count }),
    }
}

fn finish(to: &mut dyn Engine, watch: Watch<'_>) -> Result<()> {
    let progress: Progress<'_> = &|done, of| watch(Step::Building, done, of);
    to.finish(progress)
}

fn hear(flow: ControlFlow<()>) -> Result<()> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(akin_index::Error::Cancelled.into()),
    }
}

/// The documents that are not in `to` as they were marked.
fn check(
    to: &mut dyn Engine,
    marks: &HashMap<u64, Mark>,
    copied: &mut Copied,
    watch: Watch<'_>,
) -> Result<HashSet<u64>> {
    let of = to.figures()?.documents;
    let mut wrong: HashSet<u64> = marks.keys().copied().collect();
    let mut read = 0;
    copied.others = 0;
    to.each(&mut |stored| {
        hear(watch(Step::Checking, read, of))?;
        read += 1;
        let key = key(&stored.document.id);
        match marks.get(&key) {
            None => copied.others += 1,
            Some(mark) if mark.is_near(&Mark::of(&stored)) => drop(wrong.remove(&key)),
            Some(_) => {}
        }
        Ok(())
    })?;
    Ok(wrong)
}

/// Documents on their way.
#[derive(Default)]
struct Batch {
    stored: Vec<Stored>,
    numbers: usize,
}

impl Batch {
    fn push(&mut self, stored: Stored) {
        self.numbers += stored.vectors.iter().map(Vec::len).sum::<usize>();
        self.stored.push(stored);
    }

    fn is_full(&self) -> bool {
        self.stored.len() >= BATCH_DOCUMENTS || self.numbers >= BATCH_NUMBERS
    }

    /// Sends those that the target has not.
    fn send_changed(&mut self, to: &mut dyn Engine, copied: &mut Copied) -> Result<()> {
        let documents: Vec<Document> = self.stored.iter().map(|stored| stored.document.clone()).collect();
        let mut unchanged = to.unchanged(&documents)?.into_iter();
        let before = self.stored.len();
        self.stored.retain(|_| !unchanged.next().unwrap_or(false));
        copied.unchanged += before - self.stored.len();
        self.send(to, copied)
    }

    fn send(&mut self, to: &mut dyn Engine, copied: &mut Copied) -> Result<()> {
        self.numbers = 0;
        let stored = std::mem::take(&mut self.stored);
        if stored.is_empty() {
            return Ok(());
        }
        let mut rows = Embeddings::empty(to.model().dimension);
        let (mut documents, mut passages) = (Vec::new(), Vec::new());
        let has_passages = stored.iter().any(|stored| stored.passages.is_some());
        for stored in stored {
            if stored.vectors.iter().any(|vector| vector.len() != rows.dimension()) {
                return Err(
                    akin_index::Error::Invalid("a vector has another length than the others".into()).into()
                );
            }
            stored.vectors.iter().for_each(|vector| rows.push(vector));
            let end = stored.document.text.len().try_into().unwrap_or(u32::MAX);
            passages.push(stored.passages.unwrap_or_else(|| vec![Passage { start: 0, end }]));
            documents.push(stored.document);
        }
        let upserted = to.upsert(&documents, has_passages.then_some(&passages[..]), &rows)?;
        copied.added += upserted.added;
        copied.replaced += upserted.replaced;
        Ok(())
    }
}

/// What a document is recognised by.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Of its text, fields and passages.
    content: u64,
    sums: [f32; SUMS],
    /// The sum of the magnitudes of all numbers.
    magnitude: f32,
}

impl Mark {
    fn of(stored: &Stored) -> Self {
        let document = &stored.document;
        let mut hasher = Sha256::new();
        hasher.update((document.text.len() as u64).to_le_bytes());
        hasher.update(document.text.as_bytes());
        hasher.update(serde_json::to_string(&document.metadata).unwrap_or_default().as_bytes());
        hasher.update((stored.vectors.len() as u64).to_le_bytes());
        // The only passage of a document is its text.
        for passage in stored.passages.iter().filter(|passages| passages.len() != 1).flatten() {
            hasher.update(passage.start.to_le_bytes());
            hasher.update(passage.end.to_le_bytes());
        }
        let (mut sums, mut magnitude) = ([0f64; SUMS], 0f64);
        let mut signs = Signs(0);
        for number in stored.vectors.iter().flatten() {
            let (number, bits) = (f64::from(*number), signs.next());
            magnitude += number.abs();
            for (at, sum) in sums.iter_mut().enumerate() {
                *sum += if bits >> at & 1 == 1 { number } else { -number };
            }
        }
        let content = first_bytes(hasher);
        Self { content, sums: sums.map(|sum| sum as f32), magnitude: magnitude as f32 }
    }

    fn is_near(&self, other: &Self) -> bool {
        let tolerance = TOLERANCE * self.magnitude.max(other.magnitude) + f32::MIN_POSITIVE;
        let near = |(one, other): (&f32, &f32)| (one - other).abs() <= tolerance;
        self.content == other.content && self.sums.iter().zip(&other.sums).all(near)
    }
}

/// Bits without a pattern, always the same (splitmix64).
struct Signs(u64);

impl Signs {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn key(id: &str) -> u64 {
    first_bytes(Sha256::new_with_prefix(id.as_bytes()))
}

fn first_bytes(hasher: Sha256) -> u64 {
    let digest = hasher.finalize();
    u64::from_le_bytes(*digest.first_chunk().expect("a SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use akin_index::{Index, ModelIdentity};
    use tempfile::TempDir;

    use super::*;
    use crate::folder::{FolderEngine, FolderSource};

    fn document(id: usize, text: &str) -> Document {
        Document { id: format!("d{id}"), text: text.into(), ..Document::default() }
    }

    fn vector(seed: usize) -> [f32; 3] {
        let angle = seed as f32;
        let (sine, cosine) = angle.sin_cos();
        [sine, cosine * 0.6, cosine * 0.8]
    }

    fn write(index: &mut Index, ids: std::ops::Range<usize>, text: &str, turn: usize) {
        let documents: Vec<Document> = ids.clone().map(|id| document(id, text)).collect();
        let values = ids.flat_map(|id| vector(id + turn)).collect();
        index.upsert(&documents, &Embeddings::from_values(3, values)).unwrap();
    }

    fn run(from: &TempDir, to: &TempDir) -> Result<Copied> {
        let mut from = FolderSource::open(&from.path().join("index"))?;
        let mut to = FolderEngine::open_or_create(&to.path().join("index"), from.model())?;
        copy(&mut from, &mut to, &|_, _, _| ControlFlow::Continue(()))
    }

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn index(folder: &TempDir) -> Index {
        Index::open_or_create(&folder.path().join("index"), &ModelIdentity::unknown(3)).unwrap()
    }

    #[test]
    fn a_copy_has_everything_and_a_second_one_sends_nothing() {
        let (from, to) = (folder(), folder());
        let mut original = index(&from);
        write(&mut original, 0..2500, "a text", 0);
        let spans = vec![vec![Passage { start: 0, end: 3 }, Passage { start: 4, end: 7 }]];
        let rows = Embeddings::from_values(3, [vector(7), vector(9)].concat());
        original.upsert_passages(&[document(9999, "one two")], Some(&spans), &rows).unwrap();
        original.delete(&["d3"]).unwrap();
        drop(original);
        let copied = run(&from, &to).unwrap();
        let whole = Copied { documents: 2500, passages: 2501, added: 2500, ..Copied::default() };
        assert_eq!(copied, whole);
        let again = run(&from, &to).unwrap();
        assert_eq!(again, Copied { added: 0, unchanged: 2500, ..whole });
        let copy = index(&to).snapshot();
        let doc = copy.find("d9999").unwrap().unwrap();
        assert_eq!(copy.passages(doc).unwrap().as_ref(), Some(&spans[0]));
        assert_eq!(copy.vectors(doc).unwrap(), [vector(7), vector(9)]);
    }

    #[test]
    fn what_differs_is_sent_again_even_if_only_its_vector_does_and_others_stay() {
        let (from, to) = (folder(), folder());
        write(&mut index(&from), 0..20, "a text", 0);
        let mut target = index(&to);
        write(&mut target, 0..10, "a text", 0);
        write(&mut target, 10..12, "a text", 100);
        write(&mut target, 12..14, "another", 0);
        write(&mut target, 50..53, "a stranger", 0);
        drop(target);
        let copied = run(&from, &to).unwrap();
        let expected =
            Copied { documents: 20, passages: 20, added: 6, replaced: 4, unchanged: 10, others: 3 };
        assert_eq!(copied, expected);
        assert_eq!(run(&from, &to).unwrap(), Copied { added: 0, replaced: 0, unchanged: 20, ..expected });
        let snapshot = index(&to).snapshot();
        let doc = snapshot.find("d11").unwrap().unwrap();
        assert_eq!(snapshot.vectors(doc).unwrap(), [vector(11)]);
    }

    #[test]
    fn a_copy_that_is_stopped_keeps_what_it_sent_and_goes_on() {
        let (from, to) = (folder(), folder());
        write(&mut index(&from), 0..3000, "a text", 0);
        let mut source = FolderSource::open(&from.path().join("index")).unwrap();
        let mut target = FolderEngine::open_or_create(&to.path().join("index"), source.model()).unwrap();
        let heard = Mutex::new(0);
        let stopped = copy(&mut source, &mut target, &|step, done, _| {
            *heard.lock().unwrap() = done;
            if step == Step::Sending && done == 1500 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(stopped, Err(Error::Index(akin_index::Error::Cancelled))), "{stopped:?}");
        assert_eq!(*heard.lock().unwrap(), 1500);
        drop(target);
        let copied = run(&from, &to).unwrap();
        assert_eq!((copied.added, copied.unchanged), (2000, 1000));
    }

    #[test]
    fn another_model_is_refused_and_a_target_that_loses_documents_is_told() {
        let (from, to) = (folder(), folder());
        write(&mut index(&from), 0..3, "a text", 0);
        let other = ModelIdentity::new("b".repeat(64), "other", 3);
        drop(Index::open_or_create(&to.path().join("index"), &other).unwrap());
        let mut source = FolderSource::open(&from.path().join("index")).unwrap();
        let mut target = FolderEngine::open_or_create(&to.path().join("index"), &other).unwrap();
        let go_on: Watch<'_> = &|_, _, _| ControlFlow::Continue(());
        assert!(matches!(copy(&mut source, &mut target, go_on), Err(Error::OtherModel { .. })));
        let elsewhere = folder();
        let path = elsewhere.path().join("index");
        let mut forgetful = Forgetful(FolderEngine::open_or_create(&path, source.model()).unwrap());
        let failed = copy(&mut source, &mut forgetful, go_on);
        assert!(matches!(failed, Err(Error::Copy { count: 1, .. })), "{failed:?}");
    }

    /// An engine that forgets the document d1 whenever it is asked to finish.
    struct Forgetful(FolderEngine);

    impl Source for Forgetful {
        fn place(&self) -> String {
            self.0.place()
        }
        fn model(&self) -> &ModelIdentity {
            self.0.model()
        }
        fn figures(&mut self) -> Result<crate::Figures> {
            self.0.figures()
        }
        fn each(&mut self, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
            self.0.each(show)
        }
    }

    impl Engine for Forgetful {
        fn unchanged(&mut self, documents: &[Document]) -> Result<Vec<bool>> {
            self.0.unchanged(documents)
        }
        fn upsert(
            &mut self,
            documents: &[Document],
            passages: Option<&[Vec<Passage>]>,
            embeddings: &Embeddings,
        ) -> Result<akin_index::Upserted> {
            self.0.upsert(documents, passages, embeddings)
        }
        fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
            self.0.delete(ids)
        }
        fn finish(&mut self, progress: Progress<'_>) -> Result<()> {
            self.0.delete(&["d1"])?;
            self.0.finish(progress)
        }
        fn nearest(&mut self, query: &[f32], ask: &crate::Ask) -> Result<Vec<akin_index::Hit>> {
            self.0.nearest(query, ask)
        }
    }
}

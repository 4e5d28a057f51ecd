//! The map of an index: a place in the plane for each document, regions with names, and fields to colour by.
//!
//! `fields` chooses the fields, `packed` writes a map as JSON with packed arrays, `file` as one HTML file that needs nothing
//! else, and `cache` keeps the map of a served index.

mod cache;
mod fields;
mod file;
mod packed;

use akin_index::{Metadata, Progress, Result, Snapshot};
use akin_mining::Sentences;
use akin_mining::map::labels::label;
use akin_mining::map::quality::neighbors_kept;
use akin_mining::map::regions::{Regions, regions};
use akin_mining::map::{LayoutOptions, layout_with};

pub(crate) use self::cache::on_half_the_processors;
pub use self::cache::{MapCache, MapState};
use self::fields::Field;

/// Characters of a text that a map keeps, at most.
pub const TEXT_LIMIT: usize = 200;
/// Bytes of a text that name its region.
const READ_LIMIT: usize = 1024;
/// The nearest documents of which [`CorpusMap::kept`] is measured.
pub const KEPT_OF: usize = 15;

/// The map of the documents of one snapshot.
#[derive(Debug, Clone)]
pub struct CorpusMap {
    /// The commit that it shows.
    pub generation: u64,
    /// The ids of the documents.
    pub ids: Vec<String>,
    /// The beginnings of their texts, up to [`TEXT_LIMIT`] characters.
    pub texts: Vec<String>,
    /// Their places.
    pub places: Vec<[f32; 2]>,
    /// The regions that they lie in.
    pub regions: Regions,
    /// The share of the 15 nearest documents of a document that are among its 15 nearest on the map.
    pub kept: f64,
    fields: Vec<Field>,
}

impl CorpusMap {
    /// Makes the map. `progress` hears how much of the work is done and how much there is, and may stop it.
    ///
    /// # Errors
    /// What the index reports, and [`Cancelled`](akin_index::Error::Cancelled) if `progress` stopped it.
    pub fn of(snapshot: &Snapshot, options: &LayoutOptions, progress: Progress<'_>) -> Result<Self> {
        let docs = snapshot.docs()?;
        let total = 4 * docs.len();
        let (mut ids, mut texts) = (Vec::with_capacity(docs.len()), Vec::with_capacity(docs.len()));
        let mut metadata: Vec<Metadata> = Vec::with_capacity(docs.len());
        let mut sentences = Sentences::new(snapshot.model().dimension);
        for (place, doc) in docs.iter().enumerate() {
            if place % 1024 == 0 {
                go_on(progress, place, total)?;
            }
            let document = snapshot.document(*doc)?;
            sentences.push(&mean_direction(&snapshot.vectors(*doc)?, snapshot.model().dimension));
            ids.push(document.id);
            texts.push(beginning(document.text, READ_LIMIT));
            metadata.push(document.metadata);
        }
        let distinct = sentences.distinct();
        let laid_out = |done: usize, of: usize| {
            progress(docs.len() + (3 * docs.len() * done).checked_div(of).unwrap_or(0), total)
        };
        let layout = layout_with(distinct, options, &laid_out).map_err(|_| akin_index::Error::Cancelled)?;
        let kept = neighbors_kept(distinct, &layout, KEPT_OF);
        let places: Vec<[f32; 2]> = (0..docs.len()).map(|doc| layout[sentences.row_of(doc)]).collect();
        let mut regions = regions(&places, options.seed);
        label(&mut regions, &|row| &texts[row]);
        let texts = texts.into_iter().map(shortened).collect();
        let fields = fields::choose(&metadata);
        go_on(progress, total, total)?;
        Ok(Self { generation: snapshot.generation(), ids, texts, places, regions, kept, fields })
    }

    /// How many documents it has.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

fn go_on(progress: Progress<'_>, done: usize, total: usize) -> Result<()> {
    match progress(done, total) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(()) => Err(akin_index::Error::Cancelled),
    }
}

/// The direction of the mean of a document's passages, of length one; zeros where they cancel out.
pub(crate) fn mean_direction(passages: &[Vec<f32>], dimension: usize) -> Vec<f32> {
    let mut sum = vec![0f32; dimension];
    for passage in passages {
        sum.iter_mut().zip(passage).for_each(|(sum, value)| *sum += value);
    }
    let length = akin_index::Similarity::Dot.of(&sum, &sum).sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    sum.iter_mut().for_each(|value| *value *= scale);
    sum
}

/// The first bytes of a text, up to `limit`.
fn beginning(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text.shrink_to_fit();
    text
}

/// The first characters of a text, with `…` where some are left out.
fn shortened(text: String) -> String {
    match text.char_indices().nth(TEXT_LIMIT) {
        None => text,
        Some((end, _)) => text[..end].trim_end().to_owned() + "…",
    }
}

/// Two documents with texts that must not become markup.
#[cfg(test)]
fn tiny() -> CorpusMap {
    CorpusMap {
        generation: 1,
        ids: vec!["a".into(), "</script><b>".into()],
        texts: vec!["</script><script>alert(1)</script>".into(), "<!-- & \u{2028} \"quoted\" é".into()],
        places: vec![[0.5, -1.0], [2.0, 3.0]],
        regions: regions(&[[0.5, -1.0], [2.0, 3.0]], 1),
        kept: 1.0,
        fields: fields::choose(&[Metadata::new(), Metadata::new()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("é".repeat(TEXT_LIMIT)), "é".repeat(TEXT_LIMIT));
        assert_eq!(shortened("é".repeat(TEXT_LIMIT + 1)).chars().count(), TEXT_LIMIT + 1);
        assert_eq!(beginning("aé".into(), 2), "a");
    }

    #[test]
    fn a_document_has_the_direction_of_its_passages() {
        assert_eq!(mean_direction(&[vec![3.0, 4.0]], 2), [0.6, 0.8]);
        assert_eq!(mean_direction(&[vec![1.0, 0.0], vec![-1.0, 0.0]], 2), [0.0, 0.0]);
        assert_eq!(mean_direction(&[], 2), [0.0, 0.0]);
    }
}

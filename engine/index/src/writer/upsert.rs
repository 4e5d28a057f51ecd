//! Adding documents, and replacing those of the same id.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::Index;
use super::flat::SEGMENT_PASSAGES;
use super::invert::invert;
use crate::columns::builder::ColumnsBuilder;
use crate::document::{DocumentRecord, id_hash, stored};
use crate::manifest::{ModelRecord, SegmentRecord};
use crate::progress::Progress;
use crate::reader::Snapshot;
use crate::segment::columns::write_columns;
use crate::segment::sections::Section;
use crate::segment::shared::SharedVectors;
use crate::segment::words::write_words;
use crate::segment::write::{Header, SegmentWriter};
use crate::{Document, Embeddings, Error, Passage, Result, Similarity, Upserted};

impl Index {
    /// Adds documents, or replaces those of the same id; on the disk when it returns. Each document is one
    /// passage.
    ///
    /// `embeddings` are those of `documents`, row for row; they are stored as unit vectors. All of
    /// them are added or none. A call takes some milliseconds for the disk whatever it holds, so
    /// add documents by the hundred. At [`SEGMENT_PASSAGES`] without a graph it builds their graph.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an id is empty, too long or there twice, or the embeddings are not of
    /// these documents: nothing is changed then. [`Error::Write`] if the disk takes no more.
    pub fn upsert(&mut self, documents: &[Document], embeddings: &Embeddings) -> Result<Upserted> {
        self.upsert_passages(documents, None, embeddings)
    }

    /// The same for documents of several passages: `passages` are those of each document, one or more, and each
    /// has a row of `embeddings`, in their order.
    ///
    /// # Errors
    /// As [`Index::upsert`], and [`Error::Invalid`] if a passage is not within its document's text.
    pub fn upsert_passages(
        &mut self,
        documents: &[Document],
        passages: Option<&[Vec<Passage>]>,
        embeddings: &Embeddings,
    ) -> Result<Upserted> {
        self.upsert_passages_with(documents, passages, embeddings, &|_, _| ControlFlow::Continue(()))
    }

    /// The same. Where a graph is built, `progress` hears how many passages are in it and how many there will be, and
    /// may stop that.
    ///
    /// # Errors
    /// As [`Index::upsert_passages`], and [`Error::Cancelled`] if `progress` stopped it: the documents are in the index
    /// then, and a later call builds their graph.
    pub fn upsert_passages_with(
        &mut self,
        documents: &[Document],
        passages: Option<&[Vec<Passage>]>,
        embeddings: &Embeddings,
        progress: Progress<'_>,
    ) -> Result<Upserted> {
        self.require_sound()?;
        let snapshot = self.now();
        check(documents, passages, embeddings, snapshot.model().dimension)?;
        if documents.is_empty() {
            return Ok(Upserted::default());
        }
        let mut replaced = Vec::new();
        for document in documents {
            replaced.extend(self.live_doc(&snapshot, &document.id)?);
        }
        let id = self.new_segment();
        let record = self.write_documents(&snapshot, id, documents, passages, embeddings)?;
        let mut manifest = snapshot.manifest.clone();
        if let Err(error) = self.bury(&snapshot, &replaced, &mut manifest) {
            let _ = self.reader.storage().remove(&crate::segment::write::file_name(id));
            return Err(error);
        }
        manifest.segments.push(record);
        self.commit(manifest)?;
        for (document, place) in documents.iter().zip(0..) {
            self.recent.insert(id_hash(&document.id), (id, place));
        }
        self.join_small_flats()?;
        self.reclaim_flats()?;
        if snapshot.model().similarity.is_product() && self.flat_passages() >= SEGMENT_PASSAGES {
            self.seal(progress)?;
        }
        Ok(Upserted { added: documents.len() - replaced.len(), replaced: replaced.len() })
    }

    /// Writes a segment without a graph.
    fn write_documents(
        &self,
        snapshot: &Snapshot,
        id: u64,
        documents: &[Document],
        passages: Option<&[Vec<Passage>]>,
        embeddings: &Embeddings,
    ) -> Result<SegmentRecord> {
        let records = documents.iter().map(DocumentRecord::encode).collect::<Result<Vec<_>>>()?;
        let inverter = invert(snapshot, documents, passages);
        let mut columns = ColumnsBuilder::default();
        documents.iter().for_each(|document| columns.add(&document.metadata));
        let mut writer = SegmentWriter::create(&**self.reader.storage(), snapshot.manifest.index, id)?;
        let written = write_sections(
            &mut writer,
            snapshot.model().similarity,
            documents,
            &records,
            passages,
            embeddings,
        )
        .and_then(|()| write_words(&mut writer, &inverter))
        .and_then(|()| write_columns(&mut writer, columns));
        if let Err(error) = written {
            writer.discard();
            return Err(error);
        }
        let (documents, passages) = (documents.len() as u64, embeddings.rows() as u64);
        let sealed = writer.finish(Header {
            documents,
            passages,
            dimension: embeddings.dimension() as u64,
            model: ModelRecord::of(snapshot.model()),
            generation: snapshot.manifest.generation + 1,
            replaces: Vec::new(),
            graph: None,
            sections: Vec::new(),
        })?;
        let (length, checksum) = (sealed.length, sealed.checksum);
        Ok(SegmentRecord {
            id,
            documents,
            passages,
            length,
            checksum,
            edges: None,
            deleted: None,
            origin: None,
        })
    }
}

fn write_sections(
    writer: &mut SegmentWriter<'_>,
    similarity: Similarity,
    documents: &[Document],
    records: &[Vec<u8>],
    passages: Option<&[Vec<Passage>]>,
    embeddings: &Embeddings,
) -> Result<()> {
    write_vectors(writer, similarity, embeddings)?;
    writer.begin(Section::Documents)?;
    let mut ends = Vec::with_capacity(records.len());
    let mut end = 0u64;
    for record in records {
        writer.append(record)?;
        end += record.len() as u64;
        ends.push(end);
    }
    writer.section(Section::DocumentEnds, bytemuck::cast_slice(&ends))?;
    let hashes = documents.iter().map(|document| id_hash(&document.id));
    write_ids(writer, hashes.zip(0..).collect())?;
    let Some(passages) = passages else { return Ok(()) };
    let mut first = vec![0u32];
    first.extend(passages.iter().scan(0, |rows, passages| {
        *rows += passages.len() as u32;
        Some(*rows)
    }));
    writer.section(Section::FirstPassages, bytemuck::cast_slice(&first))?;
    let spans: Vec<[u32; 2]> =
        passages.iter().flatten().map(|passage| [passage.start, passage.end]).collect();
    writer.section(Section::Spans, bytemuck::cast_slice(&spans))
}

/// Writes vectors as they are stored, equal ones once.
fn write_vectors(
    writer: &mut SegmentWriter<'_>,
    similarity: Similarity,
    embeddings: &Embeddings,
) -> Result<()> {
    writer.begin(Section::Vectors)?;
    let vector = |passage: usize| stored(similarity, embeddings.row(passage));
    let Some(shared) = SharedVectors::find(embeddings.rows(), &vector) else {
        return (0..embeddings.rows())
            .try_for_each(|passage| writer.append(bytemuck::cast_slice(&vector(passage))));
    };
    for passage in shared.first() {
        writer.append(bytemuck::cast_slice(&vector(*passage as usize)))?;
    }
    shared.write(writer)
}

/// Writes the sections that find documents by the hashes of their ids.
pub(super) fn write_ids(writer: &mut SegmentWriter<'_>, mut ids: Vec<(u64, u32)>) -> Result<()> {
    ids.sort_unstable();
    let (hashes, documents): (Vec<u64>, Vec<u32>) = ids.into_iter().unzip();
    writer.section(Section::IdHashes, bytemuck::cast_slice(&hashes))?;
    writer.section(Section::IdDocuments, bytemuck::cast_slice(&documents))
}

/// Refuses what cannot be added.
fn check(
    documents: &[Document],
    passages: Option<&[Vec<Passage>]>,
    embeddings: &Embeddings,
    dimension: usize,
) -> Result<()> {
    let invalid = |what: String| Err(Error::Invalid(what));
    let rows = match passages {
        None => documents.len(),
        Some(passages) if passages.len() != documents.len() => {
            return invalid(format!(
                "{} documents came with passages of {}",
                documents.len(),
                passages.len()
            ));
        }
        Some(passages) => passages.iter().map(Vec::len).sum(),
    };
    if rows != embeddings.rows() {
        return invalid(format!("{rows} passages came with {} embeddings", embeddings.rows()));
    }
    if !documents.is_empty() && embeddings.dimension() != dimension {
        return invalid(format!(
            "the embeddings have {} dimensions, and the index has {dimension}",
            embeddings.dimension(),
        ));
    }
    if rows as u64 >= crate::manifest::PASSAGE_LIMIT {
        return invalid(format!("{rows} passages are too many for one call"));
    }
    let mut ids = HashSet::with_capacity(documents.len());
    for document in documents {
        if document.id.is_empty() {
            return invalid("a document has an empty id".into());
        }
        if !ids.insert(document.id.as_str()) {
            return invalid(format!("the id {:?} comes twice in one call", document.id));
        }
    }
    for (document, passages) in documents.iter().zip(passages.into_iter().flatten()) {
        let within =
            |passage: &Passage| document.text.get(passage.start as usize..passage.end as usize).is_some();
        if passages.is_empty() || !passages.iter().all(within) {
            return invalid(format!("document {:?} has a passage outside of its text, or none", document.id));
        }
    }
    if let Some(row) = embeddings.iter().position(|row| !row.iter().all(|x| x.is_finite())) {
        let document = match passages {
            None => row,
            Some(passages) => {
                let mut end = 0;
                passages
                    .iter()
                    .position(|passages| {
                        end += passages.len();
                        row < end
                    })
                    .unwrap_or(0)
            }
        };
        return invalid(format!("the embedding of document {:?} is not finite", documents[document].id));
    }
    Ok(())
}

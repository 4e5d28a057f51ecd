//! Writing one segment of the live documents of several.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::invert::{choose_language, invert_record};
use super::upsert::write_ids;
use crate::columns::builder::ColumnsBuilder;
use crate::document::{DocumentRecord, stored};
use crate::graph::{Fault, Graph, Matrix};
use crate::manifest::{Manifest, PASSAGE_LIMIT, SegmentRecord};
use crate::progress::Progress;
use crate::reader::snapshot::{SegmentView, Snapshot};
use crate::segment::columns::write_columns;
use crate::segment::sections::Section;
use crate::segment::shared::SharedVectors;
use crate::segment::words::write_words;
use crate::segment::write::{Header, SegmentWriter};
use crate::words::invert::Inverter;
use crate::{Error, Result, Similarity};

/// Documents or passages that are copied between two looks at whether to go on.
const COPIED_AT_ONCE: usize = 4096;

/// Writes the live documents of `sources` as segment `id`, in their order, with a graph if `graph` says so.
/// None if there are no live documents. The file is on the disk when it returns, but for its name. `progress` hears
/// how many passages are in the new graph and how many there will be.
///
/// # Errors
/// [`Error::Write`] if the disk takes no more, [`Error::Damaged`] if a source cannot be trusted,
/// [`Error::Cancelled`] if `progress` stopped it: the file is gone then.
pub(super) fn join(
    snapshot: &Snapshot,
    sources: &[SegmentView],
    id: u64,
    graph: bool,
    progress: Progress<'_>,
) -> Result<Option<SegmentRecord>> {
    let passages: usize = sources.iter().map(SegmentView::live_passages).sum();
    if passages as u64 >= PASSAGE_LIMIT {
        return Err(Error::Invalid(format!("a segment holds fewer than {PASSAGE_LIMIT} passages")));
    }
    if passages == 0 {
        return Ok(None);
    }
    let live = LiveVectors::of(sources).map_err(|fault| snapshot.fault(fault))?;
    let manifest = &snapshot.manifest;
    let mut writer = SegmentWriter::create(&*snapshot.storage, manifest.index, id)?;
    let written = Joining { snapshot, sources, live: &live, progress }.write(&mut writer, graph);
    let result = match written {
        Ok((header, edges)) => {
            let (documents, passages) = (header.documents, header.passages);
            writer.finish(header).map(|sealed| {
                let (length, checksum) = (sealed.length, sealed.checksum);
                Some(SegmentRecord {
                    id,
                    documents,
                    passages,
                    length,
                    checksum,
                    edges,
                    deleted: None,
                    origin: None,
                })
            })
        }
        Err(error) => {
            writer.discard();
            Err(error)
        }
    };
    sources.iter().for_each(|view| view.segment.forget_vectors());
    result
}

/// The vectors of the live passages of several segments, equal ones once: rows of one matrix.
struct LiveVectors<'a> {
    sources: &'a [SegmentView],
    dimension: usize,
    passages: usize,
    /// The place of the segment among the sources, and the vector.
    rows: Vec<(u32, u32)>,
    /// Which passages have which row, if some have the same.
    shared: Option<SharedVectors>,
}

impl<'a> LiveVectors<'a> {
    fn of(sources: &'a [SegmentView]) -> Result<Self, Fault> {
        let mut rows = Vec::with_capacity(sources.iter().map(SegmentView::live_passages).sum());
        for (at, view) in (0..).zip(sources) {
            // Damage must not be copied under a new checksum.
            view.segment.check_section(Section::Vectors)?;
            for passage in (0..view.segment.passages()).filter(|passage| view.is_live(*passage)) {
                rows.push((at, view.segment.vector_of(passage)? as u32));
            }
        }
        let dimension = sources.first().map_or(1, |view| view.segment.dimension());
        let mut live = Self { sources, dimension, passages: rows.len(), rows, shared: None };
        let shared = SharedVectors::find(live.passages, &|passage| live.stored(passage));
        if let Some(shared) = &shared {
            live.rows = shared.first().iter().map(|passage| live.rows[*passage as usize]).collect();
        }
        live.shared = shared;
        Ok(live)
    }

    /// A row as the new segment stores it.
    fn stored(&self, row: usize) -> Cow<'_, [f32]> {
        let similarity = self.sources.first().map_or(Similarity::default(), |view| view.segment.similarity());
        stored(similarity, self.row(row))
    }
}

impl Matrix for LiveVectors<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn row(&self, row: usize) -> &[f32] {
        let (source, vector) = self.rows[row];
        let vectors = self.sources[source as usize].segment.mapped_vectors();
        &vectors[vector as usize * self.dimension..][..self.dimension]
    }
}

/// A segment that is being written from others.
struct Joining<'a> {
    snapshot: &'a Snapshot,
    sources: &'a [SegmentView],
    live: &'a LiveVectors<'a>,
    progress: Progress<'a>,
}

impl Joining<'_> {
    /// Writes all sections. Gives what the segment says of itself, and the edges of its graph.
    fn write(&self, writer: &mut SegmentWriter<'_>, graph: bool) -> Result<(Header, Option<u64>)> {
        self.write_vectors(writer)?;
        let documents = self.write_documents(writer)?;
        self.write_passages(writer)?;
        let graph = match graph {
            true => Some(Graph::build_of(self.live, self.progress).ok_or(Error::Cancelled)?),
            false => None,
        };
        if let Some(graph) = &graph {
            writer.section(Section::GraphRows, bytemuck::cast_slice(&graph.rows))?;
            writer.section(Section::GraphBase, bytemuck::cast_slice(&graph.base))?;
            writer.section(Section::GraphUpper, bytemuck::cast_slice(&graph.upper))?;
            writer.section(Section::Codes, &graph.codes)?;
        }
        let Manifest { model, generation, .. } = &self.snapshot.manifest;
        let header = Header {
            documents,
            passages: self.live.passages as u64,
            dimension: self.live.dimension() as u64,
            model: model.clone(),
            generation: generation + 1,
            replaces: self.sources.iter().map(|view| view.segment.id()).collect(),
            graph: graph.as_ref().map(|graph| graph.shape.clone()),
            sections: Vec::new(),
        };
        Ok((header, graph.map(|graph| graph.edges() as u64)))
    }

    fn write_vectors(&self, writer: &mut SegmentWriter<'_>) -> Result<()> {
        writer.begin(Section::Vectors)?;
        for row in 0..self.live.rows() {
            if row % COPIED_AT_ONCE == 0 {
                self.look()?;
            }
            writer.append(bytemuck::cast_slice(&self.live.stored(row)))?;
        }
        self.live.shared.as_ref().map_or(Ok(()), |shared| shared.write(writer))
    }

    /// Writes the records, ids, words and columns of the live documents, and tells how many there are.
    fn write_documents(&self, writer: &mut SegmentWriter<'_>) -> Result<u64> {
        let language = choose_language(self.sources).map_err(|fault| self.snapshot.fault(fault))?;
        let (mut inverter, mut columns) = (Inverter::new(language), ColumnsBuilder::default());
        writer.begin(Section::Documents)?;
        let (mut ends, mut ids, mut end) = (Vec::new(), Vec::new(), 0u64);
        for view in self.sources {
            let segment = &view.segment;
            let mut hash_of = vec![0u64; segment.documents()];
            for (hash, document) in segment.id_hashes().map_err(|fault| self.snapshot.fault(fault))? {
                hash_of[document] = hash;
            }
            for first in (0..segment.documents()).step_by(COPIED_AT_ONCE) {
                self.look()?;
                let documents = first..segment.documents().min(first + COPIED_AT_ONCE);
                let live = |document: usize| view.is_live_document(document).unwrap_or(true);
                let mut failure = None;
                let copied = segment.each_record(documents, &live, &mut |document, record| {
                    if failure.is_none() {
                        failure = writer.append(record).err();
                        end += record.len() as u64;
                        ids.push((hash_of[document], ends.len() as u32));
                        ends.push(end);
                        invert_record(&mut inverter, segment, document, record)?;
                        columns.add_json(DocumentRecord::metadata(record)?)?;
                    }
                    Ok(())
                });
                copied.map_err(|fault| self.snapshot.fault(fault))?;
                if let Some(error) = failure {
                    return Err(error);
                }
            }
        }
        writer.section(Section::DocumentEnds, bytemuck::cast_slice(&ends))?;
        write_ids(writer, ids)?;
        write_words(writer, &inverter)?;
        write_columns(writer, columns)?;
        Ok(ends.len() as u64)
    }

    /// Writes whose the passages are, where some document has more than one.
    fn write_passages(&self, writer: &mut SegmentWriter<'_>) -> Result<()> {
        if !self.sources.iter().any(|view| view.segment.has_passages()) {
            return Ok(());
        }
        let (mut first, mut spans) = (vec![0u32], Vec::with_capacity(self.live.passages));
        let mut copy = |view: &SegmentView| -> Result<(), Fault> {
            for document in view.documents() {
                let document = document?;
                for passage in view.segment.passages_of(document)? {
                    let whole = || view.segment.text_length(document).map(|length| [0, length]);
                    let span = view.segment.span(passage)?.map(|span| [span.start, span.end]);
                    spans.push(span.map_or_else(whole, Ok)?);
                }
                first.push(spans.len() as u32);
            }
            Ok(())
        };
        self.sources.iter().try_for_each(&mut copy).map_err(|fault| self.snapshot.fault(fault))?;
        writer.section(Section::FirstPassages, bytemuck::cast_slice(&first))?;
        writer.section(Section::Spans, bytemuck::cast_slice(&spans))
    }

    fn look(&self) -> Result<()> {
        match (self.progress)(0, self.live.rows()) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }
}

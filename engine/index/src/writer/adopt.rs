//! Taking over the segments of other indexes: their files get a name here, and nothing is encoded or built again.
//!
//! A file keeps the index and id that it was written with. The manifest says where it is from, and its checksum vouches for it.
//! Tombstones are the index's own: those of the part, and one for each document that gives way to another of its id. One commit
//! makes all of it true, so that a process that is killed leaves the index as it was.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::Index;
use super::meeting::{Member, meet};
use super::part::{Part, scratch_of};
use crate::manifest::{Manifest, SegmentRecord, TrustRecord};
use crate::progress::Progress;
use crate::reader::snapshot::{SegmentView, Snapshot};
use crate::segment::Deleted;
use crate::segment::write::file_name;
use crate::storage::Storage;
use crate::{DEFAULT_EF, DocId, Error, Result};

/// Bytes that are copied between two looks at whether to go on.
const COPIED_AT_ONCE: usize = 8 << 20;

/// Which document of an id counts where several indexes have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// That of the part named last, as if the parts had been indexed one after another.
    #[default]
    Last,
    /// That of the index, else of the part named first.
    First,
}

/// How to adopt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Adoption {
    /// Which document of an id counts. One that has not changed stays where it is.
    pub keep: Keep,
    /// Whether files are copied even where the system could link them.
    pub copy: bool,
}

/// What adopting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Adopted {
    /// Documents that the index has from the parts.
    pub documents: usize,
    /// Documents of the index that gave way to one of a part.
    pub replaced: usize,
    /// Documents of the parts that gave way to another, or that the index had already.
    pub left_out: usize,
    /// Segments that were taken over.
    pub segments: usize,
    /// Segments that an earlier call took over, and that the index still has.
    pub known: usize,
    /// Bytes of files that were copied.
    pub copied: u64,
    /// Bytes of files that both indexes have now.
    pub linked: u64,
}

/// A segment of a part that is to be taken over.
struct Candidate<'a> {
    /// The place of its part.
    part: usize,
    view: &'a SegmentView,
    record: &'a SegmentRecord,
    /// Its tombstones.
    deleted: Option<Deleted>,
}

impl Index {
    /// Takes over all segments of other indexes; on the disk when it returns. Nothing is encoded or built. The parts are not changed,
    /// and may be deleted afterwards. A segment that was taken over before, and that the index still has, is passed over.
    ///
    /// The parts must have the index's model, prompts, dimensions, similarity and passages. `progress` hears of how many bytes of the
    /// files have been taken over, and may stop it.
    ///
    /// # Errors
    /// [`Error::OtherPart`] if a part is not like the index, [`Error::Write`] if the disk takes no more, [`Error::Damaged`] if a part
    /// cannot be trusted, [`Error::Cancelled`] if `progress` stopped it: the index stays as it was.
    pub fn adopt(&mut self, parts: &[Part], how: Adoption, progress: Progress<'_>) -> Result<Adopted> {
        self.require_sound()?;
        let snapshot = self.now();
        for part in parts {
            part.require_like(snapshot.storage.path(), snapshot.model())?;
        }
        let mut adopted = Adopted::default();
        let mut candidates = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            for (view, record) in part.snapshot.segments.iter().zip(&part.snapshot.manifest.segments) {
                let origin = view.segment.origin();
                let is_same = |own: &SegmentView| {
                    own.segment.origin() == origin && own.segment.checksum() == record.checksum
                };
                if snapshot.segments.iter().any(is_same) {
                    adopted.known += 1;
                    continue;
                }
                let deleted = view.deleted.as_deref().cloned();
                candidates.push(Candidate { part: at, view, record, deleted });
            }
        }
        let given_way = bury_losers(&snapshot, parts, &mut candidates, how.keep, progress, &mut adopted)?;
        candidates.retain(|candidate| candidate.live() > 0);
        if candidates.is_empty() && given_way.is_empty() {
            return Ok(adopted);
        }
        adopted.segments = candidates.len();
        adopted.documents = candidates.iter().map(Candidate::live).sum();
        let mut manifest = snapshot.manifest.clone();
        let total = total_bytes(&candidates);
        let taking = Taking { snapshot: &snapshot, parts, copy: how.copy, progress, total };
        if let Err(error) = self.take_files(&taking, &candidates, &given_way, &mut manifest, &mut adopted) {
            // Nothing names them.
            let before = snapshot.manifest.files();
            manifest.files().difference(&before).for_each(|name| drop(self.reader.storage().remove(name)));
            return Err(error);
        }
        inherit(&mut manifest, &taking, &candidates);
        self.commit(manifest)?;
        self.find_recent_ids()?;
        Ok(adopted)
    }

    /// The notes of a part, of where its documents are from. None where its catalogue cannot be read: notes may be lost.
    pub fn notes_of_part(&self, part: &Part) -> Vec<(Vec<u8>, Vec<u8>)> {
        part.notes(&scratch_of(&**self.reader.storage()))
    }

    /// Puts the files of all candidates and their tombstones into the index, and names them in a manifest. Where that fails the
    /// manifest names what there is.
    fn take_files(
        &mut self,
        taking: &Taking<'_>,
        candidates: &[Candidate<'_>],
        given_way: &[DocId],
        manifest: &mut Manifest,
        adopted: &mut Adopted,
    ) -> Result<()> {
        let mut done = 0;
        let storage = Arc::clone(self.reader.storage());
        for candidate in candidates {
            let origin = candidate.view.segment.origin();
            let mut id = self.new_segment();
            if id == origin.segment {
                // A name that differs from what the file says of itself tells that it was adopted.
                id = self.new_segment();
            }
            let record =
                SegmentRecord { id, deleted: None, origin: Some(origin), ..candidate.record.clone() };
            manifest.segments.push(record);
            let was_linked = taking.take_file(&*storage, id, candidate, done)?;
            done += candidate.record.length;
            *(if was_linked { &mut adopted.linked } else { &mut adopted.copied }) += candidate.record.length;
            if let Some(deleted) = &candidate.deleted {
                self.name_deleted(taking.snapshot, id, deleted, manifest)?;
            }
        }
        self.bury(taking.snapshot, given_way, manifest)
    }
}

/// The files of parts that are being taken over.
struct Taking<'a> {
    snapshot: &'a Snapshot,
    parts: &'a [Part],
    copy: bool,
    progress: Progress<'a>,
    /// Bytes of all files.
    total: u64,
}

impl Taking<'_> {
    /// Gives a segment's file a name in `storage`, or copies it. Whether it was linked.
    fn take_file(
        &self,
        storage: &dyn Storage,
        id: u64,
        candidate: &Candidate<'_>,
        done: u64,
    ) -> Result<bool> {
        let (name, of) = (file_name(id), file_name(candidate.record.id));
        let from = &*self.parts[candidate.part].snapshot.storage;
        self.look(done)?;
        if !self.copy && storage.link(&name, from, &of).is_ok() {
            return Ok(true);
        }
        let blob = from.open(&of).map_err(|error| Error::reading(from, error))?;
        let writing = |error: &io::Error| Error::writing(storage, error);
        let mut output = storage.create(&name).map_err(|error| writing(&error))?;
        let (mut at, mut bytes) = (0, vec![0; COPIED_AT_ONCE]);
        while at < candidate.record.length {
            let count = (candidate.record.length - at).min(COPIED_AT_ONCE as u64) as usize;
            blob.read_at(at, &mut bytes[..count]).map_err(|error| Error::reading(from, error))?;
            output.append(&bytes[..count]).map_err(|error| writing(&error))?;
            at += count as u64;
            self.look(done + at)?;
        }
        output.finish().map_err(|error| writing(&error))?;
        Ok(false)
    }

    fn look(&self, done: u64) -> Result<()> {
        match (self.progress)(done as usize, self.total as usize).is_break() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }
}

fn total_bytes(candidates: &[Candidate<'_>]) -> u64 {
    candidates.iter().map(|candidate| candidate.record.length).sum()
}

impl Candidate<'_> {
    /// How many documents would come.
    fn live(&self) -> usize {
        self.view.segment.documents() - self.deleted.as_ref().map_or(0, Deleted::documents)
    }
}

/// Finds the documents that more than one index has, and buries those of the candidates that give way. Gives those of the index that
/// do.
fn bury_losers(
    snapshot: &Snapshot,
    parts: &[Part],
    candidates: &mut [Candidate<'_>],
    keep: Keep,
    progress: Progress<'_>,
    adopted: &mut Adopted,
) -> Result<Vec<DocId>> {
    let own = snapshot.segments.len();
    let mut members: Vec<Member<'_>> =
        snapshot.segments.iter().map(|view| Member { index: 0, view }).collect();
    members.extend(
        candidates.iter().map(|candidate| Member { index: candidate.part + 1, view: candidate.view }),
    );
    let total = total_bytes(candidates);
    let mut look = |_| match progress(0, total as usize).is_break() {
        true => Err(Error::Cancelled),
        false => Ok(()),
    };
    let faulty = |fault: crate::graph::Fault| {
        let paths: Vec<String> = parts.iter().map(|part| part.path().display().to_string()).collect();
        let what = format!("{} (or one of the parts: {})", fault.0, paths.join(", "));
        Error::Damaged { path: snapshot.storage.path().to_owned(), what }
    };
    let met = meet(&members, keep, &mut look)?.map_err(faulty)?;
    (adopted.replaced, adopted.left_out) = (met.replaced, met.left_out);
    let mut given_way = Vec::new();
    let mut buried: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, document) in met.losers {
        match at.checked_sub(own) {
            None => given_way.push(DocId { segment: at as u32, document: document as u32 }),
            Some(candidate) => buried.entry(candidate).or_default().push(document),
        }
    }
    for (at, documents) in buried {
        let Candidate { view, deleted, .. } = &mut candidates[at];
        let deleted = deleted.get_or_insert_with(|| Deleted::none(view.segment.passages()));
        for document in documents {
            deleted.bury(view.segment.passages_of(document).map_err(faulty)?);
        }
    }
    Ok(given_way)
}

/// Keeps what the parts found out about their documents: the candidates that searches need, and the trust in the model.
fn inherit(manifest: &mut Manifest, taking: &Taking<'_>, candidates: &[Candidate<'_>]) {
    let is_taken = |at: usize| candidates.iter().any(|candidate| candidate.part == at);
    let taken = taking.parts.iter().enumerate().filter(|(at, _)| is_taken(*at));
    let all: Vec<&Snapshot> =
        std::iter::once(taking.snapshot).chain(taken.map(|(_, part)| &*part.snapshot)).collect();
    let used = all.iter().filter(|one| !one.is_empty() || one.manifest.ef != 0);
    let ef = used.map(|one| one.default_ef()).max().unwrap_or(DEFAULT_EF);
    if ef != DEFAULT_EF || manifest.ef != 0 {
        manifest.ef = ef.try_into().unwrap_or(u32::MAX);
    }
    let trusted = all.iter().filter_map(|one| one.manifest.trust);
    let (sum, passages) = trusted.fold((0.0, 0), |(sum, passages), record| {
        (sum + f64::from(record.trust) * record.passages as f64, passages + record.passages)
    });
    if passages > 0 {
        manifest.trust = Some(TrustRecord { trust: (sum / passages as f64) as f32, passages });
    }
}

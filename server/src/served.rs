//! The indexes that are served, by name, each with its model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use akin_encoder::{EncoderOptions, SentenceEncoder};
use akin_index::{Index, ModelIdentity, Reader, ReaderOptions, Reload};
use akin_query::rerank::RerankModel;
use akin_query::{Mode, QueryEncoder, Searcher, model, remembered};

use crate::engines::{self, Engines};
use crate::error::{ApiError, StartError};
use crate::map::MapCache;
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::patience::Waiting;
use crate::room::Room;
use crate::routes::read_only;
use crate::sets::Sets;
use crate::slow::SlowQueries;
use crate::writer::Writer;

/// An index, open to be read.
pub struct ServedIndex {
    name: String,
    reader: Reader,
    /// None where the index knows no model.
    room: Option<Room>,
    /// None where the index is not changed.
    writer: Option<Arc<Writer>>,
    folder: PathBuf,
    /// Whether a client may drop it.
    may_drop: bool,
    /// Its map, once somebody asked for it.
    map: MapCache,
    /// Sets of its documents that clients search in.
    sets: Sets,
    /// Its slowest queries.
    slow: SlowQueries,
}

/// How to ask an index.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// By what documents are found; by what finds most in the index if none is named.
    pub mode: Option<Mode>,
    /// Whether the hits are like examples, without a text.
    pub by_example: bool,
    /// How many hits are ranked again.
    pub rerank: Option<usize>,
    /// The time that the encoding of the query takes, its waiting included.
    pub encoding: Spent,
}

/// Time that is added up, possibly on another thread.
#[derive(Debug, Clone, Default)]
pub struct Spent(Arc<AtomicU64>);

impl Spent {
    fn add(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The sum.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl ServedIndex {
    /// Its name: that of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its reader, which follows commits.
    pub fn reader(&self) -> &Reader {
        let of_writer = self.writer.as_ref().and_then(|writer| writer.reader());
        of_writer.unwrap_or(&self.reader)
    }

    /// The room of its model.
    pub fn room(&self) -> Option<&Room> {
        self.room.as_ref()
    }

    /// Its map.
    pub fn map(&self) -> &MapCache {
        &self.map
    }

    /// Sets of its documents that clients search in.
    pub fn sets(&self) -> &Sets {
        &self.sets
    }

    /// Its slowest queries.
    pub fn slow(&self) -> &SlowQueries {
        &self.slow
    }

    /// Its writer.
    pub fn writer(&self) -> Result<Arc<Writer>, ApiError> {
        self.writer.clone().ok_or_else(read_only)
    }

    /// The folder that is deleted when a client drops the index; none where clients may not.
    pub fn folder_to_drop(&self) -> Option<&Path> {
        self.may_drop.then_some(&*self.folder)
    }

    /// An index that is open for changes, and may be dropped.
    pub fn created(name: &str, folder: PathBuf, index: Index, room: Option<Room>) -> Self {
        Self {
            name: name.to_owned(),
            reader: index.reader(),
            room,
            writer: Some(Arc::new(Writer::new(index, folder.clone()))),
            folder,
            may_drop: true,
            map: MapCache::default(),
            sets: Sets::default(),
            slow: SlowQueries::default(),
        }
    }

    /// A searcher for one request: its texts are encoded in the engine room.
    pub fn searcher(
        &self,
        manner: &Manner,
        reranker: Option<&RerankModel>,
        waiting: &Waiting,
    ) -> Result<Searcher, ApiError> {
        let searcher = self.in_mode(manner, || self.encoding(waiting, manner.encoding.clone()))?;
        Ok(match (manner.rerank, reranker) {
            (Some(depth), Some(model)) => searcher.with_reranker(model.clone(), depth),
            _ => searcher,
        })
    }

    /// A searcher whose texts are encoded by themselves.
    pub fn searcher_alone(&self, manner: &Manner) -> Result<Searcher, ApiError> {
        let with_model =
            || Ok(Searcher::new(self.reader().clone(), Arc::clone(self.require_room()?.encoder()))?);
        self.in_mode(manner, with_model)
    }

    fn in_mode(
        &self,
        manner: &Manner,
        with_model: impl FnOnce() -> Result<Searcher, ApiError>,
    ) -> Result<Searcher, ApiError> {
        Ok(match manner.mode {
            Some(Mode::Keyword) => Searcher::without_model(self.reader().clone(), Mode::Keyword),
            _ if manner.by_example => Searcher::without_model(self.reader().clone(), Mode::Semantic),
            Some(mode) => with_model()?.with_mode(mode)?,
            None => {
                let searcher = with_model()?;
                let best = Mode::best_of(&searcher.snapshot())?;
                searcher.with_mode(best)?.with_plain_texts()
            }
        })
    }

    fn require_room(&self) -> Result<&Room, ApiError> {
        if self.room.is_none() {
            self.reader().snapshot().require_known_model()?;
        }
        self.room.as_ref().ok_or_else(|| akin_query::Error::NoEncoder.into())
    }

    fn encoding(&self, waiting: &Waiting, spent: Spent) -> Result<Searcher, ApiError> {
        let room = self.require_room()?;
        let (by, waiting) = (room.clone(), waiting.clone());
        let encode: QueryEncoder = Arc::new(move |texts| {
            let started = Instant::now();
            let encoded = by.encode_queries(texts, &waiting);
            spent.add(started.elapsed());
            encoded.map_err(|error| akin_query::Error::QueryEncoder(Box::new(error)))
        });
        let searcher = Searcher::new(self.reader().clone(), Arc::clone(room.encoder()))?;
        Ok(searcher.with_query_encoder(encode))
    }
}

/// Models that are loaded: indexes that were built with the same one share it.
pub struct Models {
    options: EncoderOptions,
    waiting: usize,
    metrics: Arc<Metrics>,
    /// Each with its name. Two of one name differ in their prompts.
    rooms: Vec<(String, Room)>,
}

impl Models {
    /// None yet.
    pub fn new(options: EncoderOptions, waiting: usize, metrics: Arc<Metrics>) -> Self {
        Self { options, waiting, metrics, rooms: Vec::new() }
    }

    /// The room of a model by its name, loaded if it is not.
    pub fn named(&mut self, name: &str) -> Result<Room, StartError> {
        if let Some((_, room)) = self.rooms.iter().find(|(of, _)| of == name) {
            return Ok(room.clone());
        }
        self.open(name, model::load(name, &self.options)?)
    }

    /// The room of the model that an index was built with: one that is open, wherever it was loaded from, if it has the
    /// prompts that the index remembers.
    pub fn of_index(&mut self, identity: &ModelIdentity) -> Result<Room, StartError> {
        let fits = |room: &Room| {
            let encoder = room.encoder();
            encoder.fingerprint() == identity.fingerprint && remembered::require(encoder, identity).is_ok()
        };
        if let Some((_, room)) = self.rooms.iter().find(|(_, room)| fits(room)) {
            return Ok(room.clone());
        }
        let encoder = model::load(&identity.location, &self.options).map_err(model::moved)?;
        self.open(&identity.location, remembered::adopt(encoder, identity)?)
    }

    fn open(&mut self, name: &str, encoder: SentenceEncoder) -> Result<Room, StartError> {
        let room = Room::open(Arc::new(encoder), self.waiting, Arc::clone(&self.metrics))?;
        self.rooms.push((name.to_owned(), room.clone()));
        Ok(room)
    }

    /// The models by name, each once, the first of them first.
    pub fn into_named(self) -> Vec<(String, Room)> {
        let mut named: Vec<(String, Room)> = Vec::new();
        for (name, room) in self.rooms {
            if !named.iter().any(|(known, _)| *known == name) {
                named.push((name, room));
            }
        }
        named
    }
}

/// Whether a client that says `asked` means the model `name`: the whole of it, or its last part.
pub fn is_name_of(asked: &str, name: &str) -> bool {
    let last = |name: &str| name.trim_end_matches('/').rsplit('/').next().map(str::to_owned);
    asked == name || (!asked.contains('/') && last(name).as_deref() == Some(asked))
}

/// Indexes by name.
pub type Indexes = BTreeMap<String, Arc<ServedIndex>>;

/// Opens the indexes that are named, and those of the folder in which clients create some.
pub fn open_all(options: &ServerOptions, models: &mut Models) -> Result<(Indexes, Engines), StartError> {
    let (mut served, mut tables) = (Indexes::new(), Engines::new());
    let created = options.created.as_deref().map(created_in).transpose()?.unwrap_or_default();
    let named = options.indexes.iter().map(|path| (path.clone(), false));
    for (path, may_drop) in named.chain(created.into_iter().map(|path| (path, true))) {
        if let Some(address) = engines::address(&path) {
            let table = engines::open(address, options.writable, models)?;
            if let Some(other) = tables.insert(table.name().to_owned(), Arc::new(table)) {
                return Err(taken(PathBuf::from(other.place()), other.name()));
            }
            continue;
        }
        let index = open(&path, options.writable, may_drop, models)?;
        if let Some(other) = served.insert(index.name.clone(), Arc::new(index)) {
            return Err(taken(path, other.name()));
        }
    }
    match tables.values().find(|table| served.contains_key(table.name())) {
        Some(table) => Err(taken(PathBuf::from(table.place()), table.name())),
        None => Ok((served, tables)),
    }
}

fn taken(path: PathBuf, name: &str) -> StartError {
    let reason = format!("another folder is named {name} too, and an index is known by that name");
    StartError::Name { path, reason }
}

fn open(path: &Path, writable: bool, may_drop: bool, models: &mut Models) -> Result<ServedIndex, StartError> {
    let name = name_of(path)?;
    let (reader, writer) = if writable { open_to_write(path)? } else { (open_to_read(path)?, None) };
    let identity = reader.model();
    let room = if identity.is_known() { Some(models.of_index(&identity)?) } else { None };
    if let Some(room) = &room {
        reader.snapshot().require_model(room.encoder().fingerprint())?;
    }
    let folder = path.to_owned();
    let (map, sets, slow) = (MapCache::default(), Sets::default(), SlowQueries::default());
    Ok(ServedIndex { name, reader, room, writer, folder, may_drop, map, sets, slow })
}

fn open_to_read(path: &Path) -> akin_index::Result<Reader> {
    Reader::open_with(path, ReaderOptions { reload: Reload::OnChange, ..ReaderOptions::default() })
}

/// A reader of an index, and its writer. A disk without room does not keep an index from being read.
fn open_to_write(path: &Path) -> akin_index::Result<(Reader, Option<Arc<Writer>>)> {
    let (reader, writer) = match Index::open(path) {
        Ok(index) => (index.reader(), Writer::new(index, path.to_owned())),
        Err(error @ akin_index::Error::Write { is_full: true, .. }) => {
            tracing::warn!("{error}: it is read, and takes changes when there is room");
            (open_to_read(path)?, Writer::waiting_for_room(path.to_owned()))
        }
        Err(error) => return Err(error),
    };
    Ok((reader, Some(Arc::new(writer))))
}

/// The indexes in a folder, in the order of their names. The folder is made if it is not there.
fn created_in(folder: &Path) -> Result<Vec<PathBuf>, StartError> {
    let refuse =
        |error: std::io::Error| StartError::Name { path: folder.to_owned(), reason: error.to_string() };
    std::fs::create_dir_all(folder).map_err(refuse)?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refuse)? {
        let path = entry.map_err(refuse)?.path();
        // One whose creation was interrupted is begun anew by its name.
        if path.join("manifest").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The name of an index: that of its folder, also where it is given as `.`.
fn name_of(path: &Path) -> Result<String, StartError> {
    let refuse = |reason: &str| StartError::Name { path: path.to_owned(), reason: reason.to_owned() };
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = whole.file_name().ok_or_else(|| refuse("the folder has no name"))?;
    name.to_str().map(str::to_owned).ok_or_else(|| refuse("the name of the folder is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_meant_by_its_whole_name_or_the_last_part() {
        let name = "sentence-transformers/all-MiniLM-L6-v2";
        assert!(is_name_of(name, name) && is_name_of("all-MiniLM-L6-v2", name));
        for other in ["", "all-MiniLM", "other/all-MiniLM-L6-v2", "text-embedding-3-small"] {
            assert!(!is_name_of(other, name), "{other}");
        }
        assert!(is_name_of("tiny", "/models/tiny/") && !is_name_of("", "/models/tiny/"));
    }
}

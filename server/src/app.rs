//! What all requests share.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use akin_encoder::{Device, Precision};
use akin_index::{Index, ModelIdentity, PassageSize, Similarity};
use akin_query::rerank::RerankModel;
use tokio::sync::Semaphore;

use crate::engines::{Engines, ServedEngine, not_served};
use crate::error::{ApiError, Kind, StartError};
use crate::keys::Keys;
use crate::local::listen::Sockets;
use crate::metrics::Metrics;
use crate::options::{Limits, ServerOptions};
use crate::origin::Origins;
use crate::rate::Rate;
use crate::receive::Memory;
use crate::room::Room;
use crate::routes::read_only;
use crate::served::{Indexes, Models, ServedIndex, is_name_of, open_all};
use crate::tls::Tls;
use crate::traces::Exporter;

/// Exports at once.
const EXPORTS: usize = 4;

/// What ranks again, and its name.
pub struct NamedReranker {
    /// What it is called.
    pub name: String,
    /// The model.
    pub model: RerankModel,
}

/// What all requests share.
pub struct App {
    /// The indexes by name. The lock is held while one is looked up, created or dropped.
    indexes: RwLock<Indexes>,
    /// The tables of engines by name.
    engines: Engines,
    /// The folder in which clients create indexes.
    created: Option<PathBuf>,
    /// The models by name. The first is meant where none is named.
    pub models: Vec<(String, Room)>,
    /// What ranks again.
    pub reranker: Option<NamedReranker>,
    /// What is too much.
    pub limits: Limits,
    /// The keys that are asked for.
    pub keys: Option<Keys>,
    /// The hosts and origins that are served.
    pub origins: Origins,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// A permit for each request that may be answered at once.
    pub permits: Semaphore,
    /// What connections are encrypted with.
    pub tls: Option<Tls>,
    /// How often each client may ask.
    pub rate: Option<Rate>,
    /// The memory that bodies of requests may take.
    pub memory: Memory,
    /// Whether bodies of requests are logged.
    pub log_texts: bool,
    /// A permit for the request whose vectors of tokens are computed.
    pub token_vectors: Semaphore,
    /// Permits for exports: each keeps its snapshot while its client reads.
    pub exports: Arc<Semaphore>,
    /// A permit for the request that goes through the documents of an index.
    pub reviews: Arc<Semaphore>,
    /// What sends traces, where that is asked for.
    pub exporter: OnceLock<Exporter>,
    /// The sockets at which `akin query` asks.
    pub sockets: Sockets,
    /// Whether the server stops.
    pub stopping: AtomicBool,
    /// The numbers that models compute in.
    pub encoder_precision: Precision,
    /// Where they compute.
    pub encoder_device: Device,
    /// The same in words.
    pub precision: &'static str,
    /// Threads that encode together.
    pub threads: usize,
    /// When the server began, in seconds since 1970.
    pub started: u64,
}

impl App {
    /// Opens what is served. `origins` are those of the address that is listened on.
    pub fn open(options: &ServerOptions, origins: Origins) -> Result<Self, StartError> {
        let limits = options.limits.clone();
        let keys = options.keys.as_deref().map(Keys::open).transpose()?;
        let metrics = Arc::new(Metrics::new());
        let mut models = Models::new(options.encoder.clone(), limits.waiting, Arc::clone(&metrics));
        if let Some(name) = &options.model {
            models.named(name)?;
        }
        let (indexes, engines) = open_all(options, &mut models)?;
        let models = models.into_named();
        let reranker = options.reranker.as_ref().map(|name| -> Result<_, StartError> {
            let model = RerankModel::load(name, options.encoder.precision)?;
            Ok(NamedReranker { name: name.clone(), model })
        });
        let reranker = reranker.transpose()?;
        if indexes.is_empty() && models.is_empty() && reranker.is_none() {
            return Err(StartError::Nothing);
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            indexes: RwLock::new(indexes),
            engines,
            created: options.created.clone().filter(|_| options.writable),
            models,
            reranker,
            keys,
            origins,
            metrics,
            permits: Semaphore::new(limits.requests),
            tls: options.tls.as_ref().map(Tls::open).transpose()?,
            rate: limits.rate.map(Rate::new),
            memory: Memory::new(limits.memory),
            log_texts: options.log_texts,
            token_vectors: Semaphore::new(1),
            exports: Arc::new(Semaphore::new(EXPORTS)),
            reviews: Arc::new(Semaphore::new(1)),
            exporter: OnceLock::new(),
            sockets: Sockets::default(),
            stopping: AtomicBool::new(false),
            encoder_precision: options.encoder.precision,
            encoder_device: options.encoder.device,
            threads: rayon::current_num_threads(),
            precision: match options.encoder.precision {
                Precision::F32 => "float32",
                Precision::Bf16 => "bfloat16",
                Precision::Int8 => "int8",
            },
            started: now.as_secs(),
            limits,
        })
    }

    /// The index of a name.
    pub fn index(&self, name: &str) -> Result<Arc<ServedIndex>, ApiError> {
        let found = self.read_indexes().get(name).map(Arc::clone);
        if found.is_none() && self.engines.contains_key(name) {
            return Err(not_served(name, "this"));
        }
        found.ok_or_else(|| ApiError::not_found(format!("there is no index named {}", quoted(name))))
    }

    /// The table of an engine that has a name, if one has it.
    pub fn engine(&self, name: &str) -> Option<Arc<ServedEngine>> {
        self.engines.get(name).map(Arc::clone)
    }

    /// The tables of engines.
    pub fn engines(&self) -> impl Iterator<Item = &Arc<ServedEngine>> {
        self.engines.values()
    }

    /// All of them.
    pub fn indexes(&self) -> Vec<Arc<ServedIndex>> {
        self.read_indexes().values().map(Arc::clone).collect()
    }

    fn read_indexes(&self) -> RwLockReadGuard<'_, Indexes> {
        self.indexes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_indexes(&self) -> RwLockWriteGuard<'_, Indexes> {
        self.indexes.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an index for a model. `name` is that of a folder and of nothing else.
    pub fn create(self: &Arc<Self>, name: &str, location: &str, room: &Room) -> Result<(), ApiError> {
        let identity = akin_query::model::identity(location, room.encoder())?;
        let identity = ModelIdentity { passages: PassageSize::Window, ..identity };
        self.begin(name, &identity, Some(room.clone()))
    }

    /// Begins an index of vectors that clients make themselves. `name` is that of a folder and of nothing else.
    pub fn create_of_vectors(
        self: &Arc<Self>,
        name: &str,
        dimension: usize,
        similarity: Similarity,
    ) -> Result<(), ApiError> {
        self.begin(name, &ModelIdentity { similarity, ..ModelIdentity::unknown(dimension) }, None)
    }

    fn begin(
        self: &Arc<Self>,
        name: &str,
        identity: &ModelIdentity,
        room: Option<Room>,
    ) -> Result<(), ApiError> {
        let Some(folder) = &self.created else { return Err(read_only()) };
        let mut indexes = self.change_indexes();
        let taken =
            || ApiError::new(Kind::Conflict, format!("there is an index named {} already", quoted(name)));
        if indexes.contains_key(name) || self.engines.contains_key(name) {
            return Err(taken());
        }
        let path = folder.join(name);
        let index = Index::open_or_create(&path, identity)?;
        if !index.is_empty() {
            return Err(taken());
        }
        let served = Arc::new(ServedIndex::created(name, path, index, room));
        self.sockets.open(self, &served);
        indexes.insert(name.to_owned(), served);
        Ok(())
    }

    /// Deletes an index that a client created.
    pub fn drop_index(&self, name: &str) -> Result<(), ApiError> {
        let index = self.index(name)?;
        let folder = index.folder_to_drop().filter(|_| self.created.is_some()).map(Path::to_owned);
        let Some(folder) = folder else {
            let kept = "only indexes that were created over this interface are dropped over it";
            return Err(ApiError::new(Kind::Forbidden, kept));
        };
        self.change_indexes().remove(name);
        self.sockets.remove(name);
        // Its writer closes here, unless a request still uses it, which then fails.
        drop(index);
        std::fs::remove_dir_all(folder).map_err(|error| {
            ApiError::new(Kind::Unavailable, format!("the files of {name} could not all be deleted: {error}"))
        })
    }

    /// The model of a name; the first one where none is named.
    pub fn model(&self, name: Option<&str>) -> Result<&(String, Room), ApiError> {
        let found = match name {
            None => self.models.first(),
            Some(name) => self.models.iter().find(|(known, _)| is_name_of(name, known)),
        };
        found.ok_or_else(|| {
            let served: Vec<&str> = self.models.iter().map(|(name, _)| name.as_str()).collect();
            let what = name
                .map_or("no model is served".into(), |name| format!("there is no model {}", quoted(name)));
            let there =
                if served.is_empty() { String::new() } else { format!(" (served: {})", served.join(", ")) };
            ApiError { field: Some("model".into()), ..ApiError::not_found(what + &there) }
        })
    }

    /// What ranks again, if `name` is it.
    pub fn reranker(&self, name: Option<&str>) -> Result<&NamedReranker, ApiError> {
        let Some(served) = &self.reranker else {
            return Err(ApiError::not_found("no model is served that could rank"));
        };
        match name {
            Some(name) if !is_name_of(name, &served.name) => Err(ApiError {
                field: Some("model".into()),
                ..ApiError::not_found(format!(
                    "there is no model {} that ranks (served: {})",
                    quoted(name),
                    served.name
                ))
            }),
            _ => Ok(served),
        }
    }
}

/// Something that a client named, in a sentence: not longer than that.
pub fn quoted(name: &str) -> String {
    format!("{:?}", name.chars().take(100).collect::<String>())
}

/// Does work that takes a processor or the disk on a thread that may wait.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => Err(ApiError::panicked()),
        Err(_) => Err(ApiError::new(Kind::Unavailable, "the server stops")),
    }
}

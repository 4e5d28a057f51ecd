//! Errors of the libraries as the exceptions of `akin.errors`, with a remedy in words of Python.

use akin_encoder::Error as EncoderError;
use akin_engines::Error as EngineError;
use akin_engines::bucket::BucketError;
use akin_index::{Cancelled, Error as IndexError, Found};
use akin_indexer::Error as IndexerError;
use akin_query::Error as QueryError;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Why a call failed: the name of a class of `akin.errors`, and a sentence.
#[derive(Debug)]
pub struct Failure {
    class: &'static str,
    sentence: String,
}

/// The class of what a server of an engine does not do.
const ENGINE: &str = "EngineError";

/// A result of this crate's own calls.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure of a class of `akin.errors`.
    pub fn new(class: &'static str, sentence: impl Into<String>) -> Self {
        Self { class, sentence: sentence.into() }
    }

    /// Something that a caller asked for and cannot be.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self::new("InvalidArgument", sentence)
    }

    /// Whether a connection to an engine is not to be used again after it.
    pub fn is_of_connection(&self) -> bool {
        self.class == ENGINE
    }

    fn with_remedy(class: &'static str, error: &dyn std::error::Error, remedy: Option<&str>) -> Self {
        let mut sentence = error.to_string();
        if let Some(remedy) = remedy {
            sentence.push_str(": ");
            sentence.push_str(remedy);
        }
        Self { class, sentence }
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| {
            let class = py.import("akin.errors").and_then(|errors| errors.getattr(failure.class));
            match class.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
                Ok(class) => PyErr::from_type(class, (failure.sentence,)),
                Err(error) => error,
            }
        })
    }
}

impl From<Cancelled> for Failure {
    fn from(cancelled: Cancelled) -> Self {
        Self::new("Cancelled", cancelled.to_string())
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        let (class, remedy) = match &error {
            IndexError::NotAnIndex {
                found: Found::Nothing | Found::EmptyFolder | Found::Interrupted,
                ..
            } => ("IndexNotFound", Some("akin.open(path, create=True) makes one")),
            IndexError::NotAnIndex { found: Found::OtherFolder, .. } => {
                ("IndexNotFound", Some("name a new or an empty folder"))
            }
            IndexError::NotAnIndex { .. } => ("IndexNotFound", None),
            IndexError::Locked { .. } => {
                ("IndexInUse", Some("wait for it to finish, or close the index there"))
            }
            IndexError::Format { found: 3, .. } => ("IndexFormatError", Some("`akin compact` upgrades it")),
            IndexError::Format { found, known, .. } if found > known => {
                ("IndexFormatError", Some("install a newer akin"))
            }
            IndexError::Format { .. } => ("IndexFormatError", Some("build it anew in another folder")),
            IndexError::OtherModel { .. } => {
                ("OtherModel", Some("open it with that model, or build another index with this one"))
            }
            IndexError::Dimension { .. } => ("DimensionError", None),
            IndexError::UnknownModel { .. } => ("ModelError", Some("search it with vectors")),
            IndexError::Damaged { .. } => (
                "IndexDamaged",
                Some("restore a copy, or build it anew (`akin repair` saves what can be read)"),
            ),
            IndexError::Catalogue { .. } => ("IndexDamaged", Some("`akin repair` makes it anew")),
            IndexError::Write { .. } => ("WriteError", Some("everything committed before is safe")),
            IndexError::Io { .. } => ("ReadError", None),
            IndexError::Filter { .. } => ("FilterError", None),
            IndexError::Stale(_) => ("Error", None),
            IndexError::Cancelled => ("Cancelled", None),
            _ => ("InvalidArgument", None),
        };
        Self::with_remedy(class, &error, remedy)
    }
}

impl From<EncoderError> for Failure {
    fn from(error: EncoderError) -> Self {
        let (class, remedy) = match &error {
            EncoderError::ModelNotFound { .. } => (
                "ModelNotFound",
                Some("name a directory, or a model of the hub (HF_ENDPOINT names a mirror of it)"),
            ),
            EncoderError::IsCrossEncoder { .. } => ("ModelError", Some("akin.CrossEncoder opens it")),
            EncoderError::NoCrossEncoder { .. } => {
                ("ModelError", Some("akin.SentenceEncoder opens it, if it is one"))
            }
            EncoderError::Precision { .. } => ("InvalidArgument", Some("precision=\"f32\" works everywhere")),
            EncoderError::Io { .. } => ("ReadError", None),
            EncoderError::Model { .. } => ("ModelError", None),
            _ => ("InvalidArgument", None),
        };
        Self::with_remedy(class, &error, remedy)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let (class, remedy) = match &error {
            EngineError::Address { .. } | EngineError::Document { .. } => ("InvalidArgument", None),
            EngineError::Unreachable { .. } => (ENGINE, Some("start it, or name another address")),
            EngineError::Login { .. } => (
                ENGINE,
                Some(
                    "give user and password in the address, or the password in PGPASSWORD or MILVUS_PASSWORD",
                ),
            ),
            EngineError::Encryption { .. } => (
                ENGINE,
                Some(
                    "sslrootcert=FILE in the address of a table, or roots=FILE in that of a collection, names who signs its \
                     certificate",
                ),
            ),
            EngineError::Gone { .. } => {
                (ENGINE, Some("the same call goes on when it is there again: what was committed is kept"))
            }
            EngineError::NoVectors { .. } => (ENGINE, Some("PostgreSQL needs pgvector 0.8 or newer")),
            EngineError::NoTable { .. } => {
                ("IndexNotFound", Some("akin.open(address, create=True) makes one"))
            }
            EngineError::NotOurs { .. } => ("IndexNotFound", Some("name another")),
            EngineError::OtherModel { .. } => {
                ("OtherModel", Some("open it with that model, or name another place"))
            }
            EngineError::Filter { .. } => ("FilterError", None),
            EngineError::NoWords { .. } => ("InvalidArgument", Some("mode=\"semantic\" does without")),
            EngineError::NotRemembered { .. } => {
                ("InvalidArgument", Some("leave sync=True out, and delete documents by their ids"))
            }
            EngineError::Option { .. } => ("InvalidArgument", None),
            EngineError::TextConfig { .. } => {
                ("InvalidArgument", Some("leave text_config out of engine_options=, or name another place"))
            }
            EngineError::Refused { .. } => (ENGINE, None),
            _ => ("Error", None),
        };
        match error {
            EngineError::Index(error) => error.into(),
            EngineError::Bucket(error) => error.into(),
            other => Self::with_remedy(class, &other, remedy),
        }
    }
}

impl From<BucketError> for Failure {
    fn from(error: BucketError) -> Self {
        let (class, remedy) = match &error {
            BucketError::Address { .. } => ("InvalidArgument", None),
            BucketError::NoIndex { .. } => {
                ("IndexNotFound", Some("`akin copy FOLDER s3://BUCKET/PREFIX` puts one there"))
            }
            BucketError::NoBucket { .. } => {
                ("IndexNotFound", Some("make it with a tool of the object store, or name another"))
            }
            BucketError::Damaged { .. } => (
                "IndexDamaged",
                Some("remove that object and copy the index there again, or name another copy of it"),
            ),
            BucketError::Settings { .. } => (
                "ReadError",
                Some(
                    "AWS_ENDPOINT_URL names the object store, and AWS_ALLOW_HTTP=true one of another machine that does not \
                     encrypt",
                ),
            ),
            BucketError::NoAnswer { .. } => {
                ("ReadError", Some("AWS_ENDPOINT_URL names the object store, AWS_REGION that of AWS"))
            }
            BucketError::Access { .. } => (
                "ReadError",
                Some(
                    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN say who asks, and AWS_REGION where the \
                     bucket is",
                ),
            ),
            BucketError::NoCredentials { .. } => {
                ("ReadError", Some("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"))
            }
            BucketError::NoCache(_) => ("ReadError", Some("set XDG_CACHE_HOME to a folder")),
            BucketError::Refused { .. } => ("ReadError", None),
            _ => ("Error", None),
        };
        Self::with_remedy(class, &error, remedy)
    }
}

impl From<IndexerError> for Failure {
    fn from(error: IndexerError) -> Self {
        let remedy = match error {
            IndexerError::Encoder(error) => return error.into(),
            IndexerError::Index(error) => return error.into(),
            IndexerError::Engine(error) => return error.into(),
            IndexerError::MissingField { role: akin_indexer::FieldRole::Id, .. } => {
                Some("id_field= names another")
            }
            IndexerError::MissingField { .. } => Some("text_field= names another"),
            IndexerError::NotUtf8 { .. } => Some("encoding=\"windows-1252\" reads Western ones"),
            IndexerError::PassageSize { .. } => Some("passages=\"auto\" fits them to the model"),
            _ => None,
        };
        Self::with_remedy("CorpusError", &error, remedy)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let (class, remedy) = match error {
            QueryError::Encoder(error) => return error.into(),
            QueryError::Index(error) => return error.into(),
            QueryError::Queries(error) => return error.into(),
            QueryError::Engine(error) => return error.into(),
            QueryError::NotOfEngine { .. } => {
                ("InvalidArgument", Some("leave it out, or ask an index in a folder"))
            }
            QueryError::ModelMoved(_) => {
                ("ModelNotFound", Some("akin.open(path, model=...) says where it is now"))
            }
            QueryError::OtherPrompt { .. } => (
                "OtherModel",
                Some("leave the prompts out to use those of the index, or build another index"),
            ),
            QueryError::OtherDimensions { .. } => (
                "OtherModel",
                Some("leave truncate_dim out to use that of the index, or build another index"),
            ),
            QueryError::OtherSimilarity { .. } => {
                ("OtherModel", Some("build another index with the model as it is now"))
            }
            QueryError::NoEncoder => ("ModelError", Some("search it with vectors, or with mode=\"keyword\"")),
            QueryError::NoExample { .. } => ("DocumentNotFound", None),
            QueryError::ExamplesOfWords => {
                ("InvalidArgument", Some("leave mode=\"keyword\" out, or like= and unlike="))
            }
            _ => ("Error", None),
        };
        Self::with_remedy(class, &error, remedy)
    }
}

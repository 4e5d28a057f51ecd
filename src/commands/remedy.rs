//! The remedies that only the command line can name: which option to give.
//!
//! The libraries say what is wrong, and know no options.

use akin_engines::bucket::{BucketAddress, BucketError};
use akin_engines::{Address, milvus};
use akin_index::{Error as IndexError, Found};
use akin_indexer::{Error, FieldRole};

/// What to do about a text that is not UTF-8.
pub const OTHER_ENCODING: &str = "--encoding windows-1252 reads Western ones of Windows and Latin-1";

/// What to do about an error, if a command or an option helps.
pub fn of(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let (mut indexer, mut index) = (cause.downcast_ref::<Error>(), cause.downcast_ref::<IndexError>());
        let query = cause.downcast_ref::<akin_query::Error>();
        let served = || match cause.downcast_ref::<akin_server::StartError>()? {
            akin_server::StartError::Query(error) => Some(error),
            _ => None,
        };
        let query = query.or_else(served);
        match query {
            Some(akin_query::Error::Queries(error)) => indexer = Some(error),
            Some(akin_query::Error::Index(error)) => index = Some(error),
            Some(akin_query::Error::ModelMoved(_)) => return Some("--model says where it is now"),
            Some(akin_query::Error::OtherPrompt { .. }) => {
                return Some("leave --query-prompt and --document-prompt out to use those of the index, or build another index")
            }
            Some(akin_query::Error::OtherDimensions { .. }) => {
                return Some("leave --dimensions out to use those of the index, or build another index")
            }
            Some(akin_query::Error::ExamplesOfWords) => {
                return Some("leave --mode keyword out, or --like and --unlike")
            }
            Some(akin_query::Error::OtherSimilarity { .. }) => {
                return Some("build another index with the model as it is now, or restore its config_sentence_transformers.json")
            }
            _ => {}
        }
        if let Some(Error::Index(error)) = indexer {
            index = Some(error);
        }
        if let Some(remedy) = index.and_then(of_index) {
            return Some(remedy);
        }
        let engine = match (query, indexer) {
            (Some(akin_query::Error::Engine(error)), _) | (_, Some(Error::Engine(error))) => Some(error),
            _ => cause.downcast_ref::<akin_engines::Error>(),
        };
        if let Some(remedy) = engine.and_then(of_engine) {
            return Some(remedy);
        }
        if let Some(remedy) = cause.downcast_ref::<akin_server::StartError>().and_then(of_server) {
            return Some(remedy);
        }
        let trainer = cause.downcast_ref::<akin_trainer::Error>();
        let encoder = match query {
            Some(akin_query::Error::Encoder(error)) => Some(error),
            _ => match (indexer, trainer) {
                (Some(Error::Encoder(error)), _) => Some(error),
                (_, Some(akin_trainer::Error::Encoder(error))) => Some(error),
                _ => cause.downcast_ref::<akin_encoder::Error>(),
            },
        };
        if let Some(remedy) = encoder.and_then(of_encoder) {
            return Some(remedy);
        }
        if let Some(akin_trainer::Error::OutputExists { unfinished, .. }) = trainer {
            return Some(if *unfinished { "--resume goes on with it" } else { "name another with --output" });
        }
        match indexer? {
            Error::MissingField { role: FieldRole::Id, .. } => Some("name another with --id-field"),
            Error::MissingField { role: FieldRole::Text, .. } => Some("name another with --text-field"),
            Error::NotUtf8 { .. } => Some(OTHER_ENCODING),
            Error::Matrix { .. } => {
                Some("save one by numpy.save(path, x) with x a matrix of floats of shape (rows, dimension)")
            }
            Error::PassageSize { .. } => Some("--passages auto fits them to the model"),
            _ => None,
        }
    })
}

/// What to do about an engine.
fn of_engine(error: &akin_engines::Error) -> Option<&'static str> {
    use akin_engines::Error;
    Some(match error {
        Error::Unreachable { .. } => {
            "start it, or name another as in postgres://USER@HOST:PORT/DATABASE/TABLE or milvus://HOST:PORT/COLLECTION"
        }
        Error::Login { .. } => {
            "give user and password in the address, or the password in PGPASSWORD or MILVUS_PASSWORD"
        }
        Error::Encryption { .. } => {
            "sslrootcert=FILE in the address of a table, or roots=FILE in that of a collection, names who signs its certificate; sslmode=require asks nobody who answers"
        }
        Error::Gone { .. } => "the same command goes on when it is there again: what was committed is kept",
        Error::NoVectors { place, .. } if milvus::Address::is_one(place) => {
            "keep them in a folder or a table of PostgreSQL, or use another model"
        }
        Error::NoVectors { .. } => {
            "install pgvector 0.8 or newer there, and have its owner run CREATE EXTENSION vector"
        }
        Error::NoTable { .. } => "`akin index` makes one",
        Error::NotOurs { .. } => "name another",
        Error::NoWords { place } if milvus::Address::is_one(place) => {
            "a collection that Milvus 2.5 or newer makes keeps them: copy this one to another with `akin copy`, unless it was begun with text_config=none; --mode semantic does without"
        }
        Error::NoWords { .. } => {
            "`akin index` adds those of all its documents, unless it was begun with text_config=none; --mode semantic does without"
        }
        Error::TextConfig { place, .. } if milvus::Address::is_one(place) => {
            "leave --engine-option text_config out, or name another collection, of a server of Milvus 2.5 or newer"
        }
        Error::TextConfig { .. } => "leave --engine-option text_config out, or name another table",
        Error::OtherModel { .. } => "use that model with its options, or name another place",
        Error::Index(error) => return of_index(error),
        Error::Bucket(error) => return of_bucket(error),
        _ => return None,
    })
}

/// What to do about an index in a bucket.
fn of_bucket(error: &BucketError) -> Option<&'static str> {
    Some(match error {
        BucketError::Settings { .. } => {
            "AWS_ENDPOINT_URL names the object store, and AWS_ALLOW_HTTP=true one of another machine that does not encrypt"
        }
        BucketError::NoAnswer { .. } => {
            "AWS_ENDPOINT_URL names the object store, AWS_REGION that of AWS; the same command goes on when it answers"
        }
        BucketError::Access { .. } => {
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN say who asks, and AWS_REGION where the bucket is"
        }
        BucketError::NoCredentials { .. } => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        BucketError::NoBucket { .. } => "make it with a tool of the object store, or name another",
        BucketError::NoIndex { .. } => "`akin copy FOLDER s3://BUCKET/PREFIX` puts one there",
        BucketError::Other { .. } => "name another PREFIX, or remove what is there",
        BucketError::Overtaken { .. } => "run the same command again",
        BucketError::Damaged { .. } => DAMAGED_OBJECT,
        BucketError::NoCache(_) => "set XDG_CACHE_HOME to a folder",
        _ => return None,
    })
}

/// What to do about an object that is damaged: a copy does not send again what has the right length and end.
const DAMAGED_OBJECT: &str = "remove that object and copy the index there again, or name another copy of it";

/// What to do about a server that cannot be started.
fn of_server(error: &akin_server::StartError) -> Option<&'static str> {
    Some(match error {
        akin_server::StartError::Listen { .. } => "name another address or port with --listen",
        akin_server::StartError::Open { .. } => {
            "--api-key-file FILE asks for keys, and --insecure serves whoever reaches it"
        }
        akin_server::StartError::Tls { .. } => {
            "--tls-certificate names a certificate and those that sign it, --tls-key its key"
        }
        akin_server::StartError::Traces(_) => "--otlp-endpoint names where a collector takes OTLP over HTTP",
        _ => return None,
    })
}

/// What to do about a model.
fn of_encoder(error: &akin_encoder::Error) -> Option<&'static str> {
    Some(match error {
        akin_encoder::Error::ModelNotFound { .. } => {
            "name a directory (--model DIR, or --rerank DIR), fetch the default one with `make model`, or set HF_ENDPOINT to a mirror"
        }
        akin_encoder::Error::IsCrossEncoder { .. } => {
            "name a sentence encoder with --model; `akin query --rerank` takes a cross-encoder"
        }
        akin_encoder::Error::NoCrossEncoder { .. } => {
            "--rerank takes a cross-encoder, such as cross-encoder/ms-marco-MiniLM-L6-v2, or one that `akin train --objective \
             cross-encoder` writes; --model takes a sentence encoder"
        }
        akin_encoder::Error::Precision { .. } => "--precision f32 works everywhere",
        akin_encoder::Error::DeviceNotBuilt { feature: "cuda", .. } => {
            "build akin with `cargo build --release --features cuda`, or leave --device out"
        }
        akin_encoder::Error::DeviceNotBuilt { .. } => {
            "build akin with `cargo build --release --features wgpu`, or leave --device out"
        }
        akin_encoder::Error::Device { .. } => "--device cpu works everywhere",
        _ => return None,
    })
}

/// What to do about an index.
fn of_index(error: &IndexError) -> Option<&'static str> {
    Some(match error {
        IndexError::NotAnIndex { path, .. } if path.to_str().is_some_and(Address::is_one) => {
            "this command takes folders alone; `index`, `query`, `batch`, `delete`, `stat`, `export` and `copy` take addresses too"
        }
        IndexError::NotAnIndex { found: Found::Nothing | Found::EmptyFolder, .. } => "`akin index` makes one",
        IndexError::NotAnIndex { found: Found::Interrupted, .. } => "`akin index` completes it",
        IndexError::NotAnIndex { found: Found::OtherFolder, .. } => "name a new or an empty folder",
        IndexError::Locked { .. } => "wait for it to finish, or stop it",
        IndexError::Format { found: 3, .. } => "`akin compact` upgrades it",
        IndexError::Format { found, known, .. } if found > known => "use a newer akin",
        IndexError::Format { .. } => "build it anew from its corpus in another folder with `akin index`",
        IndexError::OtherModel { .. } => "use that model, or build another index with this one",
        IndexError::OtherPart { .. } => {
            "build it again with the model and options of the index, or adopt it by an index of its own kind"
        }
        IndexError::UnknownModel { .. } => {
            "search it with vectors (`akin bench`), or index the texts in another folder with `akin index`"
        }
        IndexError::Damaged { path, .. } if path.to_str().is_some_and(BucketAddress::is_one) => {
            DAMAGED_OBJECT
        }
        IndexError::Damaged { .. } => {
            "restore a copy, or build it anew from its corpus (`akin repair` saves what can be read)"
        }
        IndexError::Catalogue { .. } => "`akin repair` makes it anew",
        IndexError::Write { .. } => {
            "everything committed before is safe, and the same command goes on from there"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_has_its_option_wherever_it_was_read() {
        let missing = |role| Error::MissingField {
            file: "a.jsonl".into(),
            line: 1,
            field: "text".into(),
            role,
            present: Vec::new(),
        };
        let of_corpus = anyhow::Error::from(missing(FieldRole::Id)).context("cannot index");
        assert_eq!(of(&of_corpus), Some("name another with --id-field"));
        let of_queries = anyhow::Error::from(akin_query::Error::from(missing(FieldRole::Text)));
        assert_eq!(of(&of_queries), Some("name another with --text-field"));
        assert_eq!(of(&anyhow::anyhow!("something else")), None);
    }
}

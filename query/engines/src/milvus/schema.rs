//! The collection: its fields, its graph, and a full account of its model in the description.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use akin_index::{ModelIdentity, Similarity, TermReader};
use prost::Message;
use serde_json::{Value, json};

use super::connect::Connection;
use super::wire::{
    BM25, BoolAnswer, CollectionSchema, CreateCollection, CreateIndex, DescribeIndex, Described,
    DescribedIndex, FLOAT_VECTOR, FieldSchema, Flush, FlushState, Flushed, FunctionSchema, GetVersion, INT64,
    IndexDescription, JSON, LOADED, LoadState, OfCollection, Pair, SPARSE_VECTOR, STRONG, StateOfCollection,
    Status, VARCHAR, Version,
};
use crate::options::GraphSettings;
use crate::postgres::{model_from, model_json};
use crate::{EngineOptions, Error, Progress, Result};

/// The version of what is kept.
const VERSION: u64 = 1;

/// The property that has the account of the model as well: Milvus Lite keeps no descriptions.
const PROPERTY: &str = "akin";

/// The longest vectors that are kept.
pub(super) const DIMENSION_LIMIT: usize = 4000;

/// The most bytes that Milvus keeps of a text, and of a JSON value.
pub(super) const MOST_TEXT: usize = 65_535;
pub(super) const MOST_JSON: usize = 65_536;

/// The field of the vectors.
pub(super) const EMBEDDING: &str = "embedding";

/// The field of the words of a passage, and that of the sparse vectors which the server makes of them.
pub(super) const WORDS: &str = "words";
pub(super) const BM25_VECTOR: &str = "bm25";

/// The field of the account that says how words are read.
const TEXT_CONFIG: &str = "text_config";

/// The oldest server that makes vectors of words.
const LEAST_WITH_WORDS: (u64, u64) = (2, 5);

/// How the server reads the words of a passage, which lie between spaces and have no other marks: Milvus Lite knows no plainer way.
const ANALYZER: &str = "{\"tokenizer\": \"standard\"}";

/// The constants of BM25 that are best beside meaning, as in an index of ours. A collection has one choice.
const BM25_CONSTANTS: &str = "{\"bm25_k1\": 0.9, \"bm25_b\": 0.4}";

/// What the account of a collection says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Account {
    pub(super) model: ModelIdentity,
    /// How the words are read that it keeps, if it keeps any.
    pub(super) text_config: Option<String>,
    pub(super) settings: Settings,
}

/// What is chosen of a collection when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) graph: GraphSettings,
    pub(super) shards: usize,
}

impl Settings {
    /// The settings where nothing is chosen.
    const OWN: Self = Self { graph: GRAPH, shards: SHARDS };

    /// These, but for what is chosen otherwise.
    pub(super) fn chosen(self, options: &EngineOptions) -> Result<Self> {
        let shards = options.shards.unwrap_or(self.shards);
        if !MOST_SHARDS.contains(&shards) {
            let reason = format!("a collection has 1 to {}, and not {shards}", MOST_SHARDS.end());
            return Err(Error::Option { name: OF_SHARDS.into(), reason });
        }
        Ok(Self { graph: self.graph.chosen(options, NEIGHBORS, CANDIDATES)?, shards })
    }
}

/// How many neighbors a point of the graph has, and how many candidates it is chosen from.
const GRAPH: GraphSettings = GraphSettings { m: 16, ef_construction: 200 };

/// In how many parts a collection takes rows. A cluster has a node for each write at the same time.
const SHARDS: usize = 1;

/// The field of the account that says so.
const OF_SHARDS: &str = "shards";

/// The numbers that Milvus takes for a graph, and how many shards.
const NEIGHBORS: RangeInclusive<usize> = 2..=2048;
const CANDIDATES: RangeInclusive<usize> = 1..=32_768;
const MOST_SHARDS: RangeInclusive<usize> = 1..=16;

/// How long a collection may take until it can be searched.
const LOAD_WAIT: Duration = Duration::from_secs(600);

/// How often the server is asked how far it is.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// The account of the collection; none where there is no collection.
pub(super) fn account_of(connection: &Connection) -> Result<Option<Account>> {
    let collection = of_collection(connection);
    let there: BoolAnswer = connection.call("HasCollection", &collection)?;
    if !there.value {
        return Ok(None);
    }
    let described: Described = connection.call("DescribeCollection", &collection)?;
    let place = connection.address.place();
    let not_ours = |reason: String| Error::NotOurs { place: place.clone(), reason };
    let schema = described.schema.unwrap_or_default();
    let property = described.properties.iter().find(|pair| pair.key == PROPERTY);
    let account = property.map_or(&schema.description, |pair| &pair.value);
    let value: Value = serde_json::from_str(account).unwrap_or_default();
    match value["akin"].as_u64() {
        None => return Err(not_ours("its description says nothing of a model".into())),
        Some(VERSION) => {}
        Some(other) => {
            return Err(not_ours(format!("its form is {other}, and this release reads form {VERSION}")));
        }
    }
    let model = model_from(&value).ok_or_else(|| not_ours("its description has been changed".into()))?;
    let text_config = value[TEXT_CONFIG].as_str().map(str::to_owned);
    if text_config.as_deref().is_some_and(|config| TermReader::named(config).is_none()) {
        return Err(not_ours("this release does not read words as its description says".into()));
    }
    for field in fields(&model, text_config.is_some()) {
        let found = schema.fields.iter().find(|found| found.name == field.name);
        if found.is_none_or(|found| found.data_type != field.data_type) {
            return Err(not_ours(format!("it has no field {:?} of the type that is needed", field.name)));
        }
        let dimension = |of: &FieldSchema| of.type_params.iter().find(|pair| pair.key == "dim").cloned();
        if found.and_then(&dimension) != dimension(&field) {
            return Err(not_ours("its vectors have another dimension than its description says".into()));
        }
    }
    if text_config.is_some() && !makes_vectors(&schema) {
        return Err(not_ours("its server makes no vectors of its words, as its description says".into()));
    }
    let shards = value[OF_SHARDS].as_u64().map_or(SHARDS, |shards| shards as usize);
    let settings = Settings { graph: GraphSettings::of_account(&value, GRAPH), shards };
    Ok(Some(Account { model, text_config, settings }))
}

/// Whether the server fills the field of the vectors of words: its function or the field says so.
fn makes_vectors(schema: &CollectionSchema) -> bool {
    let of_words = |function: &FunctionSchema| function.kind == BM25 && function.outputs == [BM25_VECTOR];
    let filled = |field: &FieldSchema| field.name == BM25_VECTOR && field.is_function_output;
    schema.functions.iter().any(of_words) || schema.fields.iter().any(filled)
}

/// Whether the server makes vectors of words, by its version; none where it does not tell.
pub(super) fn can_keep_words(connection: &Connection) -> Result<Option<bool>> {
    match connection.call::<_, Version>("GetVersion", &GetVersion {}) {
        Ok(version) => Ok(Some(numbers_of(&version.version) >= LEAST_WITH_WORDS)),
        Err(Error::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first two numbers of a version, as in `v2.5.4` or `milvus_lite-3.2.2`.
fn numbers_of(version: &str) -> (u64, u64) {
    let from = version.find(|c: char| c.is_ascii_digit()).unwrap_or(version.len());
    let mut numbers =
        version[from..].split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Creates the collection for vectors of a model, and for words if they are read in any way.
pub(super) fn create(
    connection: &Connection,
    model: &ModelIdentity,
    text_config: Option<&str>,
    options: &EngineOptions,
) -> Result<()> {
    let settings = Settings::OWN.chosen(options)?;
    let cannot = |reason: String| Error::NoVectors { place: connection.address.place(), reason };
    if !(1..=DIMENSION_LIMIT).contains(&model.dimension) {
        return Err(cannot(format!(
            "vectors have 1 to {DIMENSION_LIMIT} dimensions there, and not {}",
            model.dimension
        )));
    }
    metric(model.similarity).ok_or_else(|| {
        cannot(format!("Milvus does not compare by the similarity {}", model.similarity.name()))
    })?;
    let mut account = model_json(model);
    if let Some(config) = text_config {
        account[TEXT_CONFIG] = config.into();
    }
    settings.graph.tell(&mut account);
    account[OF_SHARDS] = settings.shards.into();
    let of_words = FunctionSchema {
        name: BM25_VECTOR.into(),
        kind: BM25,
        inputs: vec![WORDS.into()],
        outputs: vec![BM25_VECTOR.into()],
    };
    let schema = CollectionSchema {
        name: connection.address.collection().into(),
        description: account.to_string(),
        fields: fields(model, text_config.is_some()),
        functions: text_config.map(|_| of_words).into_iter().collect(),
    };
    let create = CreateCollection {
        collection: schema.name.clone(),
        schema: schema.encode_to_vec(),
        shards: settings.shards as i32,
        consistency: STRONG,
        properties: vec![Pair::new(PROPERTY, &schema.description)],
    };
    connection.call::<_, Status>("CreateCollection", &create).map(drop)
}

/// Asks for the graph and the index of words where there is none, and has the collection loaded. All is done again without harm: a
/// command that was killed in between leaves the rest to the next.
pub(super) fn make_ready(connection: &Connection, account: &Account) -> Result<()> {
    let metric = metric(account.model.similarity).unwrap_or("IP");
    let GraphSettings { m, ef_construction } = account.settings.graph;
    let graph = json!({"M": m, "efConstruction": ef_construction}).to_string();
    require_index(connection, EMBEDDING, ["HNSW", metric, &graph])?;
    if account.text_config.is_some() {
        require_index(connection, BM25_VECTOR, ["SPARSE_INVERTED_INDEX", "BM25", BM25_CONSTANTS])?;
    }
    connection.call::<_, Status>("LoadCollection", &of_collection(connection))?;
    let began = Instant::now();
    let state = StateOfCollection { collection: connection.address.collection().into() };
    while connection.call::<_, LoadState>("GetLoadState", &state)?.state != LOADED {
        if began.elapsed() > LOAD_WAIT {
            let reason = format!("{} is not loaded after {LOAD_WAIT:?}", connection.address.place());
            return Err(Error::Refused { server: connection.address.server().into(), reason });
        }
        connection.pause(ASK_AGAIN);
    }
    Ok(())
}

/// Creates an index of a field by type, metric and parameters, unless the field has one.
fn require_index(connection: &Connection, field: &str, [kind, metric, params]: [&str; 3]) -> Result<()> {
    if index_of(connection, field)?.is_some() {
        return Ok(());
    }
    let create = CreateIndex {
        collection: connection.address.collection().into(),
        field: field.into(),
        params: vec![
            Pair::new("index_type", kind),
            Pair::new("metric_type", metric),
            Pair::new("params", params),
        ],
        name: field.into(),
    };
    connection.call::<_, Status>("CreateIndex", &create).map(drop)
}

/// The graph of the collection, if it has one.
pub(super) fn graph_of(connection: &Connection) -> Result<Option<IndexDescription>> {
    index_of(connection, EMBEDDING)
}

/// The index of a field, if it has one.
fn index_of(connection: &Connection, field: &str) -> Result<Option<IndexDescription>> {
    let describe = DescribeIndex { collection: connection.address.collection().into(), field: field.into() };
    let described: DescribedIndex = match connection.call("DescribeIndex", &describe) {
        // This is how servers say that there is none.
        Err(Error::Refused { reason, .. }) if reason.contains("index not") || reason.contains("no index") => {
            return Ok(None);
        }
        described => described?,
    };
    Ok(described.indexes.into_iter().find(|index| index.field.is_empty() || index.field == field))
}

/// Has what is in memory alone written and its graph built, and waits for that.
pub(super) fn flush(connection: &Connection, progress: Progress<'_>) -> Result<()> {
    let flush = Flush { collections: vec![connection.address.collection().into()] };
    let flushed: Flushed = connection.call("Flush", &flush)?;
    let segments = flushed.segments.into_values().flat_map(|segments| segments.data).collect();
    let state = FlushState { segments };
    while !state.segments.is_empty() && !connection.call::<_, BoolAnswer>("GetFlushState", &state)?.value {
        if progress(0, 1).is_break() {
            return Err(akin_index::Error::Cancelled.into());
        }
        connection.pause(ASK_AGAIN);
    }
    while let Some(graph) = graph_of(connection)? {
        let (done, of) = (graph.indexed_rows.max(0) as usize, graph.total_rows.max(0) as usize);
        if graph.pending_rows <= 0 && done >= of {
            break;
        }
        if progress(done, of).is_break() {
            return Err(akin_index::Error::Cancelled.into());
        }
        connection.pause(ASK_AGAIN);
    }
    Ok(())
}

/// How Milvus compares vectors; those of the cosine have the length one.
pub(super) fn metric(similarity: Similarity) -> Option<&'static str> {
    match similarity {
        Similarity::Cosine | Similarity::Dot => Some("IP"),
        Similarity::Euclidean => Some("L2"),
        Similarity::Manhattan => None,
    }
}

fn of_collection(connection: &Connection) -> OfCollection {
    OfCollection { collection: connection.address.collection().into() }
}

fn fields(model: &ModelIdentity, has_words: bool) -> Vec<FieldSchema> {
    let field = |name: &str, data_type: i32, params: Vec<Pair>| FieldSchema {
        name: name.into(),
        data_type,
        type_params: params,
        ..FieldSchema::default()
    };
    let text = |name: &str, most: usize| field(name, VARCHAR, vec![Pair::new("max_length", most)]);
    let number = |name: &str| field(name, INT64, Vec::new());
    let mut fields = vec![
        FieldSchema { is_primary_key: true, ..text("key", 96) },
        text("id", MOST_TEXT),
        number("part"),
        number("parts"),
        number("pieces"),
        number("seq"),
        number("first"),
        number("last"),
        text("hash", 32),
        text("text", MOST_TEXT),
        field("metadata", JSON, Vec::new()),
        field("terms", JSON, Vec::new()),
        field(EMBEDDING, FLOAT_VECTOR, vec![Pair::new("dim", model.dimension)]),
    ];
    if has_words {
        let mut words = text(WORDS, MOST_TEXT);
        let reading = [Pair::new("enable_analyzer", "true"), Pair::new("analyzer_params", ANALYZER)];
        words.type_params.extend(reading);
        let vector = field(BM25_VECTOR, SPARSE_VECTOR, Vec::new());
        fields.extend([words, FieldSchema { is_function_output: true, ..vector }]);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        for (version, has_words) in [
            ("v2.3.5", false),
            ("2.4.23", false),
            ("", false),
            ("unknown", false),
            ("v2.5.0-beta", true),
            ("v2.6.4-gpu", true),
            ("milvus_lite-3.2.2", true),
            ("99999999999999999999.9", false),
        ] {
            assert_eq!(numbers_of(version) >= LEAST_WITH_WORDS, has_words, "{version}");
        }
    }
}

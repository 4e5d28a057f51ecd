//! The collection: its fields, its graph, and a full account of its model in the description.

use std::time::{Duration, Instant};

use akin_index::{ModelIdentity, Similarity};
use prost::Message;
use serde_json::Value;

use super::connect::Connection;
use super::wire::{
    BoolAnswer, CollectionSchema, CreateCollection, CreateIndex, DescribeIndex, Described, DescribedIndex,
    FLOAT_VECTOR, FieldSchema, Flush, FlushState, Flushed, INT64, IndexDescription, JSON, LOADED, LoadState,
    OfCollection, Pair, STRONG, StateOfCollection, Status, VARCHAR,
};
use crate::postgres::{model_from, model_json};
use crate::{Error, Progress, Result};

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

/// How many neighbors a point of the graph has, and how many candidates it is chosen from.
const GRAPH: &str = "{\"M\": 16, \"efConstruction\": 200}";

/// How long a collection may take until it can be searched.
const LOAD_WAIT: Duration = Duration::from_secs(600);

/// How often the server is asked how far it is.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// The model of the collection; none where there is no collection.
pub(super) fn model_of(connection: &Connection) -> Result<Option<ModelIdentity>> {
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
    for field in fields(&model) {
        let found = schema.fields.iter().find(|found| found.name == field.name);
        if found.is_none_or(|found| found.data_type != field.data_type) {
            return Err(not_ours(format!("it has no field {:?} of the type that is needed", field.name)));
        }
        let dimension = |of: &FieldSchema| of.type_params.iter().find(|pair| pair.key == "dim").cloned();
        if found.and_then(&dimension) != dimension(&field) {
            return Err(not_ours("its vectors have another dimension than its description says".into()));
        }
    }
    Ok(Some(model))
}

/// Creates the collection for vectors of a model, and asks for its graph.
pub(super) fn create(connection: &Connection, model: &ModelIdentity) -> Result<()> {
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
    let schema = CollectionSchema {
        name: connection.address.collection().into(),
        description: model_json(model).to_string(),
        fields: fields(model),
    };
    let create = CreateCollection {
        collection: schema.name.clone(),
        schema: schema.encode_to_vec(),
        shards: 1,
        consistency: STRONG,
        properties: vec![Pair::new(PROPERTY, &schema.description)],
    };
    connection.call::<_, Status>("CreateCollection", &create).map(drop)
}

/// Asks for the graph where there is none, and has the collection loaded. Both are done again without harm: a command that was
/// killed in between leaves the rest to the next.
pub(super) fn make_ready(connection: &Connection, model: &ModelIdentity) -> Result<()> {
    if graph_of(connection)?.is_none() {
        let create = CreateIndex {
            collection: connection.address.collection().into(),
            field: EMBEDDING.into(),
            params: vec![
                Pair::new("index_type", "HNSW"),
                Pair::new("metric_type", metric(model.similarity).unwrap_or("IP")),
                Pair::new("params", GRAPH),
            ],
            name: EMBEDDING.into(),
        };
        connection.call::<_, Status>("CreateIndex", &create)?;
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

/// The graph of the collection, if it has one.
pub(super) fn graph_of(connection: &Connection) -> Result<Option<IndexDescription>> {
    let describe =
        DescribeIndex { collection: connection.address.collection().into(), field: EMBEDDING.into() };
    let described: DescribedIndex = match connection.call("DescribeIndex", &describe) {
        // This is how servers say that there is none.
        Err(Error::Refused { reason, .. }) if reason.contains("index not") || reason.contains("no index") => {
            return Ok(None);
        }
        described => described?,
    };
    Ok(described.indexes.into_iter().find(|index| index.field.is_empty() || index.field == EMBEDDING))
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

fn fields(model: &ModelIdentity) -> Vec<FieldSchema> {
    let field = |name: &str, data_type: i32, params: Vec<Pair>| FieldSchema {
        name: name.into(),
        data_type,
        type_params: params,
        ..FieldSchema::default()
    };
    let text = |name: &str, most: usize| field(name, VARCHAR, vec![Pair::new("max_length", most)]);
    let number = |name: &str| field(name, INT64, Vec::new());
    vec![
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
    ]
}

//! The JSON that programs read of an index and of its documents; that of an answer is [`Answer`](crate::Answer) itself.

use akin_engines::Engine;
use akin_index::{DocId, Document, Passage, PassageSize, Snapshot, Stat};
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Result;

/// The figures of an engine, such as a table of PostgreSQL.
///
/// # Errors
/// What the engine reports.
pub fn engine_stat(engine: &mut dyn Engine) -> Result<Value> {
    let figures = engine.figures()?;
    let model = engine.model();
    Ok(json!({
        "engine": engine.place(),
        "documents": figures.documents,
        "passages": figures.passages,
        "passage_size": passage_size(model.passages),
        "graph": figures.has_graph,
        "text_config": engine.text_config(),
        "engine_options": engine.chosen().into_iter().collect::<BTreeMap<_, _>>(),
        "dimension": model.dimension,
        "similarity": model.similarity.name(),
        "model": {
            "location": model.location,
            "fingerprint": model.fingerprint,
            "query_prompt": model.query_prompt,
            "document_prompt": model.document_prompt,
        },
        "bytes_on_disk": figures.bytes,
    }))
}

/// The figures of an index.
pub fn stat(stat: &Stat) -> Value {
    let segments: Vec<Value> = stat
        .segments
        .iter()
        .map(|segment| {
            json!({
                "id": segment.id,
                "documents": segment.documents,
                "deleted": segment.deleted,
                "graph_edges": segment.graph_edges,
            })
        })
        .collect();
    json!({
        "documents": stat.documents,
        "passages": stat.passages,
        "passage_size": passage_size(stat.model.passages),
        "deleted": stat.deleted,
        "pending": stat.pending,
        "segments": segments,
        "ef": stat.ef,
        "dimension": stat.dimension,
        "similarity": stat.model.similarity.name(),
        "model": stat.model.is_known().then(|| {
            json!({
                "location": stat.model.location,
                "fingerprint": stat.model.fingerprint,
                "query_prompt": stat.model.query_prompt,
                "document_prompt": stat.model.document_prompt,
                "similarity": stat.model.similarity.name(),
            })
        }),
        "format": stat.format,
        "bytes_on_disk": stat.bytes_on_disk,
    })
}

/// A size of passages: `none`, `auto` or a number of tokens.
pub fn passage_size(size: PassageSize) -> String {
    match size {
        PassageSize::Whole => "none".into(),
        PassageSize::Window => "auto".into(),
        PassageSize::Tokens(tokens) => tokens.to_string(),
    }
}

/// A document of a snapshot and its passages, if it has more than one.
///
/// # Errors
/// What the index reports.
pub fn read_document(snapshot: &Snapshot, doc: DocId) -> Result<(Document, Option<Vec<Passage>>)> {
    let passages = snapshot.passages(doc)?.filter(|passages| passages.len() > 1);
    Ok((snapshot.document(doc)?, passages))
}

/// A document: `{"id":…,"text":…,"metadata":{…}}`, with the bytes of its passages before the metadata where it has several.
pub fn document(document: &Document, passages: Option<&[Passage]>) -> Value {
    let mut json = json!({ "id": document.id, "text": document.text });
    if let (Some(passages), Some(json)) = (passages, json.as_object_mut()) {
        let spans = passages.iter().map(|span| json!({ "start": span.start, "end": span.end }));
        json.insert("passages".into(), spans.collect());
    }
    json["metadata"] = document.metadata.clone().into();
    json
}

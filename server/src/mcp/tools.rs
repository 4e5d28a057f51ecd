//! What each tool says of itself, and which arguments it takes.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

use crate::app::App;

/// What an agent is told before it begins.
pub fn instructions(app: &App) -> String {
    let names: Vec<String> = app.indexes().iter().map(|index| index.name().to_owned()).collect();
    format!(
        "Searches documents by what they mean and by their words. Indexes: {}. Ask `search` in plain language, then `fetch` the \
         documents whose titles fit by their ids.",
        names.join(", ")
    )
}

/// All tools; those that change something where that is allowed.
pub fn all(may_write: bool) -> Vec<Tool> {
    let mut tools = vec![search(), fetch(), status()];
    if may_write {
        tools.extend([store(), delete()]);
    }
    tools
}

/// Their names, in a sentence.
pub fn names(may_write: bool) -> &'static str {
    if may_write { "search, fetch, status, store and delete" } else { "search, fetch and status" }
}

fn search() -> Tool {
    let input = json!({
        "type": "object",
        "properties": {
            "query": { "type": "string", "description": "What to look for, in plain language" },
            "limit": { "type": "integer", "minimum": 1, "maximum": 100, "default": 10, "description": "How many results to give at most" },
            "filter": { "type": "string", "description": "Only documents whose metadata fit, as in: year >= 2019 and kind in (a, b)" },
            "index": { "type": "string", "description": "Search this index alone" },
            "mode": {
                "type": "string",
                "enum": ["semantic", "keyword", "hybrid"],
                "description": "Find by meaning, by exact words, or by both; left out, what finds most",
            },
        },
        "required": ["query"],
        "additionalProperties": false,
    });
    let result = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" }, "title": { "type": "string" }, "url": { "type": "string" },
        },
        "required": ["id", "title", "url"],
    });
    let output = json!({
        "type": "object",
        "properties": { "results": { "type": "array", "items": result } },
        "required": ["results"],
    });
    tool("search", "Search documents", "Finds the documents that answer a query, best first.", input, output)
}

fn fetch() -> Tool {
    let input = json!({
        "type": "object",
        "properties": { "id": { "type": "string", "description": "An id that search gave" } },
        "required": ["id"],
        "additionalProperties": false,
    });
    let output = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" }, "title": { "type": "string" }, "text": { "type": "string" },
            "url": { "type": "string" }, "metadata": { "type": "object" },
        },
        "required": ["id", "title", "text", "url"],
    });
    tool("fetch", "Read a document", "Gives a document with its whole text and its metadata.", input, output)
}

fn status() -> Tool {
    let input = json!({ "type": "object", "additionalProperties": false });
    let output = json!({
        "type": "object",
        "properties": { "version": { "type": "string" }, "indexes": { "type": "array", "items": { "type": "object" } } },
        "required": ["version", "indexes"],
    });
    tool(
        "status",
        "Status of the indexes",
        "Tells which indexes there are, and how many documents each holds.",
        input,
        output,
    )
}

fn store() -> Tool {
    let input = json!({
        "type": "object",
        "properties": {
            "text": { "type": "string", "description": "The text to keep: it is found by its meaning and its words" },
            "id": { "type": "string", "description": "An id of its own; a document that has it already is replaced. Left out, the same text is the same document" },
            "title": { "type": "string", "description": "A title, kept in the metadata" },
            "metadata": { "type": "object", "description": "Fields to filter by, as in {\"year\": 2024, \"kind\": \"note\"}" },
            "index": { "type": "string", "description": "The index to keep it in; needed where there are several" },
        },
        "required": ["text"],
        "additionalProperties": false,
    });
    let output = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "url": { "type": "string" },
            "outcome": { "type": "string", "enum": ["added", "replaced", "unchanged"] },
        },
        "required": ["id", "url", "outcome"],
    });
    let about = "Keeps a text as a document, which search finds from then on.";
    changing("store", "Keep a document", about, input, output)
}

fn delete() -> Tool {
    let input = json!({
        "type": "object",
        "properties": { "id": { "type": "string", "description": "An id that search or store gave" } },
        "required": ["id"],
        "additionalProperties": false,
    });
    let output = json!({
        "type": "object",
        "properties": { "id": { "type": "string" }, "deleted": { "type": "boolean" } },
        "required": ["id", "deleted"],
    });
    changing("delete", "Delete a document", "Deletes a document for good.", input, output)
}

/// A tool that may take the place of what was there, or take it away.
fn changing(name: &'static str, title: &str, description: &'static str, input: Value, output: Value) -> Tool {
    let annotations = ToolAnnotations::with_title(title)
        .read_only(false)
        .destructive(true)
        .idempotent(true)
        .open_world(false);
    tool(name, title, description, input, output).with_annotations(annotations)
}

fn tool(name: &'static str, title: &str, description: &'static str, input: Value, output: Value) -> Tool {
    let annotations = ToolAnnotations::with_title(title).read_only(true).idempotent(true).open_world(false);
    Tool::new(name, description, object(input))
        .with_title(title)
        .with_raw_output_schema(object(output))
        .with_annotations(annotations)
}

fn object(schema: Value) -> Arc<JsonObject> {
    match schema {
        Value::Object(fields) => Arc::new(fields),
        _ => Arc::default(),
    }
}

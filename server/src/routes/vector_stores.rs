//! OpenAI's search of a vector store: an index by its name.

use std::collections::HashSet;
use std::sync::Arc;

use akin_index::{Filter, Metadata, SearchOptions};
use akin_query::{AskOptions, RankedHit};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::app::{App, blocking};
use crate::body::{self, Json};
use crate::error::ApiError;
use crate::path::Path;
use crate::patience::Patience;
use crate::routes::indexes::{Names, Question, ask};
use crate::served::Manner;

/// Results of a search, at most.
const MOST: usize = 50;

/// Queries of a search, at most.
const QUERIES: usize = 10;

/// How deep filters may be nested.
const DEPTH: usize = 32;

/// Fields of a document that OpenAI gives with a result, at most, and characters of a value.
const ATTRIBUTES: (usize, usize) = (16, 512);

/// The body of `POST /v1/vector_stores/{id}/search`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    query: Names,
    max_num_results: Option<usize>,
    filters: Option<Value>,
    #[serde(default)]
    ranking_options: RankingOptions,
    /// OpenAI lets a model word the query better. Here it is searched for as it is, and the answer says so.
    #[serde(rename = "rewrite_query")]
    _rewrite_query: Option<bool>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RankingOptions {
    #[serde(rename = "ranker")]
    _ranker: Option<String>,
    score_threshold: Option<f32>,
}

/// Searches an index.
#[utoipa::path(
    post,
    path = "/v1/vector_stores/{id}/search",
    tag = "OpenAI",
    params(("id" = String, Path, description = "The name of an index")),
    request_body = SearchRequest,
    responses(
        (status = 200, description = "A page of results", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn search(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<SearchRequest>,
) -> Result<Response, ApiError> {
    let index = app.index(&name)?;
    let queries = request.query.into_vec("query")?;
    let k = request.max_num_results.unwrap_or(10);
    if !(1..=MOST).contains(&k) {
        return Err(ApiError::field("max_num_results", format!("max_num_results is from 1 to {MOST}")));
    }
    let is_bad = |query: &String| query.trim().is_empty() || query.len() > app.limits.query;
    if queries.is_empty() || queries.len() > QUERIES || queries.iter().any(is_bad) {
        let expected = format!("query is a text, or 1 to {QUERIES} of them, none blank and none too long");
        return Err(ApiError::field("query", expected));
    }
    let filter = request.filters.as_ref().map(|filter| expression(filter, DEPTH)).transpose()?;
    let filter = filter.as_deref().map(Filter::parse).transpose()?;
    let waiting = patience.waiting();
    let answer = blocking(move || {
        let mut hits: Vec<RankedHit> = Vec::new();
        for query in &queries {
            let options = AskOptions {
                search: SearchOptions { k, ..SearchOptions::default() },
                min_score: request.ranking_options.score_threshold,
                ..AskOptions::default()
            };
            let (text, filter) = (query.clone(), filter.clone());
            let question = Question { text, manner: Manner::default(), options, filter, within: None };
            hits.extend(ask(&app, &index, question, &waiting)?.0.hits);
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut seen = HashSet::new();
        hits.retain(|hit| seen.insert(hit.id.clone()));
        let data: Vec<Value> = hits.iter().take(k).map(result).collect();
        Ok(body::json(&json!({
            "object": "vector_store.search_results.page",
            "search_query": queries,
            "data": data,
            "has_more": false,
            "next_page": null,
        })))
    })
    .await;
    drop(patience);
    answer
}

fn result(hit: &RankedHit) -> Value {
    let text = hit.passage.as_ref().map_or(&hit.text, |passage| &passage.text);
    json!({
        "file_id": hit.id,
        "filename": hit.id,
        "score": hit.score,
        "attributes": attributes(&hit.metadata),
        "content": [{ "type": "text", "text": text }],
    })
}

/// The fields that fit OpenAI's bounds: texts, numbers, and what is true or false.
fn attributes(metadata: &Metadata) -> Map<String, Value> {
    let (most, longest) = ATTRIBUTES;
    let fits = |value: &Value| match value {
        Value::String(text) => text.chars().count() <= longest,
        Value::Number(_) | Value::Bool(_) => true,
        _ => false,
    };
    let fitting = metadata.iter().filter(|(_, value)| fits(value)).take(most);
    fitting.map(|(field, value)| (field.clone(), value.clone())).collect()
}

/// A filter of OpenAI as an expression of ours.
fn expression(filter: &Value, depth: usize) -> Result<String, ApiError> {
    let wrong = |reason: &str| ApiError::field("filters", format!("filters: {reason}"));
    let Some(fields) = filter.as_object().filter(|_| depth > 0) else {
        return Err(wrong(&format!("a filter is an object, nested at most {DEPTH} deep")));
    };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    if matches!(kind, "and" | "or") {
        let parts = fields.get("filters").and_then(Value::as_array).filter(|parts| !parts.is_empty());
        let parts = parts.ok_or_else(|| wrong("and and or have a list of filters"))?;
        let parts: Vec<String> =
            parts.iter().map(|part| expression(part, depth - 1)).collect::<Result<_, _>>()?;
        return Ok(format!("({})", parts.join(&format!(" {kind} "))));
    }
    let key = fields.get("key").and_then(Value::as_str).ok_or_else(|| wrong("a comparison has a key"))?;
    let value = fields.get("value").ok_or_else(|| wrong("a comparison has a value"))?;
    let sign = match kind {
        "eq" => "=",
        "ne" => "!=",
        "gt" => ">",
        "gte" => ">=",
        "lt" => "<",
        "lte" => "<=",
        "in" | "nin" => {
            return among(key, kind, value).ok_or_else(|| wrong("in and nin have a list of values"));
        }
        _ => return Err(wrong("type is eq, ne, gt, gte, lt, lte, in, nin, and or or")),
    };
    let value = literal(value).ok_or_else(|| wrong("a value is a text, a number, true or false"))?;
    Ok(format!("{} {sign} {value}", quoted(key)))
}

fn among(key: &str, kind: &str, values: &Value) -> Option<String> {
    let values: Vec<String> = values.as_array()?.iter().map(literal).collect::<Option<_>>()?;
    let within = (!values.is_empty()).then(|| format!("{} in ({})", quoted(key), values.join(", ")))?;
    Some(if kind == "nin" { format!("not ({within})") } else { within })
}

/// A value of a filter. Numbers stand for themselves.
pub fn literal(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quoted(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
}

/// A field or a text of a filter in quotes.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_expressions_and_texts_stay_texts() {
        let filter = json!({ "type": "and", "filters": [
            { "type": "gte", "key": "year", "value": 1990 },
            { "type": "nin", "key": "a \"key\"", "value": ["x", 2] },
            { "type": "or", "filters": [{ "type": "eq", "key": "done", "value": true }] },
        ] });
        let text = expression(&filter, DEPTH).unwrap();
        assert_eq!(text, r#"("year" >= 1990 and not ("a \"key\"" in ("x", 2)) and ("done" = true))"#);
        let filter = Filter::parse(&text).unwrap();
        let fits = |metadata: Value| filter.matches(metadata.as_object().unwrap());
        assert!(fits(json!({ "year": 1999, "done": true })));
        assert!(!fits(json!({ "year": 1999, "done": true, "a \"key\"": 2 })));
        let sly =
            expression(&json!({ "type": "eq", "key": "x", "value": "a\\\" or y = \"b" }), DEPTH).unwrap();
        assert!(!Filter::parse(&sly).unwrap().matches(json!({ "y": "b" }).as_object().unwrap()));
    }

    #[test]
    fn filters_that_are_none_are_refused() {
        let mut deep = json!({ "type": "eq", "key": "x", "value": 1 });
        for _ in 0..DEPTH {
            deep = json!({ "type": "and", "filters": [deep] });
        }
        for filter in [
            deep,
            json!(3),
            json!({ "type": "eq", "key": "x" }),
            json!({ "type": "like", "key": "x", "value": 1 }),
        ] {
            assert_eq!(expression(&filter, DEPTH).unwrap_err().field.unwrap(), "filters");
        }
    }
}

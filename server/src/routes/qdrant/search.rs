//! Points that are near: to a vector, to a point, to examples, or to a text where the index has a model.

use std::sync::Arc;
use std::time::Instant;

use akin_index::{DocId, SearchOptions, Snapshot};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::filter::Condition;
use super::points::{Shown, WithPayload, WithVector, id_of, vector_of};
use super::read::docs_from;
use super::{among, answer, condition, refuse};
use crate::app::{App, blocking, quoted};
use crate::body::{self, Json};
use crate::error::{ApiError, Kind};
use crate::path::Path;
use crate::patience::{Patience, Waiting};
use crate::served::ServedIndex;

/// Examples of a query, at most.
const EXAMPLES: usize = 100;

/// The body of `POST /collections/{name}/points/query`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PointsQueryRequest {
    pub(super) query: Option<Value>,
    #[schema(minimum = 1)]
    pub(super) limit: Option<usize>,
    #[serde(default)]
    pub(super) offset: Option<usize>,
    pub(super) filter: Option<Value>,
    pub(super) params: Option<SearchParams>,
    pub(super) score_threshold: Option<f32>,
    pub(super) with_payload: Option<WithPayload>,
    pub(super) with_vector: Option<WithVector>,
    pub(super) using: Option<String>,
    pub(super) prefetch: Option<Value>,
    pub(super) lookup_from: Option<Value>,
    pub(super) shard_key: Option<Value>,
}

/// How to search.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchParams {
    hnsw_ef: Option<usize>,
    exact: Option<bool>,
    // How vectors are packed is not a matter of a query here.
    #[serde(rename = "quantization")]
    _quantization: Option<Value>,
    #[serde(rename = "indexed_only")]
    _indexed_only: Option<bool>,
    #[serde(rename = "acorn")]
    _acorn: Option<Value>,
}

/// What to look for.
#[derive(Debug)]
enum Query {
    /// Nothing: points as they come.
    Any,
    Near(Example),
    Recommend {
        positive: Vec<Example>,
        negative: Vec<Example>,
    },
}

#[derive(Debug)]
enum Example {
    Vector(Vec<f32>),
    Point(String),
    Text(String),
}

impl Query {
    fn read(query: Option<&Value>) -> Result<Self, ApiError> {
        let Some(query) = query.filter(|query| !query.is_null()) else { return Ok(Self::Any) };
        let Some(fields) = query.as_object() else { return Example::read(query).map(Self::Near) };
        let mut named = fields.iter().filter(|(name, value)| *name != "mmr" && !value.is_null());
        refuse("mmr", fields.get("mmr"))?;
        match named.next() {
            Some((name, value)) if name == "nearest" => Example::read(value).map(Self::Near),
            Some((name, value)) if name == "recommend" => Self::recommend(value),
            _ if fields.contains_key("text") => Example::read(query).map(Self::Near),
            Some((name, _)) => {
                let unknown =
                    format!("query: {} is not served here: there are nearest and recommend", quoted(name));
                Err(ApiError::field("query", unknown))
            }
            None => Err(ApiError::field("query", "query says nothing: there are nearest and recommend")),
        }
    }

    fn recommend(value: &Value) -> Result<Self, ApiError> {
        let Recommend { positive, negative, strategy } = body::of_value(value.clone())?;
        if strategy.as_deref().is_some_and(|strategy| strategy != "average_vector") {
            return Err(ApiError::field("strategy", "strategy: there is average_vector alone"));
        }
        let examples = |values: Option<Vec<Value>>| -> Result<Vec<Example>, ApiError> {
            values.unwrap_or_default().iter().map(Example::read).collect()
        };
        let (positive, negative) = (examples(positive)?, examples(negative)?);
        if positive.is_empty() || positive.len() + negative.len() > EXAMPLES {
            let expected =
                format!("recommend has from 1 to {EXAMPLES} examples, and a positive one among them");
            return Err(ApiError::field("query", expected));
        }
        Ok(Self::Recommend { positive, negative })
    }

    /// What to look for; none where points are wanted as they come.
    fn sought(&self, asked: &Asked<'_>) -> Result<Option<Sought>, ApiError> {
        let mut points = Vec::new();
        let mut vector = |example: &Example| example.vector(asked, &mut points);
        let vector = match self {
            Self::Any => return Ok(None),
            Self::Near(example) => vector(example)?,
            Self::Recommend { positive, negative } => {
                let mut mean_of = |examples: &[Example]| -> Result<Vec<f32>, ApiError> {
                    Ok(mean(&examples.iter().map(&mut vector).collect::<Result<Vec<_>, _>>()?))
                };
                let liked = mean_of(positive)?;
                match negative.is_empty() {
                    true => liked,
                    // Away from what is not liked, as far again.
                    false => {
                        let disliked = mean_of(negative)?;
                        liked.iter().zip(disliked).map(|(liked, not)| 2.0 * liked - not).collect()
                    }
                }
            }
        };
        Ok(Some(Sought { vector, examples: points }))
    }
}

/// The vector to look for, and the points that are no answers, since they are in the question.
struct Sought {
    vector: Vec<f32>,
    examples: Vec<DocId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recommend {
    positive: Option<Vec<Value>>,
    negative: Option<Vec<Value>>,
    strategy: Option<String>,
}

/// The index that is asked, and who asks.
struct Asked<'a> {
    index: &'a ServedIndex,
    snapshot: &'a Snapshot,
    waiting: &'a Waiting,
    /// Bytes of a text, at most.
    longest: usize,
}

impl Example {
    fn read(value: &Value) -> Result<Self, ApiError> {
        match value {
            Value::Array(_) => vector_of(value, "query").map(Self::Vector),
            Value::Object(fields) => match fields.get("text").and_then(Value::as_str) {
                Some(text) => Ok(Self::Text(text.to_owned())),
                None => {
                    let expected = "query: an example is a vector, the id of a point, or an object with text";
                    Err(ApiError::field("query", expected))
                }
            },
            other => id_of(other).map(Self::Point),
        }
    }

    fn vector(&self, asked: &Asked<'_>, points: &mut Vec<DocId>) -> Result<Vec<f32>, ApiError> {
        let dimension = asked.snapshot.model().dimension;
        match self {
            Self::Vector(vector) if vector.len() == dimension => Ok(vector.clone()),
            Self::Vector(vector) => {
                let found = vector.len();
                let wrong = format!(
                    "query has {found} dimensions, and the vectors of the collection have {dimension}"
                );
                Err(ApiError::field("query", wrong))
            }
            Self::Point(id) => {
                let doc = asked.snapshot.find(id)?;
                let doc =
                    doc.ok_or_else(|| ApiError::not_found(format!("there is no point {}", quoted(id))))?;
                points.push(doc);
                Ok(mean(&asked.snapshot.vectors(doc)?))
            }
            Self::Text(text) if text.trim().is_empty() => {
                Err(ApiError::field("query", "query: the text is blank"))
            }
            Self::Text(text) if text.len() > asked.longest => {
                let most = asked.longest;
                let error = ApiError::field(
                    "query",
                    format!("query has more than {most} bytes, the most of a query"),
                );
                Err(ApiError { kind: Kind::TooLarge, ..error })
            }
            Self::Text(text) => {
                let none = || {
                    ApiError::field("query", "query: this collection has no model for a text: send a vector")
                };
                let room = asked.index.room().ok_or_else(none)?;
                Ok(room.encode_queries(&[text], asked.waiting)?.embeddings.row(0).to_vec())
            }
        }
    }
}

fn mean(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut mean = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
    }
    mean.iter_mut().for_each(|sum| *sum /= vectors.len() as f32);
    mean
}

/// A query that was checked.
struct Question {
    query: Query,
    filter: Option<Condition>,
    options: SearchOptions,
    limit: usize,
    offset: usize,
    threshold: Option<f32>,
    shown: Shown,
}

impl PointsQueryRequest {
    fn check(self, app: &App) -> Result<Question, ApiError> {
        for (field, value) in [("lookup_from", &self.lookup_from), ("shard_key", &self.shard_key)] {
            refuse(field, value.as_ref())?;
        }
        refuse("prefetch", self.prefetch.as_ref().filter(|prefetch| **prefetch != json!([])))?;
        if self.using.as_deref().is_some_and(|name| !name.is_empty()) {
            return Err(ApiError::field("using", "using: points have one vector here, without a name"));
        }
        let (limit, offset, most) = (self.limit.unwrap_or(10), self.offset.unwrap_or(0), app.limits.hits);
        let params = self.params.unwrap_or_default();
        for (field, number) in [("limit", Some(limit)), ("hnsw_ef", params.hnsw_ef)] {
            if let Some(number) = number.filter(|number| *number == 0 || number.saturating_add(offset) > most)
            {
                let wrong = format!(
                    "{field} is {number}, and a number from 1 to {most} is expected (offset included)"
                );
                return Err(ApiError::field(field, wrong));
            }
        }
        if self.score_threshold.is_some_and(|score| !score.is_finite()) {
            return Err(ApiError::field("score_threshold", "score_threshold is too large for a score"));
        }
        let (ef, exact) = (params.hnsw_ef, params.exact.unwrap_or(false));
        Ok(Question {
            query: Query::read(self.query.as_ref())?,
            filter: condition(self.filter.as_ref())?,
            options: SearchOptions { k: limit + offset, ef, exact, among: None },
            limit,
            offset,
            threshold: self.score_threshold,
            shown: Shown::new(self.with_payload, false, self.with_vector)?,
        })
    }
}

impl Question {
    /// The points that answer, best first.
    fn answer(self, asked: &Asked<'_>) -> Result<Vec<Value>, ApiError> {
        let snapshot = asked.snapshot;
        let Some(Sought { vector, examples }) = self.query.sought(asked)? else {
            let docs = docs_from(snapshot, self.filter.as_ref(), None)?;
            let page = docs.into_iter().skip(self.offset).take(self.limit);
            return page.map(|doc| self.point(snapshot, doc, 0.0)).collect();
        };
        let mut options = self.options.clone();
        options.k += examples.len();
        options.among = among(snapshot, self.filter.as_ref())?;
        let is_distance = !snapshot.model().similarity.is_product();
        let found =
            snapshot.nearest(&vector, &options)?.into_iter().filter(|near| !examples.contains(&near.doc));
        // Qdrant tells a distance as it is, and less is better then.
        let told = found.map(|near| (near.doc, if is_distance { -near.score } else { near.score }));
        let is_good = |score: f32| {
            self.threshold.is_none_or(|bound| if is_distance { score <= bound } else { score >= bound })
        };
        let page = told.filter(|(_, score)| is_good(*score)).skip(self.offset).take(self.limit);
        page.map(|(doc, score)| self.point(snapshot, doc, score)).collect()
    }

    fn point(&self, snapshot: &Snapshot, doc: DocId, score: f32) -> Result<Value, ApiError> {
        let mut point: Map<String, Value> = self.shown.point(snapshot, doc)?;
        point.insert("score".into(), json!(score));
        point.insert("version".into(), 0.into());
        Ok(point.into())
    }
}

/// Finds points.
#[utoipa::path(
    post,
    path = "/collections/{name}/points/query",
    tag = "Qdrant",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = PointsQueryRequest,
    responses(
        (status = 200, description = "The points, best first", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn query(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<PointsQueryRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let index = app.index(&name)?;
    let question = request.check(&app)?;
    let (waiting, longest) = (patience.waiting(), app.limits.query);
    let answered = blocking(move || {
        let snapshot = index.reader().snapshot();
        let asked = Asked { index: &index, snapshot: &snapshot, waiting: &waiting, longest };
        let points = question.answer(&asked)?;
        Ok(answer(json!({ "points": points }), started))
    })
    .await;
    drop(patience);
    answered
}

/// The points that answer several queries, of one snapshot.
pub fn answers(
    app: &App,
    index: &ServedIndex,
    queries: Vec<PointsQueryRequest>,
    waiting: &Waiting,
) -> Result<Vec<Vec<Value>>, ApiError> {
    let questions: Vec<Question> =
        queries.into_iter().map(|query| query.check(app)).collect::<Result<_, _>>()?;
    let snapshot = index.reader().snapshot();
    let asked = Asked { index, snapshot: &snapshot, waiting, longest: app.limits.query };
    questions.into_iter().map(|question| question.answer(&asked)).collect()
}

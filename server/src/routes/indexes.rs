//! Our own interface: indexes by name. A query has the options of `akin query` under their names, and its answer is the
//! line that `akin query --json` prints.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use akin_index::{Filter, SearchOptions, Snapshot};
use akin_query::rerank::DEFAULT_DEPTH;
use akin_query::{Answer, AskOptions, Mode, json as shapes};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::{App, blocking, quoted};
use crate::body::{self, Json};
use crate::engines::not_served;
use crate::error::{ApiError, Kind};
use crate::openapi::Fault;
use crate::path::Path;
use crate::patience::{Patience, Waiting};
use crate::routes::highlights::MarkedAnswer;
use crate::served::{Manner, ServedIndex};
use crate::slow::SlowQuery;

/// Examples and fields of a query, at most.
const NAMES: usize = 100;

/// Hits of which the sentences are compared with the question, at most.
const HIGHLIGHTED: usize = 50;

/// What a query may say.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// What to look for.
    pub text: Option<String>,
    /// How many hits to give at most.
    #[schema(minimum = 1)]
    pub k: Option<usize>,
    /// Hits that are passed over.
    #[serde(default)]
    pub offset: usize,
    /// `semantic`, `keyword` or `hybrid`.
    pub mode: Option<ModeName>,
    /// The name of the model that ranks again, or whether the one that is served does.
    pub rerank: Option<RerankBy>,
    /// How many hits it ranks.
    #[schema(minimum = 1)]
    pub rerank_depth: Option<usize>,
    /// An expression about metadata.
    pub filter: Option<String>,
    /// The name of a set of documents that the server keeps.
    pub within: Option<String>,
    /// The least score of a hit.
    pub min_score: Option<f64>,
    /// Documents that hits should be like.
    #[serde(default)]
    pub like: Names,
    /// Documents that they should not be like.
    #[serde(default)]
    pub unlike: Names,
    /// Whether hits should say different things.
    #[serde(default)]
    pub diverse: bool,
    /// Whether all documents are compared.
    #[serde(default)]
    pub exact: bool,
    /// How many candidates a walk keeps.
    #[schema(minimum = 1)]
    pub ef: Option<usize>,
    /// How many passages of a document are shown.
    #[schema(minimum = 1)]
    pub per_document: Option<usize>,
    /// Fields whose values are counted.
    #[serde(default)]
    pub facet: Names,
    /// How many of the first hits say which sentence answers and where the words of the query are.
    #[serde(default)]
    pub highlight: usize,
}

/// By what documents are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModeName {
    /// By meaning.
    Semantic,
    /// By words.
    Keyword,
    /// By both.
    Hybrid,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Semantic => Self::Semantic,
            ModeName::Keyword => Self::Keyword,
            ModeName::Hybrid => Self::Hybrid,
        }
    }
}

/// What ranks again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum RerankBy {
    /// The model that ranks again, or none.
    Served(bool),
    /// That of a name.
    Named(String),
}

/// One name or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Names {
    /// One.
    One(String),
    /// Any number.
    Many(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Names {
    /// All of them.
    pub fn into_vec(self, field: &str) -> Result<Vec<String>, ApiError> {
        match self {
            Self::One(name) => Ok(vec![name]),
            Self::Many(names) if names.len() > NAMES => {
                Err(ApiError::field(field, format!("{field} has more than {NAMES} names")))
            }
            Self::Many(names) => Ok(names),
        }
    }
}

/// A query that was checked, apart from its text.
pub struct Question {
    /// What to look for; may be blank where examples say it.
    pub text: String,
    /// How to ask the index.
    pub manner: Manner,
    /// What is asked beside the text.
    pub options: AskOptions,
    /// Which documents may be found.
    pub filter: Option<Filter>,
    /// The set of documents in which alone they are.
    pub within: Option<String>,
}

impl QueryRequest {
    /// Checks the request.
    pub fn check(self, app: &App) -> Result<Question, ApiError> {
        let text = self.text.unwrap_or_default();
        if text.len() > app.limits.query {
            let most = app.limits.query;
            let error =
                ApiError::field("text", format!("text has more than {most} bytes, the most of a query"));
            return Err(ApiError { kind: Kind::TooLarge, ..error });
        }
        let (like, unlike) = (self.like.into_vec("like")?, self.unlike.into_vec("unlike")?);
        let by_example = text.trim().is_empty();
        if by_example && like.is_empty() {
            return Err(ApiError::field(
                "text",
                "text is blank: say what to look for, or name an example with like",
            ));
        }
        if self.exact && self.ef.is_some() {
            return Err(ApiError::field(
                "ef",
                "exact compares with every document, so ef means nothing beside it",
            ));
        }
        let (k, most) = (self.k.unwrap_or(10), app.limits.hits);
        let per_document = self.per_document.unwrap_or(1);
        let rerank = self.rerank.map(|by| -> Result<bool, ApiError> {
            match by {
                RerankBy::Served(false) => Ok(false),
                RerankBy::Served(true) => app.reranker(None).map(|_| true),
                RerankBy::Named(name) => app.reranker(Some(&name)).map(|_| true),
            }
        });
        let rerank = rerank.transpose()?.unwrap_or(false);
        let depth = self.rerank_depth.unwrap_or(DEFAULT_DEPTH);
        let numbers = [
            ("k", if k == 0 { 0 } else { k.saturating_add(self.offset) }),
            ("per_document", per_document),
            ("rerank_depth", depth),
        ];
        for (field, number) in numbers.into_iter().chain(self.ef.map(|ef| ("ef", ef))) {
            if number == 0 {
                return Err(ApiError::field(
                    field,
                    format!("{field} is 0, and a number from 1 on is expected"),
                ));
            }
            if number > most {
                return Err(ApiError::field(
                    field,
                    format!("{field} is {number}, and {most} is the most (offset included)"),
                ));
            }
        }
        let min_score = self.min_score.map(|score| score as f32);
        if min_score.is_some_and(|score| !score.is_finite()) {
            return Err(ApiError::field("min_score", "min_score is too large for a score"));
        }
        Ok(Question {
            manner: Manner {
                mode: self.mode.map(Mode::from),
                by_example,
                rerank: rerank.then_some(depth),
                ..Manner::default()
            },
            options: AskOptions {
                search: SearchOptions { k, ef: self.ef, exact: self.exact, among: None },
                offset: self.offset,
                min_score,
                diverse: self.diverse,
                per_document,
                facets: self.facet.into_vec("facet")?,
                like,
                unlike,
            },
            filter: self.filter.as_deref().map(Filter::parse).transpose()?,
            within: self.within,
            text,
        })
    }
}

/// Answers a question from the newest commit of an index.
pub fn ask(
    app: &App,
    index: &ServedIndex,
    mut question: Question,
    waiting: &Waiting,
) -> Result<(akin_query::Answer, Arc<Snapshot>), ApiError> {
    let started = Instant::now();
    let reranker = app.reranker.as_ref().map(|reranker| &reranker.model);
    let searcher = index.searcher(&question.manner, reranker, waiting)?;
    let snapshot = searcher.snapshot();
    let filtered = question.filter.as_ref().map(|filter| searcher.select(&snapshot, filter)).transpose()?;
    let within = question.within.as_ref().map(|set| index.sets().select(set, &snapshot)).transpose()?;
    question.options.search.among = match (filtered, within) {
        (Some(filtered), Some(within)) => Some(snapshot.both(&filtered, &within)?),
        (filtered, within) => filtered.or(within),
    };
    let answer = searcher.ask_of(&snapshot, &question.text, &question.options)?;
    if let Some(trace) = waiting.trace() {
        trace.stage_after("search", started, Instant::now());
    }
    let (took, encoding) = (started.elapsed(), question.manner.encoding.total());
    app.metrics.searched(took.saturating_sub(encoding));
    index.slow().note(SlowQuery {
        at: SystemTime::now(),
        took,
        encoding,
        mode: question.manner.mode,
        k: question.options.search.k,
        is_filtered: question.options.search.among.is_some(),
        text: app.log_texts.then(|| question.text.clone()),
    });
    Ok((answer, snapshot))
}

/// The names of the indexes, with how many documents each holds.
#[utoipa::path(
    get,
    path = "/v1/indexes",
    tag = "indexes",
    responses(
        (status = 200, description = "The indexes that are served", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn list(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    blocking(move || {
        let of =
            |index: &Arc<ServedIndex>| json!({ "name": index.name(), "documents": index.reader().len() });
        let mut indexes: Vec<_> = app.indexes().iter().map(of).collect();
        for table in app.engines() {
            indexes.push(json!({ "name": table.name(), "documents": table.len()?, "engine": table.place() }));
        }
        Ok(body::json(&json!({ "indexes": indexes })))
    })
    .await
}

/// The figures of an index: what `akin stat --json` prints.
#[utoipa::path(
    get,
    path = "/v1/indexes/{name}/stat",
    tag = "indexes",
    params(("name" = String, Path, description = "The name of an index")),
    responses(
        (status = 200, description = "What `akin stat --json` prints", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn stat(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    if let Some(table) = app.engine(&name) {
        return blocking(move || Ok(body::json(&table.stat()?))).await;
    }
    let index = app.index(&name)?;
    blocking(move || Ok(body::json(&shapes::stat(&index.reader().stat()?)))).await
}

/// A document by its id: what `akin show --json` prints.
#[utoipa::path(
    get,
    path = "/v1/indexes/{name}/documents/{id}",
    tag = "documents",
    params(("name" = String, Path, description = "The name of an index"), ("id" = String, Path, description = "The id of a document")),
    responses(
        (status = 200, description = "What `akin show --json` prints", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn document(
    State(app): State<Arc<App>>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let lacks = move |name: &str, id: &str| {
        ApiError::not_found(format!("{name} has no document with the id {}", quoted(id)))
    };
    if let Some(table) = app.engine(&name) {
        return blocking(move || {
            let document = table.get(&id)?.ok_or_else(|| lacks(&name, &id))?;
            Ok(body::json(&shapes::document(&document, None)))
        })
        .await;
    }
    let index = app.index(&name)?;
    blocking(move || {
        let snapshot = index.reader().snapshot();
        let Some(doc) = snapshot.find(&id)? else {
            return Err(lacks(&name, &id));
        };
        let (document, passages) = shapes::read_document(&snapshot, doc)?;
        Ok(body::json(&shapes::document(&document, passages.as_deref())))
    })
    .await
}

/// Answers a query.
#[utoipa::path(
    post,
    path = "/v1/indexes/{name}/query",
    tag = "indexes",
    params(("name" = String, Path, description = "The name of an index")),
    request_body = QueryRequest,
    responses(
        (status = 200, description = "What `akin query --json` prints", body = Value),
        (status = "4XX", body = Fault, description = "What is wrong, in one sentence"),
    )
)]
pub async fn query(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    patience: Patience,
    Json(request): Json<QueryRequest>,
) -> Result<Response, ApiError> {
    if let Some(table) = app.engine(&name) {
        if request.highlight > 0 {
            return Err(not_served(&name, "highlight"));
        }
        let question = request.check(&app)?;
        let waiting = patience.waiting();
        let answer = blocking(move || {
            let answer = table.ask(&app, &question, &waiting)?;
            let mut line = Vec::new();
            answer.write_json_line(&mut line).map_err(|_| ApiError::panicked())?;
            Ok(body::json_text(line))
        })
        .await;
        drop(patience);
        return answer;
    }
    let index = app.index(&name)?;
    let highlight = request.highlight.min(HIGHLIGHTED);
    let question = request.check(&app)?;
    let waiting = patience.waiting();
    let answer = blocking(move || {
        let manner = question.manner.clone();
        let (answer, snapshot) = ask(&app, &index, question, &waiting)?;
        if highlight > 0 {
            let first =
                Answer { hits: answer.hits.iter().take(highlight).cloned().collect(), ..answer.clone() };
            let marks = index.searcher(&manner, None, &waiting)?.highlights(&snapshot, &first)?;
            return body::serialized(&MarkedAnswer::of(&answer, marks));
        }
        let mut line = Vec::new();
        answer.write_json_line(&mut line).map_err(|_| ApiError::panicked())?;
        Ok(body::json_text(line))
    })
    .await;
    drop(patience);
    answer
}

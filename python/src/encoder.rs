//! Encoders: texts to vectors, and pairs of texts to scores.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use akin_encoder::{CrossEncoder, EncoderOptions, Precision, Prompts, Role, SentenceEncoder};
use akin_index::Embeddings;
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::errors::{Failure, Result};
use crate::long::Watch;
use crate::{arrays, fork, long, values};

/// Texts and bytes of them that are encoded in one call. Between two calls the work can be stopped.
const CHUNK_TEXTS: usize = 4096;
const CHUNK_BYTES: usize = 512 << 10;

/// Bytes of texts that are encoded on the calling thread, within some milliseconds.
const SHORT_BYTES: usize = 2048;

/// A sentence encoder. `akin.SentenceEncoder` is the class for people.
#[pyclass(frozen, module = "akin._akin")]
pub struct Encoder {
    pub inner: Arc<SentenceEncoder>,
    /// The name of the numbers that it computes in.
    pub precision: String,
}

#[pymethods]
impl Encoder {
    /// Loads a model by its name or directory.
    #[new]
    fn new(
        py: Python<'_>,
        model: String,
        precision: &str,
        query_prompt: Option<String>,
        document_prompt: Option<String>,
        dimensions: Option<usize>,
    ) -> PyResult<Self> {
        fork::check()?;
        let options = options(precision, query_prompt, document_prompt, dimensions)?;
        let inner = py.detach(|| akin_query::model::load(&model, &options)).map_err(Failure::from)?;
        Ok(Self { inner: inner.into(), precision: precision.to_owned() })
    }

    /// The vectors of texts, each after a prompt, or as the role "query" or "document", or as the model's default.
    #[pyo3(signature = (texts, prompt=None, role=None, progress=None))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyList>,
        prompt: Option<String>,
        role: Option<&str>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        fork::check()?;
        let texts = strings(texts)?;
        let before = self.before(prompt, role);
        let encoder = Arc::clone(&self.inner);
        let embeddings = match texts.iter().map(String::len).sum::<usize>() {
            ..=SHORT_BYTES => py.detach(|| encode_all(&encoder, &before, &texts, &Watch::default()))?,
            _ => long::run(py, progress, move |watch| encode_all(&encoder, &before, &texts, watch))?,
        };
        arrays::matrix(py, embeddings)
    }

    /// The ids and the vectors of the tokens of each text, before they are pooled: arrays of shapes (tokens,) and (tokens, hidden).
    #[pyo3(signature = (texts, prompt=None, role=None, progress=None))]
    fn tokens<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyList>,
        prompt: Option<String>,
        role: Option<&str>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<TokenArrays<'py>>> {
        fork::check()?;
        let (texts, before) = (strings(texts)?, self.before(prompt, role));
        let encoder = Arc::clone(&self.inner);
        let found = long::run(py, progress, move |watch| tokens_of_all(&encoder, &before, &texts, watch))?;
        found
            .into_iter()
            .map(|(ids, vectors)| Ok((ids.into_pyarray(py), arrays::matrix(py, vectors)?)))
            .collect()
    }

    /// In what numbers it computes.
    #[getter]
    fn precision(&self) -> &str {
        &self.precision
    }

    /// Where the model was loaded from.
    #[getter]
    fn directory(&self) -> String {
        self.inner.directory().to_string_lossy().into_owned()
    }

    /// What the vectors depend on, in 64 hex digits.
    #[getter]
    fn fingerprint(&self) -> &str {
        self.inner.fingerprint()
    }

    /// The length of a vector.
    #[getter]
    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    /// The longest text that is read whole, in tokens.
    #[getter]
    fn max_tokens(&self) -> usize {
        self.inner.max_tokens()
    }

    /// How the model compares its vectors.
    #[getter]
    fn similarity(&self) -> &'static str {
        self.inner.similarity().name()
    }

    /// The prompt of the role "query" or "document".
    fn prompt(&self, role: &str) -> &str {
        self.inner.prompt(if role == "query" { Role::Query } else { Role::Document })
    }

    /// How many tokens the network reads of each text.
    fn count_tokens(&self, py: Python<'_>, texts: Vec<String>) -> PyResult<Vec<usize>> {
        fork::check()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        Ok(py.detach(|| self.inner.count_tokens(&texts)).map_err(Failure::from)?)
    }
}

/// The ids of a text's tokens, and their vectors.
type TokenArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray2<f32>>);

impl Encoder {
    /// What is put before each text: a prompt that was given, that of a role, or the model's default.
    fn before(&self, prompt: Option<String>, role: Option<&str>) -> String {
        match (prompt, role) {
            (Some(prompt), _) => prompt,
            (None, Some("query")) => self.inner.prompt(Role::Query).to_owned(),
            (None, Some(_)) => self.inner.prompt(Role::Document).to_owned(),
            (None, None) => self.inner.default_prompt().to_owned(),
        }
    }
}

fn strings(texts: &Bound<'_, PyList>) -> PyResult<Vec<String>> {
    texts.iter().map(|text| values::text(&text, "a text")).collect()
}

fn tokens_of_all(
    encoder: &SentenceEncoder,
    before: &str,
    texts: &[String],
    watch: &Watch,
) -> Result<Vec<(Vec<i64>, Embeddings)>> {
    let order: Vec<usize> = (0..texts.len()).collect();
    let mut found = Vec::with_capacity(texts.len());
    while found.len() < texts.len() {
        if watch.tell("encoding", found.len(), texts.len()).is_break() {
            return Err(akin_index::Cancelled.into());
        }
        let rest = &order[found.len()..];
        let chunk = &texts[rest[0]..][..chunk_len(texts, rest)];
        let prompted: Vec<String> = chunk.iter().map(|text| format!("{before}{text}")).collect();
        let prompted: Vec<&str> = prompted.iter().map(String::as_str).collect();
        let vectors = encoder.token_embeddings_after("", &prompted)?;
        for (tokens, vectors) in encoder.tokenize(&prompted)?.into_iter().zip(vectors) {
            found.push((tokens.ids.into_iter().map(i64::from).collect(), vectors));
        }
    }
    let _ = watch.tell("encoding", texts.len(), texts.len());
    Ok(found)
}

/// Encodes the longest texts first, so that each call has texts of like length.
fn encode_all(
    encoder: &SentenceEncoder,
    before: &str,
    texts: &[String],
    watch: &Watch,
) -> Result<Embeddings> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|text| std::cmp::Reverse(texts[*text].len()));
    let mut embeddings =
        Embeddings::from_values(encoder.dimension(), vec![0.0; texts.len() * encoder.dimension()]);
    let mut rest = &order[..];
    while !rest.is_empty() {
        if watch.tell("encoding", order.len() - rest.len(), order.len()).is_break() {
            return Err(akin_index::Cancelled.into());
        }
        let (chunk, after) = rest.split_at(chunk_len(texts, rest));
        let chosen: Vec<&str> = chunk.iter().map(|text| texts[*text].as_str()).collect();
        let encoded = encoder.encode_after(before, &chosen)?.embeddings;
        let width = encoded.dimension();
        for (text, row) in chunk.iter().zip(encoded.iter()) {
            embeddings.as_mut_slice()[text * width..][..width].copy_from_slice(row);
        }
        rest = after;
    }
    let _ = watch.tell("encoding", order.len(), order.len());
    Ok(embeddings)
}

fn chunk_len(texts: &[String], order: &[usize]) -> usize {
    let mut bytes = 0;
    let fits = |text: &&usize| {
        bytes += texts[**text].len();
        bytes <= CHUNK_BYTES
    };
    order.iter().take(CHUNK_TEXTS).take_while(fits).count().max(1)
}

/// How to load an encoder.
pub fn options(
    precision: &str,
    query: Option<String>,
    document: Option<String>,
    dimensions: Option<usize>,
) -> Result<EncoderOptions> {
    let dimensions = match dimensions {
        Some(0) => return Err(Failure::invalid("a vector has one number at least")),
        other => other.and_then(NonZeroUsize::new),
    };
    Ok(EncoderOptions {
        precision: precision_of(precision)?,
        prompts: Prompts { query, document },
        dimensions,
        ..EncoderOptions::default()
    })
}

fn precision_of(name: &str) -> Result<Precision> {
    match name {
        "f32" | "float32" => Ok(Precision::F32),
        "bf16" | "bfloat16" => Ok(Precision::Bf16),
        "int8" => Ok(Precision::Int8),
        other => Err(Failure::invalid(format!(
            "there is no precision {other:?}: \"f32\", \"bf16\" and \"int8\" are"
        ))),
    }
}

/// A cross-encoder. `akin.CrossEncoder` is the class for people.
#[pyclass(frozen, module = "akin._akin")]
pub struct Scorer {
    pub inner: Arc<CrossEncoder>,
}

#[pymethods]
impl Scorer {
    /// Loads a model by its name or directory.
    #[new]
    fn new(py: Python<'_>, model: String, precision: &str) -> PyResult<Self> {
        fork::check()?;
        let precision = precision_of(precision)?;
        let load = || akin_query::model::load_cross_encoder(&model, precision);
        Ok(Self { inner: py.detach(load).map_err(Failure::from)?.into() })
    }

    /// The score of each pair of texts, by the model's own activation.
    #[pyo3(signature = (pairs, progress=None))]
    fn score<'py>(
        &self,
        py: Python<'py>,
        pairs: Vec<(String, String)>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        fork::check()?;
        let scorer = Arc::clone(&self.inner);
        let scores = long::run(py, progress, move |watch| score_all(&scorer, &pairs, watch))?;
        Ok(arrays::vector(py, scores))
    }

    /// Where the model was loaded from.
    #[getter]
    fn directory(&self) -> String {
        self.inner.directory().to_string_lossy().into_owned()
    }

    /// The longest pair that is read whole, in tokens.
    #[getter]
    fn max_tokens(&self) -> usize {
        self.inner.max_tokens()
    }

    /// Whether scores are from 0 to 1.
    #[getter]
    fn scores_within_one(&self) -> bool {
        self.inner.scores_within_one()
    }
}

/// Pairs that are scored in one call.
const CHUNK_PAIRS: usize = 512;

fn score_all(scorer: &CrossEncoder, pairs: &[(String, String)], watch: &Watch) -> Result<Vec<f32>> {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|pair| std::cmp::Reverse(pairs[*pair].0.len() + pairs[*pair].1.len()));
    let mut scores = vec![0.0; pairs.len()];
    for (number, chunk) in order.chunks(CHUNK_PAIRS).enumerate() {
        if watch.tell("scoring", number * CHUNK_PAIRS, pairs.len()).is_break() {
            return Err(akin_index::Cancelled.into());
        }
        let chosen: Vec<(&str, &str)> =
            chunk.iter().map(|pair| (pairs[*pair].0.as_str(), pairs[*pair].1.as_str())).collect();
        for (pair, score) in chunk.iter().zip(scorer.score(&chosen)?) {
            scores[*pair] = score;
        }
    }
    Ok(scores)
}

/// The directory of a model by its name: looked for on this machine, then downloaded.
#[pyfunction]
pub fn locate_model(py: Python<'_>, name: String) -> PyResult<String> {
    let found = py.detach(|| akin_encoder::hub::locate(&name)).map_err(Failure::from)?;
    Ok(Path::to_string_lossy(&found).into_owned())
}

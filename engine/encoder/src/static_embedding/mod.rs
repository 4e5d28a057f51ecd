//! Models without layers: the vector of a text is the mean of a vector for each token.
//!
//! They are `StaticEmbedding` modules of sentence-transformers, and directories of model2vec. The two differ in what they
//! do with unknown tokens and long texts (`settings`). Texts are cut into tokens as `tokenizer.json` says, without special
//! tokens; plain ones by a short cut (`words`).

mod settings;
mod words;

use std::path::Path;

use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tokenizers::ModelWrapper;

use self::settings::Kind;
pub(crate) use self::settings::StaticDir;
use self::words::WordCutter;
use crate::Result;
use crate::after_pooling::AfterPooling;
use crate::executors::cpu::floats;
use crate::files::refuse;
use crate::fingerprint::Fingerprint;
use crate::model::{SentenceTokenizer, Tokens};
use crate::tokenizer_files::TokenizerFile;
use crate::transformer::Pooled;
use crate::weights::TensorFile;

/// Texts that a thread takes at a time.
const BLOCK: usize = 64;

/// Texts to the mean of the vectors of their tokens.
pub(crate) struct StaticEmbedding {
    tokenizer: SentenceTokenizer,
    words: Option<WordCutter>,
    /// `[rows, width]`
    vectors: Vec<f32>,
    width: usize,
    /// The row of each token, where that is not its own number.
    rows: Option<Vec<u32>>,
    /// What the vector of each token is multiplied by.
    weights: Option<Vec<f32>>,
    /// A token that is left out.
    ignored: Option<u32>,
    /// The most characters of a text that are looked at.
    most_chars: Option<usize>,
    kind: Kind,
}

impl StaticEmbedding {
    /// Loads a model. Returns the modules after it, and what has been hashed: weights, then tokenizer.
    pub(crate) fn load(model: &StaticDir) -> Result<(Self, AfterPooling, Fingerprint)> {
        let file = TensorFile::open(&model.folder)?;
        let hashed = file.sources().fold(Fingerprint::default(), Fingerprint::with);
        let table = Table::read(&file)?;
        let tokenizer_file = TokenizerFile::Whole(model.folder.join("tokenizer.json"));
        let hashed = tokenizer_file.bytes()?.iter().fold(hashed, |hashed, bytes| hashed.with(bytes));
        let tokenizer = tokenizer_file.load()?;
        let (ignored, most_chars, max_tokens) = match model.kind {
            Kind::SentenceTransformers => {
                (None, None, tokenizer.get_truncation().map(|found| found.max_length))
            }
            Kind::Model2Vec { max_tokens, .. } => {
                let most_chars = max_tokens.map(|most| most.saturating_mul(median_length(&tokenizer)));
                (unknown_token(&tokenizer), most_chars, max_tokens)
            }
        };
        let (path, tokens) = (tokenizer_file.path().to_path_buf(), table.tokens());
        let tokenizer = SentenceTokenizer::plain(tokenizer, path, tokens, max_tokens)?;
        let after = model.after(table.width)?;
        let Table { vectors, width, rows, weights } = table;
        let words = WordCutter::of(tokenizer.inner(), tokens);
        let kind = model.kind;
        Ok((
            Self { tokenizer, words, vectors, width, rows, weights, ignored, most_chars, kind },
            after,
            hashed,
        ))
    }

    /// Everything but weights and tokenizer that the vectors depend on, in one line.
    pub(crate) fn settings(&self) -> String {
        format!("{:?} width {} max_tokens {}", self.kind, self.width, self.max_tokens())
    }

    /// The longest text that is read whole, in tokens.
    pub(crate) fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }

    pub(crate) fn tokenizer(&self) -> &SentenceTokenizer {
        &self.tokenizer
    }

    /// The vectors of `texts`, each after `prompt`.
    pub(crate) fn pool(&self, prompt: &str, texts: &[&str]) -> Result<Pooled> {
        let mut rows = vec![0.0; texts.len() * self.width];
        let blocks = texts.par_chunks(BLOCK).zip(rows.par_chunks_mut(BLOCK * self.width));
        let counted = blocks.map(|(texts, rows)| self.pool_block(prompt, texts, rows));
        let (tokens, truncated) = counted
            .try_reduce(|| (0, 0), |(tokens, truncated), (more, too)| Ok((tokens + more, truncated + too)))?;
        Ok(Pooled { rows, tokens, truncated })
    }

    fn pool_block(&self, prompt: &str, texts: &[&str], rows: &mut [f32]) -> Result<(usize, usize)> {
        let (mut tokens, mut truncated) = (0, 0);
        let mut ids = Vec::new();
        let mut joined = String::new();
        for (text, row) in texts.iter().zip(rows.chunks_exact_mut(self.width)) {
            let text = match prompt {
                "" => text,
                _ => {
                    joined.clear();
                    joined.extend([prompt, text]);
                    joined.as_str()
                }
            };
            truncated += usize::from(self.tokenize(text, &mut ids)?);
            tokens += ids.len();
            ids.retain(|id| Some(*id) != self.ignored);
            self.mean(&ids, row);
        }
        Ok((tokens, truncated))
    }

    /// Writes the tokens of a text. Returns whether it has more than are read.
    fn tokenize(&self, text: &str, ids: &mut Vec<u32>) -> Result<bool> {
        let shortened = self.most_chars.and_then(|most| text.char_indices().nth(most));
        let kept = shortened.map_or(text, |(end, _)| &text[..end]);
        if let Some(words) = &self.words
            && words.cut(kept, self.max_tokens(), ids)
        {
            return Ok(shortened.is_some());
        }
        let Tokens { ids: found, truncated } = self.tokenizer.tokenize_one(kept)?;
        *ids = found;
        Ok(truncated || shortened.is_some())
    }

    /// The mean of the vectors of tokens; zeros for none.
    fn mean(&self, ids: &[u32], mean: &mut [f32]) {
        for id in ids {
            let id = *id as usize;
            let row = self.rows.as_ref().map_or(id, |rows| rows[id] as usize);
            let vector = &self.vectors[row * self.width..][..self.width];
            match &self.weights {
                None => mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value),
                Some(weights) => {
                    mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weights[id] * value)
                }
            }
        }
        let share = 1.0 / ids.len().max(1) as f32;
        mean.iter_mut().for_each(|sum| *sum *= share);
    }
}

/// The vectors of tokens.
struct Table {
    vectors: Vec<f32>,
    width: usize,
    rows: Option<Vec<u32>>,
    weights: Option<Vec<f32>>,
}

impl Table {
    /// Reads `embedding.weight`, or `embeddings` with the `mapping` and `weights` of model2vec.
    fn read(file: &TensorFile) -> Result<Self> {
        let tensors = file.tensors()?;
        let refused = |reason: String| refuse(file.path(), reason);
        let own = tensors.tensor("embedding.weight");
        let is_own = own.is_ok();
        let table = own.or_else(|_| tensors.tensor("embeddings")).map_err(|_| {
            refused(
                "it has no tensor embedding.weight or embeddings, which has a vector for each token".into(),
            )
        })?;
        let (vectors, width) = read_vectors(file.path(), &table)?;
        let count = vectors.len() / width;
        let mapping = tensors.tensor("mapping").ok().filter(|_| !is_own);
        let rows = mapping.map(|mapping| row_numbers(&mapping, count).ok_or("mapping")).transpose();
        let rows =
            rows.map_err(|name| refused(format!("the tensor {name} names rows that are not there")))?;
        let tokens = rows.as_ref().map_or(count, Vec::len);
        let weights = match tensors.tensor("weights").ok().filter(|_| !is_own) {
            None => None,
            Some(weights) if weights.shape() != [tokens] => {
                return Err(refused(format!(
                    "the tensor weights has shape {:?}, and there are {tokens} tokens",
                    weights.shape()
                )));
            }
            Some(weights) => Some(numbers(&weights).ok_or_else(|| refused(unread("weights", &weights)))?),
        };
        if !weights.iter().flatten().all(|value| value.is_finite()) {
            return Err(refused(NOT_FINITE.into()));
        }
        Ok(Self { vectors, width, rows, weights })
    }

    /// How many tokens there are vectors for.
    fn tokens(&self) -> usize {
        self.rows.as_ref().map_or(self.vectors.len() / self.width, Vec::len)
    }
}

/// Why a table is refused that holds what is no number.
const NOT_FINITE: &str = "it holds NaN or infinite values: the model is broken, fetch it again";

/// The vectors of a table, one after the other, and their length. The file is that of `path`.
pub(crate) fn read_vectors(path: &Path, table: &TensorView<'_>) -> Result<(Vec<f32>, usize)> {
    let refused = |reason: String| refuse(path, reason);
    let [count, width] = *table.shape() else {
        let reason = format!("the vectors of tokens have shape {:?}, and must be a table", table.shape());
        return Err(refused(reason));
    };
    if width == 0 || count == 0 || u32::try_from(count).is_err() {
        return Err(refused(format!("the vectors of tokens have shape {:?}", table.shape())));
    }
    let vectors = numbers(table).ok_or_else(|| refused(unread("the vectors of tokens", table)))?;
    match vectors.iter().all(|value| value.is_finite()) {
        true => Ok((vectors, width)),
        false => Err(refused(NOT_FINITE.into())),
    }
}

fn unread(name: &str, tensor: &TensorView<'_>) -> String {
    format!("the tensor of {name} is {:?}, and Akin reads F32, F64, F16, BF16 and I8", tensor.dtype())
}

fn numbers(tensor: &TensorView<'_>) -> Option<Vec<f32>> {
    match tensor.dtype() {
        Dtype::I8 => Some(tensor.data().iter().map(|byte| f32::from(byte.cast_signed())).collect()),
        _ => floats(tensor).map(|values| values.into_owned()),
    }
}

/// Rows below `count`.
fn row_numbers(tensor: &TensorView<'_>, count: usize) -> Option<Vec<u32>> {
    let data = tensor.data();
    let rows: Vec<i64> = match tensor.dtype() {
        Dtype::I64 => data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
        Dtype::I32 => data.as_chunks().0.iter().map(|bytes| i64::from(i32::from_le_bytes(*bytes))).collect(),
        _ => return None,
    };
    rows.into_iter().map(|row| u32::try_from(row).ok().filter(|row| (*row as usize) < count)).collect()
}

/// The token of what is not in the vocabulary, if there is one.
fn unknown_token(tokenizer: &tokenizers::Tokenizer) -> Option<u32> {
    let named = |token: &str| tokenizer.token_to_id(token);
    match tokenizer.get_model() {
        ModelWrapper::WordPiece(model) => named(&model.unk_token),
        ModelWrapper::BPE(model) => named(model.get_unk_token().as_deref()?),
        ModelWrapper::WordLevel(model) => named(&model.unk_token),
        ModelWrapper::Unigram(model) => {
            let written = serde_json::to_value(model).ok()?;
            written.get("unk_id")?.as_u64().and_then(|id| u32::try_from(id).ok())
        }
    }
}

/// The median length of a token, in characters: model2vec looks at that many for each token that it keeps.
fn median_length(tokenizer: &tokenizers::Tokenizer) -> usize {
    let vocabulary = tokenizer.get_vocab(true);
    let mut lengths: Vec<usize> = vocabulary.keys().map(|token| token.chars().count()).collect();
    lengths.sort_unstable();
    match lengths.len() {
        0 => 0,
        count => (lengths[(count - 1) / 2] + lengths[count / 2]) / 2,
    }
}

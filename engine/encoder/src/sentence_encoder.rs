//! Texts to embeddings: what makes a vector of a text, the modules that follow, prompts, and the numbers that are kept.

use std::path::{Path, PathBuf};

use akin_kernels::{Embeddings, Similarity};

use crate::after_pooling::{AfterPooling, Chain};
use crate::files::refuse;
use crate::model::{ModelDir, Piece, Tokens};
use crate::pooling::{Pooling, normalize};
use crate::prompts::{Prompts, Role, TextSettings};
use crate::static_embedding::{StaticDir, StaticEmbedding};
use crate::tokenize::TextTokenizer;
use crate::transformer::Transformer;
use crate::weights::TensorFile;
use crate::word_embeddings::{WordDir, WordEmbeddings};
use crate::{EncoderOptions, Error, Result};

/// Encodes sentences with a sentence-transformers model.
///
/// ```no_run
/// # fn main() -> akin_encoder::Result<()> {
/// use akin_encoder::SentenceEncoder;
///
/// let encoder = SentenceEncoder::load("all-MiniLM-L6-v2".as_ref())?;
/// let encoding = encoder.encode(&["A man is eating food.", "Someone has a meal."])?;
/// assert_eq!(encoding.embeddings.rows(), 2);
/// # Ok(())
/// # }
/// ```
pub struct SentenceEncoder {
    root: PathBuf,
    weights: PathBuf,
    body: Body,
    chain: Chain,
    after: AfterPooling,
    texts: TextSettings,
    fingerprint: String,
    prompts: Prompts,
    /// How many numbers were asked for.
    asked: Option<usize>,
}

/// What makes a vector of a text, before the modules that follow.
enum Body {
    Transformer(Box<Transformer>),
    Static(Box<StaticEmbedding>),
    Words(Box<WordEmbeddings>),
}

/// The embeddings of some texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// One row a text, in the order of the texts.
    pub embeddings: Embeddings,
    /// Tokens that went through the network, special tokens included.
    pub tokens: usize,
    /// How many texts were longer than [`SentenceEncoder::max_tokens`] and lost their end.
    pub truncated: usize,
}

impl SentenceEncoder {
    /// Loads the model in `dir` with the default options.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) with the file at fault and what is expected of it.
    pub fn load(dir: &Path) -> Result<Self> {
        Self::load_with(dir, &EncoderOptions::default())
    }

    /// Loads the model in `dir`.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) with the file at fault and what is expected of it;
    /// [`Error::Precision`](crate::Error::Precision) for a precision that the device, the executor or this processor does not
    /// compute in; [`Error::DeviceNotBuilt`](crate::Error::DeviceNotBuilt) and [`Error::Device`](crate::Error::Device) for a
    /// device that this build lacks, or that is not there.
    pub fn load_with(dir: &Path, options: &EncoderOptions) -> Result<Self> {
        if let Some(model) = StaticDir::find(dir)? {
            return Self::open_static(model, options);
        }
        match WordDir::find(dir)? {
            Some(model) => Self::open_words(model, options),
            None => Self::open(ModelDir::open(dir)?, options),
        }
    }

    /// Loads the model in `dir`, which may be a bare Hugging Face directory, and pools in another way than it says: the
    /// baselines of the paper (section 4.1).
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) with the file at fault and what is expected of it.
    pub fn load_pooled(dir: &Path, options: &EncoderOptions, pooling: Pooling) -> Result<Self> {
        Self::open(ModelDir::open_base(dir)?.with_pooling(pooling)?, options)
    }

    fn open(model: ModelDir, options: &EncoderOptions) -> Result<Self> {
        let (root, weights) = (model.root.clone(), model.weights());
        let (after, texts) = (model.after.clone(), model.texts.clone());
        let (body, hashed) = Transformer::load(model, options)?;
        let settings = body.settings();
        let (chain, hashed) = Chain::load(&after, hashed)?;
        let fingerprint = hashed.with(settings.as_bytes()).digits();
        let body = Body::Transformer(body.into());
        let prompts = options.prompts.clone();
        Self { root, weights, body, chain, after, texts, fingerprint, prompts, asked: None }.cut_as(options)
    }

    fn open_static(model: StaticDir, options: &EncoderOptions) -> Result<Self> {
        options.device.require_built()?;
        let (body, after, hashed) = StaticEmbedding::load(&model)?;
        let settings = body.settings() + &after.described() + &model.texts.described(after.width());
        let (chain, hashed) = Chain::load(&after, hashed)?;
        let fingerprint = hashed.with(settings.as_bytes()).digits();
        let StaticDir { root, folder, texts, .. } = model;
        let weights = TensorFile::of_folder(&folder);
        let body = Body::Static(body.into());
        let prompts = options.prompts.clone();
        Self { root, weights, body, chain, after, texts, fingerprint, prompts, asked: None }.cut_as(options)
    }

    fn open_words(model: WordDir, options: &EncoderOptions) -> Result<Self> {
        let (body, after, hashed) = WordEmbeddings::load(&model)?;
        let settings = body.settings() + &after.described() + &model.texts.described(after.width());
        let (chain, hashed) = Chain::load(&after, hashed)?;
        let fingerprint = hashed.with(settings.as_bytes()).digits();
        let WordDir { root, folder, texts, .. } = model;
        let weights = TensorFile::of_folder(&folder);
        let body = Body::Words(body.into());
        let prompts = options.prompts.clone();
        Self { root, weights, body, chain, after, texts, fingerprint, prompts, asked: None }.cut_as(options)
    }

    fn cut_as(self, options: &EncoderOptions) -> Result<Self> {
        match options.dimensions {
            Some(dimensions) => self.with_dimensions(dimensions.get()),
            None => Ok(self),
        }
    }

    /// The same encoder with embeddings of `dimensions` numbers: the first ones, divided by their length again where the
    /// model divides embeddings by their length (Kusupati et al. 2022, Matryoshka representations). The fingerprint stays:
    /// it is that of the model.
    ///
    /// # Errors
    /// [`Error::Dimensions`](crate::Error::Dimensions) where the model makes fewer numbers, or none are asked for.
    pub fn with_dimensions(self, dimensions: usize) -> Result<Self> {
        let made = self.own_dimension();
        if dimensions == 0 || dimensions > made {
            return Err(Error::Dimensions { asked: dimensions, made });
        }
        Ok(Self { asked: Some(dimensions), ..self })
    }

    /// The same encoder with other prompts in place of the model's own.
    #[must_use]
    pub fn with_prompts(self, prompts: Prompts) -> Self {
        Self { prompts, ..self }
    }

    /// The prompts that were given in place of the model's own.
    pub fn prompts(&self) -> &Prompts {
        &self.prompts
    }

    /// The text that is put before each text of a role; empty where there is none.
    pub fn prompt(&self, role: Role) -> &str {
        self.prompts.of(role).unwrap_or_else(|| self.own_prompt(role))
    }

    /// The model's own prompt for a role; empty where it has none.
    pub fn own_prompt(&self, role: Role) -> &str {
        self.texts.prompt(Some(role))
    }

    /// How the model wants its embeddings compared (`similarity_fn_name`). The dot product of embeddings of length one
    /// counts as their cosine.
    pub fn similarity(&self) -> Similarity {
        self.texts.similarity_of(&self.after)
    }

    /// How one vector is made of those of the tokens: the vectors of several poolings are joined. The mean for a static
    /// embedding.
    pub fn poolings(&self) -> &[Pooling] {
        match &self.body {
            Body::Transformer(body) => body.poolings(),
            Body::Static(_) => &[Pooling::Mean],
            Body::Words(body) => body.poolings(),
        }
    }

    /// The length of an embedding.
    pub fn dimension(&self) -> usize {
        self.asked.unwrap_or_else(|| self.own_dimension())
    }

    /// The length of an embedding that was asked for, if one was.
    pub fn asked_dimensions(&self) -> Option<usize> {
        self.asked
    }

    /// The length of an embedding where no other is asked for.
    pub fn own_dimension(&self) -> usize {
        self.texts.dimension(self.chain.width())
    }

    /// The longest text that is read whole, in tokens, special tokens included (`max_seq_length`).
    pub fn max_tokens(&self) -> usize {
        match &self.body {
            Body::Transformer(body) => body.max_tokens(),
            Body::Static(body) => body.max_tokens(),
            Body::Words(body) => body.tokenizer().max_tokens(),
        }
    }

    fn tokenizer(&self) -> &dyn TextTokenizer {
        match &self.body {
            Body::Transformer(body) => body.tokenizer(),
            Body::Static(body) => body.tokenizer(),
            Body::Words(body) => body.tokenizer(),
        }
    }

    /// How many tokens of a text itself are read in a role: [`max_tokens`](Self::max_tokens) without special tokens and
    /// the prompt of the role.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when the tokenizer refuses the prompt.
    pub fn text_tokens(&self, role: Role) -> Result<usize> {
        let around = self.count_tokens(&[self.prompt(role)])?[0];
        Ok(self.max_tokens().saturating_sub(around))
    }

    /// Where each token of `text` begins, in bytes and in order: of all of it, however long it is, without special
    /// tokens and prompt.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when the tokenizer refuses a text.
    pub fn token_starts(&self, text: &str) -> Result<Vec<usize>> {
        self.tokenizer().token_starts(text)
    }

    /// What the embeddings depend on: SHA-256 over weights, tokenizer and settings, in 64 hex digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Where the model was loaded from.
    pub fn directory(&self) -> &Path {
        &self.root
    }

    /// How many tokens of each of `texts` the network reads, special tokens included.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when the tokenizer refuses a text.
    pub fn count_tokens(&self, texts: &[&str]) -> Result<Vec<usize>> {
        Ok(self.tokenizer().tokenize(texts)?.iter().map(|text| text.ids.len()).collect())
    }

    /// The tokens of each of `texts` as the network reads them, special tokens included, without a prompt; and whether the
    /// text was longer than the model reads.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when the tokenizer refuses a text.
    pub fn tokenize(&self, texts: &[&str]) -> Result<Vec<Tokens>> {
        self.tokenizer().tokenize(texts)
    }

    /// The tokens of a text that the network reads, each with its place in the text.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when the tokenizer refuses the text.
    pub fn pieces(&self, text: &str, special: bool) -> Result<Vec<Piece>> {
        self.tokenizer().pieces(text, special)
    }

    /// The text that token ids stand for, as the tokenizer writes it; without special tokens if `skip_special`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for an id that is no token of the model.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.tokenizer().decode(ids, skip_special)
    }

    /// The text that the model's tokenizer makes these very ids of; `None` if there is none, as for most ids of another
    /// vocabulary.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for an id that is no token of the model.
    pub fn text_of_ids(&self, ids: &[u32]) -> Result<Option<String>> {
        self.tokenizer().text_of(ids)
    }

    /// The vectors of the tokens that the network reads of each of `texts`, special tokens and prompt included: its last
    /// hidden states, before they are pooled. A matrix `[tokens, hidden]` a text.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a model without layers or another executor than that for processors.
    pub fn token_embeddings(&self, role: Option<Role>, texts: &[&str]) -> Result<Vec<Embeddings>> {
        self.token_embeddings_after(
            role.map_or_else(|| self.texts.prompt(None), |role| self.prompt(role)),
            texts,
        )
    }

    /// The same of texts after `prompt`, in place of any that the model has.
    ///
    /// # Errors
    /// As [`SentenceEncoder::token_embeddings`].
    pub fn token_embeddings_after(&self, prompt: &str, texts: &[&str]) -> Result<Vec<Embeddings>> {
        match &self.body {
            Body::Transformer(body) => body.token_states(prompt, texts),
            Body::Static(_) | Body::Words(_) => Err(Error::Invalid(
                "the model has no layers, and gives no vectors of tokens in a text".into(),
            )),
        }
    }

    /// Whether the model divides its embeddings by their length.
    pub fn normalizes(&self) -> bool {
        self.after.normalizes()
    }

    /// The embeddings of `texts`, in their order: `encode` of sentence-transformers, with the model's default prompt if
    /// it has one. All threads of rayon's pool take part.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) when the network gives something that is not a number.
    pub fn encode(&self, texts: &[&str]) -> Result<Encoding> {
        self.encode_after(self.texts.prompt(None), texts)
    }

    /// The prompt that [`SentenceEncoder::encode`] puts before each text: the model's default; empty where it has none.
    pub fn default_prompt(&self) -> &str {
        self.texts.prompt(None)
    }

    /// The embeddings of texts of a role: `encode_query` and `encode_document` of sentence-transformers 5 and later.
    ///
    /// # Errors
    /// As [`SentenceEncoder::encode`].
    pub fn encode_as(&self, role: Role, texts: &[&str]) -> Result<Encoding> {
        self.encode_after(self.prompt(role), texts)
    }

    /// The embeddings of texts, each after `prompt` in place of any that the model has.
    ///
    /// # Errors
    /// As [`SentenceEncoder::encode`].
    pub fn encode_after(&self, prompt: &str, texts: &[&str]) -> Result<Encoding> {
        let pooled = match &self.body {
            Body::Transformer(body) => body.pool(prompt, texts)?,
            Body::Static(body) => body.pool(prompt, texts)?,
            Body::Words(body) => body.pool(prompt, texts),
        };
        let rows = self.chain.apply(pooled.rows);
        for (embedding, text) in rows.chunks_exact(self.chain.width()).zip(texts) {
            self.require_finite(embedding, text)?;
        }
        Ok(Encoding { embeddings: self.cut(rows), tokens: pooled.tokens, truncated: pooled.truncated })
    }

    /// The embeddings of `texts` without smart batching: in their order, `batch` at a time, each batch padded to its
    /// longest text. What smart batching is measured against.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) unless the executor is burn, the only one that pads.
    pub fn encode_padded(&self, texts: &[&str], batch: usize) -> Result<Embeddings> {
        match &self.body {
            Body::Transformer(body) => Ok(self.cut(self.chain.apply(body.pool_padded(texts, batch)?))),
            Body::Static(_) | Body::Words(_) => {
                Err(Error::Invalid("a model without layers pads nothing".into()))
            }
        }
    }

    /// Keeps the first numbers of each row: as many as the model says (`truncate_dim`), or as were asked for.
    fn cut(&self, rows: Vec<f32>) -> Embeddings {
        let (width, kept) = (self.chain.width(), self.dimension());
        if kept == width {
            return Embeddings::from_values(width, rows);
        }
        let mut values: Vec<f32> = rows.chunks_exact(width).flat_map(|row| &row[..kept]).copied().collect();
        // What the model itself cuts is left as sentence-transformers leaves it.
        if self.asked.is_some() && self.after.normalizes() && self.texts.dimension(width) == width {
            values.chunks_exact_mut(kept).for_each(normalize);
        }
        Embeddings::from_values(kept, values)
    }

    fn require_finite(&self, embedding: &[f32], text: &str) -> Result<()> {
        if embedding.iter().all(|x| x.is_finite()) {
            return Ok(());
        }
        let start: String = text.chars().take(40).collect();
        Err(refuse(
            &self.weights,
            format!(
                "the network gives values that are not numbers for the text that begins {start:?}: the weights are broken, fetch them again"
            ),
        ))
    }
}

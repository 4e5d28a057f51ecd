//! Vectors of words, pooled: the paper's baseline of average GloVe embeddings (section 4.1).
//!
//! A model is a `WordEmbeddings` module of sentence-transformers and a Pooling. Texts are cut at white space
//! (`whitespace`), and words without a vector are left out.

mod whitespace;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub(crate) use self::whitespace::WhitespaceTokenizer;
use crate::Result;
use crate::after_pooling::AfterPooling;
use crate::cross_encoder::settings::is_cross_encoder;
use crate::files::{read_json, refuse};
use crate::fingerprint::Fingerprint;
use crate::model_dir::{AfterKind, First, Modules, PoolingSettings};
use crate::pooling::{Pooling, pool_joined};
use crate::prompts::TextSettings;
use crate::settings::{SENTENCE_TRANSFORMERS, WORD_EMBEDDINGS, shortened};
use crate::static_embedding::read_vectors;
use crate::transformer::Pooled;
use crate::weights::TensorFile;

/// The settings of the tokenizer.
pub(crate) const TOKENIZER_SETTINGS: &str = "whitespacetokenizer_config.json";

/// The most words of a text, for a model that does not say.
const MOST_WORDS: usize = 1_000_000;

/// Texts that a thread takes at a time.
const BLOCK: usize = 64;

/// A directory whose settings have been read.
#[derive(Debug)]
pub(crate) struct WordDir {
    /// The directory.
    pub root: PathBuf,
    /// Where weights and tokenizer are.
    pub folder: PathBuf,
    /// Prompts, and what is done with embeddings.
    pub texts: TextSettings,
    pooling: PathBuf,
    modules: Vec<(AfterKind, String)>,
}

impl WordDir {
    /// Reads the settings of the model in `root`; nothing where it is a model of another kind.
    pub(crate) fn find(root: &Path) -> Result<Option<Self>> {
        let path = root.join("modules.json");
        if is_cross_encoder(root) || !path.is_file() {
            return Ok(None);
        }
        let Modules { first: First::WordEmbeddings { folder, pooling }, after } = Modules::read(&path)?
        else {
            return Ok(None);
        };
        let texts =
            TextSettings::read(&root.join("config_sentence_transformers.json"), SENTENCE_TRANSFORMERS)?;
        let [folder, pooling] = [folder, pooling].map(|name| root.join(name));
        Ok(Some(Self { root: root.into(), folder, texts, pooling, modules: after }))
    }

    /// How many words of a text are read.
    fn max_words(&self) -> Result<usize> {
        let path = self.folder.join(WORD_EMBEDDINGS.file);
        let settings: serde_json::Map<String, serde_json::Value> = read_json(&path)?;
        WORD_EMBEDDINGS.check(&path, &settings)?;
        let class = settings.get("tokenizer_class").and_then(|class| class.as_str()).unwrap_or_default();
        if class.rsplit('.').next() != Some("WhitespaceTokenizer") {
            let reason =
                format!("tokenizer_class is {class:?}, and Akin cuts words by WhitespaceTokenizer alone");
            return Err(refuse(&path, reason));
        }
        match settings.get("max_seq_length") {
            None => Ok(MOST_WORDS),
            Some(serde_json::Value::Null) => Ok(usize::MAX),
            Some(value) => {
                let length = value.as_u64().and_then(|length| usize::try_from(length).ok());
                length.filter(|length| *length > 0).ok_or_else(|| {
                    let found = shortened(value);
                    refuse(&path, format!("max_seq_length is {found}, and must be a whole number from 1 on"))
                })
            }
        }
    }

    /// How the vectors of the words are pooled. `width` is their length.
    fn poolings(&self, width: usize) -> Result<Vec<Pooling>> {
        let path = self.pooling.join("config.json");
        // A prompt is read as a part of the text here, whatever `include_prompt` says, as sentence-transformers does.
        let poolings = PoolingSettings::read(&path, width)?.poolings;
        match poolings.contains(&Pooling::Cls) {
            true => Err(refuse(&path, "its pooling mode is cls, and words have no vector of a first token")),
            false => Ok(poolings),
        }
    }
}

/// Texts to the pooled vectors of their words.
pub(crate) struct WordEmbeddings {
    tokenizer: WhitespaceTokenizer,
    /// `[words, width]`
    vectors: Vec<f32>,
    width: usize,
    poolings: Vec<Pooling>,
}

impl WordEmbeddings {
    /// Loads a model. Returns the modules after it, and what has been hashed: weights, then tokenizer.
    pub(crate) fn load(model: &WordDir) -> Result<(Self, AfterPooling, Fingerprint)> {
        let max_words = model.max_words()?;
        let file = TensorFile::open(&model.folder)?;
        let hashed = file.sources().fold(Fingerprint::default(), Fingerprint::with);
        let tensors = file.tensors()?;
        let table = tensors.tensor("emb_layer.weight").map_err(|_| {
            refuse(file.path(), "it has no tensor emb_layer.weight, which has a vector for each word")
        })?;
        let (vectors, width) = read_vectors(file.path(), &table)?;
        let path = model.folder.join(TOKENIZER_SETTINGS);
        let (tokenizer, written) = WhitespaceTokenizer::read(&path, vectors.len() / width, max_words)?;
        let poolings = model.poolings(width)?;
        let pooled = width.saturating_mul(poolings.len());
        let after = AfterPooling::read(&model.root, pooled, &model.modules)?;
        Ok((Self { tokenizer, vectors, width, poolings }, after, hashed.with(&written)))
    }

    /// Everything but weights and tokenizer that the vectors depend on, in one line.
    pub(crate) fn settings(&self) -> String {
        let Self { tokenizer, width, poolings, .. } = self;
        format!("WordEmbeddings width {width} pooling {poolings:?} max_tokens {}", tokenizer.max_tokens())
    }

    pub(crate) fn tokenizer(&self) -> &WhitespaceTokenizer {
        &self.tokenizer
    }

    pub(crate) fn poolings(&self) -> &[Pooling] {
        &self.poolings
    }

    /// The vectors of `texts`, each after `prompt`.
    pub(crate) fn pool(&self, prompt: &str, texts: &[&str]) -> Pooled {
        let width = self.width * self.poolings.len();
        let mut rows = vec![0.0; texts.len() * width];
        let blocks = texts.par_chunks(BLOCK).zip(rows.par_chunks_mut(BLOCK * width));
        let (tokens, truncated) = blocks
            .map(|(texts, rows)| self.pool_block(prompt, texts, rows))
            .reduce(|| (0, 0), |(tokens, truncated), (more, too)| (tokens + more, truncated + too));
        Pooled { rows, tokens, truncated }
    }

    /// The same of some texts in one thread. Returns how many words were read, and how many texts had more.
    fn pool_block(&self, prompt: &str, texts: &[&str], rows: &mut [f32]) -> (usize, usize) {
        let (mut tokens, mut truncated) = (0, 0);
        let (mut text, mut words) = (String::new(), Vec::new());
        for (own, row) in texts.iter().zip(rows.chunks_exact_mut(self.width * self.poolings.len())) {
            text.clear();
            text.extend([prompt, own]);
            let found = self.tokenizer.cut(&text);
            words.clear();
            for id in &found.ids {
                words.extend_from_slice(&self.vectors[*id as usize * self.width..][..self.width]);
            }
            pool_joined(&words, row, &self.poolings, 0);
            tokens += found.ids.len();
            truncated += usize::from(found.truncated);
        }
        (tokens, truncated)
    }
}

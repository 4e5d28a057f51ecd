//! A network between its tokenizer and its pooling.

use crate::executors::Network;
use crate::fingerprint::Fingerprint;
use crate::model::{ModelDir, ModelWeights, SentenceTokenizer, Tokens};
use crate::pooling::Pooling;
use crate::{Device, EncoderOptions, Error, Executor, Result};
use akin_kernels::Embeddings;
use akin_kernels::cpu::isa;
use akin_kernels::rows::Precision;

/// Texts to pooled vectors, by a network.
pub(crate) struct Transformer {
    model: ModelDir,
    tokenizer: SentenceTokenizer,
    network: Network,
}

/// The vectors of some texts, before the modules that follow.
pub(crate) struct Pooled {
    /// A row for each text, one after the other.
    pub rows: Vec<f32>,
    /// Tokens that were read, special tokens included.
    pub tokens: usize,
    /// How many texts were too long.
    pub truncated: usize,
}

impl Transformer {
    /// Loads a model. Returns what has been hashed: weights, then tokenizer.
    pub(crate) fn load(model: ModelDir, options: &EncoderOptions) -> Result<(Self, Fingerprint)> {
        check_options(options)?;
        let weights = ModelWeights::open(&model)?;
        // Hashing the weights takes as long as loading them: each has a core.
        let (hashed, (tokenizer, network)) = rayon::join(
            || {
                let hashed = weights.hashed();
                Ok(model.tokenizer_bytes()?.iter().fold(hashed, |hashed, file| hashed.with(file)))
            },
            || rayon::join(|| SentenceTokenizer::load(&model), || Network::load(&model, &weights, options)),
        );
        let hashed: Result<Fingerprint> = hashed;
        let (tokenizer, network) = (tokenizer?, network?);
        Ok((Self { model, tokenizer, network }, hashed?))
    }

    /// Everything but weights and tokenizer that the vectors depend on, in one line.
    pub(crate) fn settings(&self) -> String {
        self.model.settings() + self.tokenizer.changes()
    }

    /// The longest text that is read whole, in tokens.
    pub(crate) fn max_tokens(&self) -> usize {
        self.model.max_tokens
    }

    pub(crate) fn poolings(&self) -> &[Pooling] {
        &self.model.poolings
    }

    pub(crate) fn tokenizer(&self) -> &SentenceTokenizer {
        &self.tokenizer
    }

    /// The pooled vectors of `texts`, each after `prompt`. A device computes the first texts while the next ones are cut into
    /// tokens.
    pub(crate) fn pool(&self, prompt: &str, texts: &[&str]) -> Result<Pooled> {
        let skipped = match prompt.is_empty() || self.model.include_prompt {
            true => 0,
            false => self.tokenizer.prompt_tokens(prompt)?,
        };
        let (mut started, mut tokens, mut truncated) = (Vec::new(), 0, 0);
        for texts in texts.chunks(self.network.texts_at_once()) {
            let cut = self.tokenize_after(prompt, texts)?;
            let sentences: Vec<&[u32]> = cut.iter().map(|text| text.ids.as_slice()).collect();
            started.push(self.network.start(&sentences, skipped)?);
            tokens += sentences.iter().map(|ids| ids.len()).sum::<usize>();
            truncated += cut.iter().filter(|text| text.truncated).count();
        }
        let mut rows = Vec::new();
        for part in started {
            let part = part.finish()?;
            if rows.is_empty() { rows = part } else { rows.extend_from_slice(&part) }
        }
        Ok(Pooled { rows, tokens, truncated })
    }

    fn tokenize_after(&self, prompt: &str, texts: &[&str]) -> Result<Vec<Tokens>> {
        if prompt.is_empty() {
            return self.tokenizer.tokenize(texts);
        }
        let prompted: Vec<String> = texts.iter().map(|text| format!("{prompt}{text}")).collect();
        self.tokenizer.tokenize(&prompted.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The last hidden states of the tokens of each text, each text after `prompt`: a matrix `[tokens, hidden]` a text.
    pub(crate) fn token_states(&self, prompt: &str, texts: &[&str]) -> Result<Vec<Embeddings>> {
        let tokens = self.tokenize_after(prompt, texts)?;
        let sentences: Vec<&[u32]> = tokens.iter().map(|text| text.ids.as_slice()).collect();
        let (width, states) = (self.model.config.hidden_size, self.network.token_states(&sentences)?);
        let mut rest = &states[..];
        let of_text = |ids: &&[u32]| {
            let (own, after) = rest.split_at(ids.len() * width);
            rest = after;
            Embeddings::from_values(width, own.to_vec())
        };
        Ok(sentences.iter().map(of_text).collect())
    }

    /// The pooled vectors in the order given, `batch` texts at a time, each batch padded to its longest.
    pub(crate) fn pool_padded(&self, texts: &[&str], batch: usize) -> Result<Vec<f32>> {
        let tokens = self.tokenizer.tokenize(texts)?;
        let sentences: Vec<&[u32]> = tokens.iter().map(|text| text.ids.as_slice()).collect();
        self.network.embed_padded(&sentences, batch, 0)
    }
}

/// Refuses a device that this build lacks, and a precision that the device, the executor or this processor does not compute in.
pub(crate) fn check_options(options: &EncoderOptions) -> Result<()> {
    options.device.require_built()?;
    let reason = match (options.device, options.executor, options.precision) {
        (_, _, Precision::F32) => return Ok(()),
        (Device::Cpu, Executor::Burn, _) => "the burn executor computes in f32 only".into(),
        (Device::Cpu, Executor::Cpu, Precision::Bf16) if !isa().multiplies_bf16() => {
            let name = isa().name();
            format!("this processor ({name}) does not multiply bf16, only f32 and int8")
        }
        (Device::Cpu, Executor::Cpu, _) => return Ok(()),
        (device, _, _) => format!("the device {device} computes in f32 only"),
    };
    Err(Error::Precision { precision: options.precision, reason })
}

//! The model that training begins with.

use std::path::Path;

use akin_encoder::Pooling;
use akin_encoder::model::{Architecture, HeadForm, ModelDir, ModelWeights, SentenceTokenizer, longest_first};
use burn::tensor::Device;
use safetensors::Dtype;

use crate::Result;
use crate::autodiff::{RaggedBatch, Randomness};
use crate::dropout::probabilities;
use crate::encoder::Encoder;
use crate::initialize::reinitialized;

/// A base model: a sentence-transformers directory, or a Hugging Face one with `config.json` and `tokenizer.json`.
pub struct BaseModel {
    pub(crate) dir: ModelDir,
    pub(crate) tokenizer: SentenceTokenizer,
    hidden_dropout: f64,
    attention_dropout: f64,
}

impl BaseModel {
    /// Opens the model in `dir`. Where it does not say how it pools, it pools by the mean; `pooling` and `max_tokens`
    /// override what it says.
    ///
    /// # Errors
    /// [`akin_encoder::Error::Model`] with the file at fault and what is expected of it.
    pub fn open(dir: &Path, pooling: Option<Pooling>, max_tokens: Option<usize>) -> Result<Self> {
        let opened = ModelDir::open_base(dir)?;
        let mut dir = match pooling {
            Some(pooling) => opened.with_pooling(pooling)?,
            None => opened,
        };
        if let [part, ..] = dir.further_parts().as_slice() {
            let reason = format!(
                "it has {part}, and Akin trains a network with one pooling and nothing after it but a Normalize"
            );
            return Err(akin_encoder::Error::Model { path: dir.root, reason }.into());
        }
        dir.max_tokens = max_tokens.map_or(dir.max_tokens, |most| most.min(dir.max_tokens));
        let [hidden_dropout, attention_dropout] = probabilities(dir.config.architecture, &dir.config_json()?);
        Ok(Self { tokenizer: SentenceTokenizer::load(&dir)?, hidden_dropout, attention_dropout, dir })
    }

    /// The network with the weights of the model, on `device`.
    ///
    /// # Errors
    /// [`akin_encoder::Error::Model`] when the weights are missing or do not fit.
    pub fn network(&self, device: &Device) -> Result<Encoder> {
        Encoder::load(&self.dir.config, &ModelWeights::open(&self.dir)?, device)
    }

    /// The network with random weights: normal with deviation 0.02, as BERT is initialised.
    ///
    /// # Errors
    /// None that is known: nothing is read.
    pub fn random_network(&self, seed: u64, device: &Device) -> Result<Encoder> {
        let network = Encoder::new(&self.dir.config, device)?;
        let layers = network.sets();
        Ok(reinitialized(network, layers, true, seed))
    }

    /// `network` with the linear layers and norms of its last `layers` layers initialised again, as in BERT.
    pub fn reinitialized(&self, network: Encoder, layers: usize, seed: u64) -> Encoder {
        reinitialized(network, layers, false, seed)
    }

    /// The length of an embedding.
    pub fn dimension(&self) -> usize {
        self.dir.config.hidden_size
    }

    /// The family of its network.
    pub fn architecture(&self) -> Architecture {
        self.dir.config.architecture
    }

    /// What the head computes that makes a cross-encoder of this network, its names beginning as they are written.
    ///
    /// # Errors
    /// [`akin_encoder::Error::NoCrossEncoder`] for a family that has none.
    pub(crate) fn head_form(&self) -> Result<HeadForm> {
        Ok(HeadForm::of(&self.dir, self.architecture().prefix())?)
    }

    /// How many transformer layers there are.
    pub fn layers(&self) -> usize {
        self.dir.config.num_hidden_layers
    }

    /// How sentences are pooled.
    pub fn pooling(&self) -> Pooling {
        self.dir.poolings.first().copied().unwrap_or(Pooling::Mean)
    }

    /// Whether embeddings are divided by their length.
    pub fn normalizes(&self) -> bool {
        self.dir.normalizes()
    }

    /// The dropout of the model's config, with the random numbers of `seed`.
    pub fn randomness(&self, seed: u64) -> Randomness {
        Randomness { hidden_dropout: self.hidden_dropout, attention_dropout: self.attention_dropout, seed }
    }

    /// The ids of each text, special tokens included, cut to what the model reads.
    ///
    /// # Errors
    /// When the tokenizer refuses a text.
    pub fn tokenize(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>> {
        Ok(self.tokenizer.tokenize(texts)?.into_iter().map(|tokens| tokens.ids).collect())
    }

    /// Tokenised sentences as the network reads them.
    pub fn batch(&self, sentences: &[&[u32]]) -> RaggedBatch {
        RaggedBatch::of_sentences(sentences, &self.dir.config)
    }

    /// Pairs of tokenised sentences, each as one sequence with a separator between, as a cross-encoder reads them. A pair
    /// that is too long loses the end of its longer sentence, and then of both.
    pub fn pair_batch(&self, pairs: &[[&[u32]; 2]]) -> RaggedBatch {
        let config = &self.dir.config;
        // RoBERTa and MPNet have a second separator between the two, and tokens of one type.
        let between = match config.architecture {
            Architecture::Roberta
            | Architecture::XlmRoberta
            | Architecture::Camembert
            | Architecture::MpNet => 2,
            _ => 1,
        };
        let mut batch = RaggedBatch::default();
        for pair in pairs {
            let [first, second] = pair.map(inner);
            let begin = pair[0].first().into_iter();
            let end = || pair[0].last().into_iter();
            let room = self.dir.max_tokens.saturating_sub(2 + between);
            let [kept, other] = longest_first([first.len(), second.len()], room);
            let mut ids: Vec<u32> = begin.chain(&first[..kept]).chain(end()).copied().collect();
            let mut types = vec![0; ids.len()];
            ids.extend(
                std::iter::repeat_n(end(), between - 1).flatten().chain(&second[..other]).chain(end()),
            );
            types.resize(ids.len(), u32::from(between == 1 && config.type_vocab_size > 1));
            batch.push(&ids, &types, config);
        }
        batch
    }

    /// Where the model was found.
    pub fn name(&self) -> String {
        self.dir.root.display().to_string()
    }

    /// Weight, as `[inputs, outputs]`, and bias, if it is `biased`, of a linear layer that is not the encoder's own, such
    /// as `bert.pooler.dense`, where the model has one in f32.
    ///
    /// # Errors
    /// [`akin_encoder::Error::Model`] when the weights do not fit.
    pub fn dense(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        biased: bool,
    ) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
        let weight = self.vector(&format!("{name}.weight"), inputs * outputs)?;
        let bias = match biased {
            true => self.vector(&format!("{name}.bias"), outputs)?,
            false => Some(Vec::new()),
        };
        let (Some(weight), Some(bias)) = (weight, bias) else { return Ok(None) };
        let transposed =
            (0..inputs * outputs).map(|at| weight[at % outputs * inputs + at / outputs]).collect();
        Ok(Some((transposed, bias)))
    }

    /// The values of a tensor that is not the encoder's own, where the model has it in f32 and so long.
    pub(crate) fn vector(&self, name: &str, length: usize) -> Result<Option<Vec<f32>>> {
        if !self.dir.weights().is_file() {
            return Ok(None);
        }
        let weights = ModelWeights::open(&self.dir)?;
        let tensors = weights.tensors()?;
        // A file without a head has no prefix before its names.
        let bare = name.strip_prefix(self.architecture().prefix()).unwrap_or(name);
        let Ok(tensor) = tensors.tensor(name).or_else(|_| tensors.tensor(bare)) else { return Ok(None) };
        let (values, rest) = tensor.data().as_chunks::<4>();
        Ok((tensor.dtype() == Dtype::F32 && rest.is_empty() && values.len() == length)
            .then(|| values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
    }
}

/// The tokens of a sentence without those that begin and end it.
fn inner(ids: &[u32]) -> &[u32] {
    ids.get(1..ids.len().saturating_sub(1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> BaseModel {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/models").join(name);
        BaseModel::open(&dir, None, None).unwrap()
    }

    #[test]
    fn a_model_without_a_transformer_is_refused_by_what_it_has() {
        let words = akin_fixtures::fixture("models/words");
        let error = BaseModel::open(&words, None, None).err().unwrap().to_string();
        assert!(error.contains("WordEmbeddings"), "{error}");
    }

    #[test]
    fn a_network_whose_pairs_are_scored_otherwise_is_no_base_of_a_cross_encoder() {
        let (networks, _) = akin_fixtures::families::networks();
        for name in ["nomic", "gte", "jina-v2", "jina-v3", "t5", "qwen3", "gemma3"] {
            let model = networks.iter().find(|network| network.name == name).unwrap().model("mean");
            let base = BaseModel::open(model.path(), None, None).unwrap();
            let error = base.head_form().err().unwrap().to_string();
            let named = format!("its network is {:?}", base.architecture());
            assert!(error.contains(&named) && error.contains("cross-encoders of BERT"), "{error}");
        }
        assert!(base("tiny-roberta").head_form().is_ok());
    }

    #[test]
    fn a_model_with_further_parts_is_refused_by_their_name() {
        let model = akin_fixtures::models::ModelCopy::tiny("bert").edited("1_Pooling/config.json", |json| {
            json["pooling_mode_cls_token"] = true.into();
        });
        let error = BaseModel::open(model.path(), None, None).err().unwrap().to_string();
        assert!(error.contains("several poolings"), "{error}");
        assert_eq!(BaseModel::open(model.path(), Some(Pooling::Cls), None).unwrap().pooling(), Pooling::Cls);
    }

    #[test]
    fn a_pair_is_one_sequence_and_loses_the_end_of_its_longer_sentence() {
        let bert = base("tiny-bert");
        let batch = bert.pair_batch(&[[&[2, 10, 11, 3], &[2, 12, 3]]]);
        assert_eq!(batch.ids(), [2, 10, 11, 3, 12, 3]);
        assert_eq!(batch.types(), [0, 0, 0, 0, 1, 1]);
        let long: Vec<u32> = [2].into_iter().chain(100..160).chain([3]).collect();
        let batch = bert.pair_batch(&[[&long, &[2, 12, 3]]]);
        assert_eq!(batch.tokens(), 48);
        assert_eq!(batch.ids()[45..], [3, 12, 3]);

        let roberta = base("tiny-roberta");
        let batch = roberta.pair_batch(&[[&[0, 10, 2], &[0, 12, 2]]]);
        assert_eq!(batch.ids(), [0, 10, 2, 2, 12, 2]);
        assert_eq!(batch.types(), [0; 6]);
    }
}

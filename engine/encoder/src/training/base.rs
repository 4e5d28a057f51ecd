//! The model that training begins with, and the directory that it ends as.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::burn_bert::Bert;
use crate::config::{Architecture, Pooling};
use crate::model_dir::{ModelDir, read_json};
use crate::tokenize::SentenceTokenizer;
use crate::weights::Weights;
use crate::{Error, Result};

use super::{RaggedBatch, Randomness};

/// Files of a base model that are copied as they are, where there are any.
const COPIED: [&str; 8] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "config_sentence_transformers.json",
];

/// A base model: a sentence-transformers directory, or a Hugging Face one with `config.json` and `tokenizer.json`.
pub struct BaseModel {
    pub(super) dir: ModelDir,
    tokenizer: SentenceTokenizer,
    hidden_dropout: f64,
    attention_dropout: f64,
}

impl BaseModel {
    /// Opens the model in `dir`. Where it does not say how it pools, it pools by the mean; `pooling` and `max_tokens`
    /// override what it says.
    ///
    /// # Errors
    /// [`Error::Model`] with the file at fault and what is expected of it.
    pub fn open(dir: &Path, pooling: Option<Pooling>, max_tokens: Option<usize>) -> Result<Self> {
        let mut dir = ModelDir::open_base(dir)?;
        dir.pooling = pooling.unwrap_or(dir.pooling);
        dir.max_tokens = max_tokens.map_or(dir.max_tokens, |most| most.min(dir.max_tokens));
        let config: Value = read_json(&dir.transformer.join("config.json"))?;
        let probability =
            |name: &str| config[name].as_f64().filter(|p| (0.0..1.0).contains(p)).unwrap_or(0.1);
        Ok(Self {
            tokenizer: SentenceTokenizer::load(&dir)?,
            hidden_dropout: probability("hidden_dropout_prob"),
            attention_dropout: probability("attention_probs_dropout_prob"),
            dir,
        })
    }

    /// The network with the weights of the model, on `device`.
    ///
    /// # Errors
    /// [`Error::Model`] when the weights are missing or do not fit.
    pub fn network(&self, device: &Device) -> Result<Bert> {
        Bert::load(&self.dir.config, &Weights::open(&self.dir)?, device)
    }

    /// The network with random weights: normal with deviation 0.02, as BERT begins.
    pub fn random_network(&self, seed: u64, device: &Device) -> Bert {
        Bert::new(&self.dir.config, device).reinitialized(self.dir.config.num_hidden_layers, true, seed)
    }

    /// `network` with the linear layers and norms of its last `layers` layers drawn anew, as BERT begins.
    pub fn reinitialized(&self, network: Bert, layers: usize, seed: u64) -> Bert {
        network.reinitialized(layers, false, seed)
    }

    /// The length of an embedding.
    pub fn dimension(&self) -> usize {
        self.dir.config.hidden_size
    }

    /// How many transformer layers there are.
    pub fn layers(&self) -> usize {
        self.dir.config.num_hidden_layers
    }

    /// How sentences are pooled.
    pub fn pooling(&self) -> Pooling {
        self.dir.pooling
    }

    /// Whether embeddings are divided by their length.
    pub fn normalizes(&self) -> bool {
        self.dir.normalize
    }

    /// The dropout that the model was made for, with the random numbers of `seed`.
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
    /// that is too long loses the end of its longer sentence.
    pub fn pair_batch(&self, pairs: &[[&[u32]; 2]]) -> RaggedBatch {
        let config = &self.dir.config;
        let mut batch = RaggedBatch::default();
        for [first, second] in pairs {
            // The second without the token that begins a text; RoBERTa puts another separator in its place.
            let (mut first, mut second) = (first.to_vec(), second.get(1..).unwrap_or_default().to_vec());
            if config.architecture == Architecture::Roberta {
                second.insert(0, first.last().copied().unwrap_or_default());
            }
            while first.len() + second.len() > self.dir.max_tokens && first.len().max(second.len()) > 2 {
                let longer = if first.len() > second.len() { &mut first } else { &mut second };
                longer.remove(longer.len() - 2);
            }
            let mut types = vec![0; first.len()];
            types.resize(first.len() + second.len(), u32::from(config.type_vocab_size > 1));
            first.extend_from_slice(&second);
            batch.push(&first, &types, config);
        }
        batch
    }

    /// Where the model was found.
    pub fn name(&self) -> String {
        self.dir.root.display().to_string()
    }

    /// Weight, as `[inputs, outputs]`, and bias of a linear layer that is not the encoder's own, such as `pooler.dense`,
    /// where the model has one in f32.
    ///
    /// # Errors
    /// [`Error::Model`] when the weights do not fit.
    pub fn dense(&self, name: &str, inputs: usize, outputs: usize) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
        if !self.dir.weights().is_file() {
            return Ok(None);
        }
        let weights = Weights::open(&self.dir)?;
        let tensors = weights.tensors()?;
        let read = |part: &str, length: usize| {
            let own = format!("{}{name}.{part}", weights.prefix());
            let tensor = tensors.tensor(&own).or_else(|_| tensors.tensor(&format!("{name}.{part}"))).ok()?;
            let (values, rest) = tensor.data().as_chunks::<4>();
            (tensor.dtype() == Dtype::F32 && rest.is_empty() && values.len() == length)
                .then(|| values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<f32>>())
        };
        let (Some(weight), Some(bias)) = (read("weight", inputs * outputs), read("bias", outputs)) else {
            return Ok(None);
        };
        let transposed =
            (0..inputs * outputs).map(|at| weight[at % outputs * inputs + at / outputs]).collect();
        Ok(Some((transposed, bias)))
    }

    /// Writes `network` as a sentence-transformers directory, which is made: its weights, and of this model everything
    /// else.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn save(&self, network: &Bert, to: &Path) -> Result<()> {
        self.copy_files(to)?;
        let module = |index: usize, path: &str, kind: &str| {
            let kind = format!("sentence_transformers.models.{kind}");
            json!({ "idx": index, "name": index.to_string(), "path": path, "type": kind })
        };
        let mut modules = vec![module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")];
        if self.dir.normalize {
            modules.push(module(2, "2_Normalize", "Normalize"));
            create(&to.join("2_Normalize"))?;
        }
        write_json(&to.join("modules.json"), &Value::Array(modules))?;
        create(&to.join("1_Pooling"))?;
        let pooling = json!({
            "word_embedding_dimension": self.dimension(),
            "pooling_mode_cls_token": self.dir.pooling == Pooling::Cls,
            "pooling_mode_mean_tokens": self.dir.pooling == Pooling::Mean,
            "pooling_mode_max_tokens": self.dir.pooling == Pooling::Max,
        });
        write_json(&to.join("1_Pooling/config.json"), &pooling)?;
        let sentences =
            json!({ "max_seq_length": self.dir.max_tokens, "do_lower_case": self.dir.lower_case });
        write_json(&to.join("sentence_bert_config.json"), &sentences)?;
        self.write_weights("", network, &[], &to.join("model.safetensors"))
    }

    /// Writes `network` with `head` as a Hugging Face directory of a sequence classifier with one output, which Python's
    /// `CrossEncoder` reads.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written; [`Error::Invalid`] for a network other than BERT, whose head differs.
    pub fn save_cross_encoder(
        &self,
        network: &Bert,
        head: &[(String, Vec<usize>, Vec<f32>)],
        to: &Path,
    ) -> Result<()> {
        if self.dir.config.architecture != Architecture::Bert {
            return Err(Error::Invalid("a cross-encoder begins with BERT: other heads are not there".into()));
        }
        self.copy_files(to)?;
        let mut config: Value = read_json(&self.dir.transformer.join("config.json"))?;
        config["architectures"] = json!(["BertForSequenceClassification"]);
        config["id2label"] = json!({ "0": "LABEL_0" });
        config["label2id"] = json!({ "LABEL_0": 0 });
        write_json(&to.join("config.json"), &config)?;
        self.write_weights("bert.", network, head, &to.join("model.safetensors"))
    }

    fn copy_files(&self, to: &Path) -> Result<()> {
        create(to)?;
        for name in COPIED {
            let from = [&self.dir.transformer, &self.dir.root].map(|dir| dir.join(name));
            if let Some(from) = from.iter().find(|path| path.is_file()) {
                fs::copy(from, to.join(name)).map_err(io(&to.join(name)))?;
            }
        }
        Ok(())
    }

    /// The weights under Hugging Face's names, then those of a head; without one, the pooler of the base, which Python
    /// would miss.
    fn write_weights(
        &self,
        prefix: &str,
        network: &Bert,
        head: &[(String, Vec<usize>, Vec<f32>)],
        path: &Path,
    ) -> Result<()> {
        let own = network.named_weights();
        let mut tensors: Vec<(String, TensorView<'_>)> = own
            .iter()
            .map(|(name, shape, values)| (format!("{prefix}{name}"), shape, values))
            .chain(head.iter().map(|(name, shape, values)| (name.clone(), shape, values)))
            .map(|(name, shape, values)| {
                let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values));
                (name, view.expect("a weight has as many values as its shape says"))
            })
            .collect();
        let base = self.dir.weights().is_file().then(|| Weights::open(&self.dir)).transpose()?;
        if let Some(base) = base.as_ref().filter(|_| head.is_empty()) {
            for (name, view) in base.tensors()?.tensors() {
                let name = name.strip_prefix(base.prefix()).unwrap_or(&name).to_owned();
                if name.starts_with("pooler.") {
                    tensors.push((name, view));
                }
            }
        }
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        let bytes = safetensors::serialize(tensors, Some(metadata))
            .map_err(|error| io(path)(std::io::Error::other(error)))?;
        fs::write(path, bytes).map_err(io(path))
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action: "write", path, source }
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(io(folder))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, format!("{value:#}\n")).map_err(io(path))
}

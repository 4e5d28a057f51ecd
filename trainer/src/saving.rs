//! A trained network as a directory, which sentence-transformers reads too.

use std::fs;
use std::path::Path;

use akin_encoder::Pooling;
use akin_encoder::burn::NamedTensor;
use akin_encoder::model::{Architecture, ModelWeights};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::base::BaseModel;
use crate::encoder::Encoder;
use crate::{Error, Result};

/// Files of a base model that are copied as they are, where there are any.
const COPIED: [&str; 14] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "sentencepiece.model",
    "tokenizer.model",
    "config_sentence_transformers.json",
];

impl BaseModel {
    /// Writes a new sentence-transformers directory: the weights of `network`, and all other files of this model.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn save(&self, network: &Encoder, to: &Path) -> Result<()> {
        self.copy_files(to)?;
        let module = |index: usize, path: &str, kind: &str| {
            let kind = format!("sentence_transformers.models.{kind}");
            json!({ "idx": index, "name": index.to_string(), "path": path, "type": kind })
        };
        let mut modules = vec![module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")];
        if self.normalizes() {
            modules.push(module(2, "2_Normalize", "Normalize"));
            create(&to.join("2_Normalize"))?;
        }
        write_json(&to.join("modules.json"), &Value::Array(modules))?;
        create(&to.join("1_Pooling"))?;
        let mut pooling = json!({
            "word_embedding_dimension": self.dimension(),
            "include_prompt": self.dir.include_prompt,
        });
        for mode in Pooling::ALL {
            pooling[mode.flag()] = json!(mode == self.pooling());
        }
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
    /// [`Error::Io`] when it cannot be written.
    pub fn save_cross_encoder(&self, network: &Encoder, head: &[NamedTensor], to: &Path) -> Result<()> {
        self.copy_files(to)?;
        let architecture = self.dir.config.architecture;
        let class = match architecture {
            Architecture::Albert => "Albert",
            Architecture::Bert => "Bert",
            Architecture::Camembert => "Camembert",
            Architecture::DebertaV2 => "DebertaV2",
            Architecture::DistilBert => "DistilBert",
            Architecture::Electra => "Electra",
            Architecture::ModernBert => "ModernBert",
            Architecture::MpNet => "MPNet",
            Architecture::XlmRoberta => "XLMRoberta",
            _ => "Roberta",
        };
        let mut config = self.dir.config_json()?;
        config["architectures"] = json!([format!("{class}ForSequenceClassification")]);
        config["sentence_transformers"] = json!({ "activation_fn": "torch.nn.modules.activation.Sigmoid" });
        config["id2label"] = json!({ "0": "LABEL_0" });
        config["label2id"] = json!({ "LABEL_0": 0 });
        write_json(&to.join("config.json"), &config)?;
        // `CrossEncoder` knows no other place for the longest pair that the network was trained with.
        let path = to.join("tokenizer_config.json");
        let mut tokenizer: Value = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({})),
            Err(_) => json!({}),
        };
        tokenizer["model_max_length"] = json!(self.dir.max_tokens);
        write_json(&path, &tokenizer)?;
        self.write_weights(architecture.prefix(), network, head, &to.join("model.safetensors"))
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
        network: &Encoder,
        head: &[NamedTensor],
        path: &Path,
    ) -> Result<()> {
        let own = network.named_weights(self.dir.config.architecture);
        let named = own.iter().map(|(name, shape, values)| (format!("{prefix}{name}"), shape, values));
        let mut tensors: Vec<(String, TensorView<'_>)> = named
            .chain(head.iter().map(|(name, shape, values)| (name.clone(), shape, values)))
            .map(|(name, shape, values)| {
                let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values));
                (name, view.expect("a weight has as many values as its shape says"))
            })
            .collect();
        let base = self.dir.weights().is_file().then(|| ModelWeights::open(&self.dir)).transpose()?;
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

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action: "write", path, source }
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(io(folder))
}

pub(crate) fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, format!("{value:#}\n")).map_err(io(path))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn base(name: &str) -> BaseModel {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/models").join(name);
        BaseModel::open(&dir, None, None).unwrap()
    }

    fn names_of_file(folder: &Path) -> Vec<String> {
        let file = fs::read(folder.join("model.safetensors")).unwrap();
        let names = safetensors::SafeTensors::deserialize(&file).unwrap();
        let mut names: Vec<String> = names.names().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }

    #[test]
    fn a_model_of_another_family_has_the_names_that_it_had() {
        let (networks, _) = akin_fixtures::families::networks();
        let device = Device::flex().autodiff();
        for network in &networks {
            let (name, model) = (&network.name, network.model("mean"));
            let base = BaseModel::open(model.path(), None, None).unwrap();
            let bert = base.network(&device).unwrap();
            let folder = tempfile::tempdir().unwrap();
            base.save(&bert, folder.path()).unwrap();
            assert_eq!(names_of_file(folder.path()), names_of_file(model.path()), "{name}");
            let again = BaseModel::open(folder.path(), None, None).unwrap();
            let weights = |encoder: &Encoder| encoder.named_weights(base.architecture());
            assert_eq!(weights(&again.network(&device).unwrap()), weights(&bert), "{name}");
        }
    }

    #[test]
    fn a_model_is_read_back_as_it_was_written() {
        let device = Device::flex().autodiff();
        for name in ["tiny-bert", "tiny-roberta"] {
            let base = base(name);
            let bert = base.network(&device).unwrap();
            let folder = tempfile::tempdir().unwrap();
            base.save(&bert, folder.path()).unwrap();
            let again = BaseModel::open(folder.path(), None, None).unwrap();
            assert_eq!(again.dir.settings(), base.dir.settings());
            let weights = |encoder: &Encoder| encoder.named_weights(base.architecture());
            assert_eq!(weights(&again.network(&device).unwrap()), weights(&bert));
            assert!(names_of_file(folder.path()).contains(&"encoder.layer.1.output.dense.bias".to_owned()));
            let other = base.reinitialized(bert.clone(), 1, 9);
            for ((name, _, before), (_, _, after)) in weights(&bert).iter().zip(weights(&other)) {
                // Biases and norms of the fixture have the values that they are initialised with.
                let drawn = name.starts_with("encoder.layer.1.") && !name.contains("LayerNorm");
                assert_eq!(drawn && name.ends_with("weight"), *before != after, "{name}");
            }
        }
    }
}

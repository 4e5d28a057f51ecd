//! What a directory says of a cross-encoder.
//!
//! Up to release 5 sentence-transformers writes a sequence classifier of transformers, with settings of its own in
//! `config.json`. From release 6 on there are `modules.json`, which lists a Transformer alone, and
//! `config_sentence_transformers.json`.

use std::path::Path;

use serde_json::{Map, Value};

use super::head_form::FAMILIES;
use crate::files::{read_json, read_optional, refuse};
use crate::model_dir::{ModelDir, Module, read_modules};
use crate::settings::Effect::{Honoured, Nothing, Only};
use crate::settings::{FileKeys, shortened};
use crate::{Error, Result};

/// `sentence_bert_config.json` of a cross-encoder.
pub(crate) const SCORING_SENTENCE: FileKeys = FileKeys {
    file: "sentence_bert_config.json",
    keys: &[
        ("max_seq_length", Honoured),
        ("do_lower_case", Honoured),
        ("transformer_task", Only(&[r#""sequence-classification""#])),
        ("module_output_name", Only(&[r#""scores""#])),
        ("modality_config", Only(&[r#"{"text":{"method":"forward","method_output_name":"logits"}}"#, "{}"])),
        ("processing_kwargs", Only(&["{}"])),
        ("tokenizer_name_or_path", Only(&[])),
        ("model_args", Only(&["{}"])),
        ("model_kwargs", Only(&["{}"])),
        ("tokenizer_args", Only(&["{}"])),
        ("processor_kwargs", Only(&["{}"])),
        ("config_args", Only(&["{}"])),
        ("config_kwargs", Only(&["{}"])),
        ("backend", Nothing),
        ("cache_dir", Nothing),
        ("unpad_inputs", Nothing),
    ],
};

/// `config_sentence_transformers.json` of a cross-encoder.
pub(crate) const SCORING_TEXTS: FileKeys = FileKeys {
    file: "config_sentence_transformers.json",
    keys: &[
        ("model_type", Only(&[r#""CrossEncoder""#])),
        ("activation_fn", Honoured),
        ("prompts", Honoured),
        ("default_prompt_name", Honoured),
        ("keep_in_fp32_modules", Nothing),
        ("__version__", Nothing),
    ],
};

/// How the architecture of a sequence classifier ends.
const TASK: &str = "ForSequenceClassification";

/// Whether the model in `root` says that it scores pairs. What cannot be read says nothing.
pub(crate) fn is_cross_encoder(root: &Path) -> bool {
    let read = |file: &str| read_optional(&root.join(file)).unwrap_or_default();
    match root.join("modules.json").is_file() {
        true => read("config_sentence_transformers.json")
            .get("model_type")
            .is_some_and(|kind| kind == "CrossEncoder"),
        false => architecture(&read("config.json")).is_some_and(|name| name.ends_with(TASK)),
    }
}

/// The architecture that `config.json` names first.
fn architecture(config: &Map<String, Value>) -> Option<&str> {
    config.get("architectures")?.as_array()?.first()?.as_str()
}

/// The folder of the network where `modules.json` names it; none where there is no such file.
///
/// # Errors
/// [`Error::NoCrossEncoder`] for modules that make embeddings, or the architecture of another task.
pub(crate) fn transformer_of(root: &Path) -> Result<Option<String>> {
    let no_cross_encoder = |reason| Err(Error::NoCrossEncoder { path: root.into(), reason });
    let path = root.join("modules.json");
    let folder = match path.is_file() {
        false => None,
        true => {
            let modules = read_modules(&path)?;
            let names: Vec<&str> = modules.iter().map(Module::name).collect();
            if names != ["Transformer"] {
                return no_cross_encoder(format!(
                    "its modules are {}, and a cross-encoder has a Transformer alone",
                    names.join(", ")
                ));
            }
            modules.into_iter().next().map(|module| module.path)
        }
    };
    let config = read_optional(&root.join(folder.as_deref().unwrap_or("")).join("config.json"))?;
    match architecture(&config) {
        Some(name) if !name.ends_with(TASK) => no_cross_encoder(format!(
            "config.json names the architecture {}, and Akin runs {TASK} of {FAMILIES}",
            name.chars().take(80).collect::<String>()
        )),
        _ => Ok(folder),
    }
}

/// What makes a score of the logit of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// The logit itself.
    Identity,
    /// From 0 to 1: what sentence-transformers applies to a single label unless the model says otherwise.
    Sigmoid,
}

impl Activation {
    /// The activation that sentence-transformers would take for the model.
    pub(super) fn read(model: &ModelDir) -> Result<Self> {
        let own = model.root.join(SCORING_TEXTS.file);
        if model.root.join("modules.json").is_file()
            && let Some(name) = read_optional(&own)?.get("activation_fn").filter(|name| !name.is_null())
        {
            return Self::named(&own, name);
        }
        let path = model.transformer.join("config.json");
        let config: Map<String, Value> = read_json(&path)?;
        let of_release_4 = config.get("sentence_transformers").and_then(|own| own.get("activation_fn"));
        let name = of_release_4.or_else(|| config.get("sbert_ce_default_activation_function"));
        match name.filter(|name| !name.is_null()) {
            Some(name) => Self::named(&path, name),
            None => Ok(Self::Sigmoid),
        }
    }

    /// By the path of its class in PyTorch.
    fn named(file: &Path, name: &Value) -> Result<Self> {
        let class =
            name.as_str().filter(|name| name.starts_with("torch.")).and_then(|name| name.rsplit('.').next());
        match class {
            Some("Identity") => Ok(Self::Identity),
            Some("Sigmoid") => Ok(Self::Sigmoid),
            _ => Err(refuse(
                file,
                format!(
                    "the activation of the scores is {}, and Akin applies torch.nn's Identity and Sigmoid",
                    shortened(name)
                ),
            )),
        }
    }

    pub(super) fn apply(self, logit: f32) -> f32 {
        match self {
            Self::Identity => logit,
            Self::Sigmoid => 1.0 / (1.0 + (-logit).exp()),
        }
    }
}

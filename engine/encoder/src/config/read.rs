//! `config.json` as it is written: settings by name, each checked as it is read.

use std::path::Path;

use akin_kernels::activation::Activation;
use serde_json::{Map, Value};

use super::{Architecture, BertConfig, MOST_LAYERS, MOST_ROWS, MOST_WIDTH};
use crate::families::Form;
use crate::files::refuse;
use crate::settings::Effect;
use crate::{Error, Result};

/// `config.json` as it is written.
pub(crate) struct Settings<'a> {
    pub path: &'a Path,
    pub values: Map<String, Value>,
}

/// What a family calls the sizes of its network.
pub(crate) struct Names {
    pub hidden: &'static str,
    pub layers: &'static str,
    pub heads: &'static str,
    /// Read by [`Settings::sizes_of_heads`].
    pub head_dim: &'static str,
    pub inner: &'static str,
    /// Empty where the network has no longest sequence.
    pub positions: &'static str,
    /// Empty where it is said otherwise.
    pub activation: &'static str,
    pub default_activation: &'static str,
    /// With its default; none where it cannot be set.
    pub epsilon: Option<(&'static str, f64)>,
    /// The least `type_vocab_size`.
    pub least_types: usize,
}

impl Names {
    pub const BERT: Self = Self {
        hidden: "hidden_size",
        layers: "num_hidden_layers",
        heads: "num_attention_heads",
        head_dim: "head_dim",
        inner: "intermediate_size",
        positions: "max_position_embeddings",
        activation: "hidden_act",
        default_activation: "gelu",
        epsilon: Some(("layer_norm_eps", 1e-12)),
        least_types: 1,
    };
}

/// What is added to the variance where a family has no setting for it.
const EPSILON: f64 = 1e-12;

/// The activations that Akin computes, by the names of transformers.
const ACTIVATIONS: [(&str, Activation); 10] = [
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("gelu_python", Activation::Gelu),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("gelu_accurate", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
];

/// The activation of that name.
pub(crate) fn activation_named(name: &str) -> Option<Activation> {
    ACTIVATIONS.iter().find(|(known, _)| *known == name).map(|(_, activation)| *activation)
}

impl Settings<'_> {
    /// The sizes of a network, under BERT's names, and BERT's form.
    pub fn sizes(&self, architecture: Architecture) -> Result<BertConfig> {
        self.sizes_under(architecture, &Names::BERT)
    }

    /// The same under other names.
    pub fn sizes_under(&self, architecture: Architecture, names: &Names) -> Result<BertConfig> {
        let config = self.read(architecture, names)?;
        if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            return Err(self.refusal(format!(
                "{} {} is not a multiple of {} {}",
                names.hidden, config.hidden_size, names.heads, config.num_attention_heads
            )));
        }
        Ok(config)
    }

    /// The same for a network that says how wide its heads are, and how many there are of keys and values.
    pub fn sizes_of_heads(&self, architecture: Architecture, names: &Names) -> Result<BertConfig> {
        let mut config = self.read(architecture, names)?;
        let heads = config.num_attention_heads;
        let head_dim = self.size(names.head_dim, MOST_WIDTH)?;
        config.form.head_dim = head_dim;
        config.form.score_scale = 1.0 / (head_dim as f32).sqrt();
        config.form.key_value_heads = self.whole_number("num_key_value_heads", 1, heads)?.unwrap_or(heads);
        Ok(config)
    }

    fn read(&self, architecture: Architecture, names: &Names) -> Result<BertConfig> {
        let vocab_size = self.size("vocab_size", MOST_ROWS)?;
        // A row of the word embeddings, whether the family counts positions from it or not.
        self.padding(vocab_size)?;
        let hidden_size = self.size(names.hidden, MOST_WIDTH)?;
        let heads = self.size(names.heads, MOST_WIDTH)?;
        let mut form = Form::bert(hidden_size, heads);
        if !names.activation.is_empty() {
            form.activation = self.activation(names)?;
        }
        Ok(BertConfig {
            architecture,
            vocab_size,
            hidden_size,
            num_hidden_layers: self.size(names.layers, MOST_LAYERS)?,
            num_attention_heads: heads,
            intermediate_size: self.size(names.inner, MOST_WIDTH)?,
            max_position_embeddings: match names.positions {
                "" => MOST_ROWS,
                name => self.size(name, MOST_ROWS)?,
            },
            type_vocab_size: self.whole_number("type_vocab_size", names.least_types, MOST_ROWS)?.unwrap_or(2),
            layer_norm_eps: match names.epsilon {
                Some((name, default)) => self.number(name, default)?,
                None => EPSILON,
            },
            position_offset: 0,
            form,
            beside: String::new(),
        })
    }

    fn activation(&self, names: &Names) -> Result<Activation> {
        let name = self.text(names.activation)?.unwrap_or(names.default_activation);
        activation_named(name).ok_or_else(|| {
            let known: Vec<&str> = ACTIVATIONS.iter().map(|(name, _)| *name).take(5).collect();
            let found: String = name.chars().take(40).collect();
            self.refusal(format!(
                "{} is {found:?}, and Akin runs models where it is one of {}",
                names.activation,
                known.join(", ")
            ))
        })
    }

    /// The id of the padding token.
    pub fn padding(&self, vocab_size: usize) -> Result<Option<usize>> {
        self.whole_number("pad_token_id", 0, vocab_size - 1)
    }

    /// How many types of tokens there are.
    pub fn types(&self) -> Result<Option<usize>> {
        self.whole_number("type_vocab_size", 1, MOST_ROWS)
    }

    /// A width that not every network has.
    pub fn width(&self, name: &str) -> Result<Option<usize>> {
        self.whole_number(name, 1, MOST_WIDTH)
    }

    /// A number from 1 on; none where it is not said, or less.
    pub fn count_if_any(&self, name: &str) -> Result<Option<usize>> {
        match self.get(name) {
            Some(value) if value.as_i64().is_some_and(|number| number < 1) => Ok(None),
            _ => self.whole_number(name, 1, MOST_ROWS),
        }
    }

    /// The texts of a list, which may be written as one text with bars between.
    pub fn parts(&self, name: &str) -> Result<Vec<String>> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let parts: Option<Vec<String>> = match value {
            Value::String(text) => Some(text.split('|').map(|part| part.trim().to_lowercase()).collect()),
            Value::Array(parts) => parts.iter().map(|part| Some(part.as_str()?.to_lowercase())).collect(),
            _ => None,
        };
        parts.ok_or_else(|| self.unlike(name, value, "a list of texts"))
    }

    /// Whether each layer sees only what is near: `layer_types`, or what `default` says of it.
    pub fn layer_types(&self, layers: usize, default: impl Fn(usize) -> bool) -> Result<Vec<bool>> {
        let Some(value) = self.get("layer_types") else { return Ok((0..layers).map(default).collect()) };
        let kind = |value: &Value| match value.as_str() {
            Some("sliding_attention") => Some(true),
            Some("full_attention") => Some(false),
            _ => None,
        };
        let kinds: Option<Vec<bool>> = value.as_array().and_then(|kinds| kinds.iter().map(kind).collect());
        kinds.filter(|kinds| kinds.len() == layers).ok_or_else(|| {
            self.unlike("layer_types", value, "full_attention or sliding_attention for each layer")
        })
    }

    /// The base of the angles of rotary positions, of layers of a kind where these differ: `rope_parameters`, or `name`.
    pub fn rotary(&self, kind: &str, name: &str, default: f64) -> Result<f64> {
        self.plain_rotary("rope_scaling", self.get("rope_scaling"))?;
        let parameters = self.get("rope_parameters");
        let parameters = parameters.map(|all| all.get(kind).filter(|own| own.is_object()).unwrap_or(all));
        self.plain_rotary("rope_parameters", parameters)?;
        match parameters.and_then(|own| own.get("rope_theta")).or_else(|| self.get(name)) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|base| base.is_finite() && *base >= 1.0)
                .ok_or_else(|| self.unlike(name, value, "a number from 1 on")),
        }
    }

    /// Refuses angles that are scaled, or of a part of a head only.
    fn plain_rotary(&self, name: &str, parameters: Option<&Value>) -> Result<()> {
        let Some(parameters) = parameters else { return Ok(()) };
        let kind = ["rope_type", "type"].into_iter().find_map(|name| parameters.get(name));
        let whole = parameters.get("partial_rotary_factor").is_none_or(|part| part.as_f64() == Some(1.0));
        match kind.is_none_or(|kind| kind == "default") && whole && parameters.is_object() {
            true => Ok(()),
            false => Err(self.unlike(name, parameters, "of the type \"default\"")),
        }
    }

    /// The settings of a family that are said, and the activation unless it is BERT's own, in one line.
    pub fn beside(&self, keys: &[(&str, Effect)]) -> String {
        let honoured =
            |(name, effect): &(&str, Effect)| *effect == Effect::Honoured && self.get(name).is_some();
        let mut line: String = keys
            .iter()
            .filter(|key| honoured(key))
            .map(|(name, _)| format!(" {name} {}", self.values[*name]))
            .collect();
        let activation =
            self.get(Names::BERT.activation).filter(|name| **name != Names::BERT.default_activation);
        line.extend(activation.map(|name| format!(" {} {name}", Names::BERT.activation)));
        line
    }

    /// A setting that is not null.
    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// A size that every network has.
    fn size(&self, name: &str, most: usize) -> Result<usize> {
        self.whole_number(name, 1, most)?.ok_or_else(|| {
            self.refusal(format!("{name} is missing, and must be a whole number from 1 to {most}"))
        })
    }

    /// A whole number, where it is said.
    pub fn whole_number(&self, name: &str, least: usize, most: usize) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(self.unlike(name, value, &format!("a whole number from {least} to {most}"))),
        }
    }

    /// A text, where it is said.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        self.get(name)
            .map(|value| value.as_str().ok_or_else(|| self.unlike(name, value, "a text")))
            .transpose()
    }

    /// Yes or no.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.unlike(name, value, "true or false"))
    }

    /// A number above 0 and finite as an f32, in which it is computed with.
    pub fn number(&self, name: &str, default: f64) -> Result<f64> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let number = value.as_f64().filter(|number| (*number as f32) > 0.0 && (*number as f32).is_finite());
        number.ok_or_else(|| self.unlike(name, value, "a number above 0"))
    }

    /// The error for settings that cannot be followed.
    pub fn refusal(&self, reason: impl Into<String>) -> Error {
        refuse(self.path, reason)
    }

    fn unlike(&self, name: &str, value: &Value, expected: &str) -> Error {
        // A hostile value may be as long as the file.
        let found: String = value.to_string().chars().take(40).collect();
        self.refusal(format!("{name} is {found}, and must be {expected}"))
    }
}

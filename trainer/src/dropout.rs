//! What the config of a family calls its dropout, and what transformers takes where the config says nothing.

use akin_encoder::model::Architecture;
use serde_json::Value;

/// The probabilities that a hidden value and a share of attention are dropped.
pub(crate) fn probabilities(architecture: Architecture, config: &Value) -> [f64; 2] {
    let bert = ["hidden_dropout_prob", "attention_probs_dropout_prob"];
    let (names, otherwise) = match architecture {
        Architecture::Albert | Architecture::NomicBert => (bert, [0.0, 0.0]),
        Architecture::Gte | Architecture::JinaBert => (bert, [0.1, 0.0]),
        Architecture::DistilBert => (["dropout", "attention_dropout"], [0.1, 0.1]),
        Architecture::ModernBert => (["mlp_dropout", "attention_dropout"], [0.0, 0.0]),
        Architecture::T5 => (["dropout_rate", "dropout_rate"], [0.1, 0.1]),
        // They drop no hidden value.
        Architecture::Qwen3 | Architecture::Gemma3 => (["", "attention_dropout"], [0.0, 0.0]),
        _ => (bert, [0.1, 0.1]),
    };
    let probability = |name: &str| config[name].as_f64().filter(|p| (0.0..1.0).contains(p));
    [0, 1].map(|at| probability(names[at]).unwrap_or(otherwise[at]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_family_drops_what_its_config_says_and_else_what_transformers_would() {
        let config = json!({ "hidden_dropout_prob": 0.3, "attention_dropout": 0.2, "dropout_rate": 1.5 });
        assert_eq!(probabilities(Architecture::Bert, &config), [0.3, 0.1]);
        assert_eq!(probabilities(Architecture::Albert, &config), [0.3, 0.0]);
        assert_eq!(probabilities(Architecture::ModernBert, &config), [0.0, 0.2]);
        assert_eq!(probabilities(Architecture::Qwen3, &config), [0.0, 0.2]);
        // No probability.
        assert_eq!(probabilities(Architecture::T5, &config), [0.1, 0.1]);
    }
}

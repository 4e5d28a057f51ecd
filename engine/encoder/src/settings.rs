//! The keys that transformers and sentence-transformers write into a model directory, and what Akin does with each.
//!
//! Every key of a file is looked up here when a model is opened. A key that would change an embedding is honoured or
//! refused by its name. A key that is in no table is told with a warning: it may come from a newer release.

use std::path::Path;

use serde_json::{Map, Value};

use crate::Result;
use crate::files::refuse;

/// What a key means to an embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is read and followed; a value that cannot be followed is refused where it is read.
    Honoured,
    /// No embedding depends on it: names, training, generation, Python's own affairs.
    Nothing,
    /// It would change embeddings in a way that Akin does not compute: refused unless it has one of these values,
    /// written as JSON. Null counts as absent.
    Only(&'static [&'static str]),
}

use Effect::{Honoured, Nothing, Only};

/// The keys of a file of settings.
#[derive(Debug, Clone, Copy)]
pub struct FileKeys {
    /// The file's name.
    pub file: &'static str,
    /// Each key once, with what it means.
    pub keys: &'static [(&'static str, Effect)],
}

/// `config.json`: the network.
pub const NETWORK: FileKeys = FileKeys { file: "config.json", keys: NETWORK_KEYS };

const NETWORK_KEYS: &[(&str, Effect)] = &[
    ("model_type", Honoured),
    ("vocab_size", Honoured),
    ("hidden_size", Honoured),
    ("num_hidden_layers", Honoured),
    ("num_attention_heads", Honoured),
    ("intermediate_size", Honoured),
    ("max_position_embeddings", Honoured),
    ("type_vocab_size", Honoured),
    ("layer_norm_eps", Honoured),
    ("pad_token_id", Honoured),
    ("tokenizer_class", Honoured),
    ("hidden_act", Honoured),
    ("position_embedding_type", Only(&[r#""absolute""#])),
    ("is_decoder", Only(&["false"])),
    ("is_encoder_decoder", Only(&["false"])),
    ("add_cross_attention", Only(&["false"])),
    ("quantization_config", Only(&["{}"])),
    ("pruned_heads", Only(&["{}"])),
    // What is computed is the same in pieces; weights of 16 bits are widened.
    ("chunk_size_feed_forward", Nothing),
    ("dtype", Nothing),
    ("torch_dtype", Nothing),
    ("torchscript", Nothing),
    ("use_bfloat16", Nothing),
    ("attn_implementation", Nothing),
    // Training.
    ("attention_probs_dropout_prob", Nothing),
    ("hidden_dropout_prob", Nothing),
    ("classifier_dropout", Nothing),
    ("gradient_checkpointing", Nothing),
    ("initializer_range", Nothing),
    // The pooler and heads, whose weights no embedding reads.
    ("directionality", Nothing),
    ("pooler_fc_size", Nothing),
    ("pooler_num_attention_heads", Nothing),
    ("pooler_num_fc_layers", Nothing),
    ("pooler_size_per_head", Nothing),
    ("pooler_type", Nothing),
    ("tie_word_embeddings", Nothing),
    ("tie_encoder_decoder", Nothing),
    ("cross_attention_hidden_size", Nothing),
    ("id2label", Nothing),
    ("label2id", Nothing),
    ("num_labels", Nothing),
    ("problem_type", Nothing),
    ("finetuning_task", Nothing),
    ("sentence_transformers", Nothing),
    ("sbert_ce_default_activation_function", Nothing),
    ("task_specific_params", Nothing),
    // What is returned beside the hidden states, and where the model comes from.
    ("architectures", Nothing),
    ("auto_map", Nothing),
    ("model_name", Nothing),
    ("name_or_path", Nothing),
    ("output_attentions", Nothing),
    ("output_hidden_states", Nothing),
    ("output_past", Nothing),
    ("return_dict", Nothing),
    ("tf_legacy_loss", Nothing),
    ("transformers_version", Nothing),
    ("use_cache", Nothing),
    // Tokens of generation: the tokenizer has its own.
    ("bos_token_id", Nothing),
    ("cls_token_id", Nothing),
    ("decoder_start_token_id", Nothing),
    ("eos_token_id", Nothing),
    ("mask_token_id", Nothing),
    ("sep_token_id", Nothing),
    // Generation, as transformers up to 4 wrote it.
    ("bad_words_ids", Nothing),
    ("begin_suppress_tokens", Nothing),
    ("diversity_penalty", Nothing),
    ("do_sample", Nothing),
    ("early_stopping", Nothing),
    ("encoder_no_repeat_ngram_size", Nothing),
    ("exponential_decay_length_penalty", Nothing),
    ("forced_bos_token_id", Nothing),
    ("forced_eos_token_id", Nothing),
    ("length_penalty", Nothing),
    ("max_length", Nothing),
    ("min_length", Nothing),
    ("no_repeat_ngram_size", Nothing),
    ("num_beam_groups", Nothing),
    ("num_beams", Nothing),
    ("num_return_sequences", Nothing),
    ("output_scores", Nothing),
    ("prefix", Nothing),
    ("remove_invalid_values", Nothing),
    ("repetition_penalty", Nothing),
    ("return_dict_in_generate", Nothing),
    ("suppress_tokens", Nothing),
    ("temperature", Nothing),
    ("top_k", Nothing),
    ("top_p", Nothing),
    ("typical_p", Nothing),
];

/// `tokenizer_config.json`: how transformers changes what `tokenizer.json` says.
pub const TOKENIZER: FileKeys = FileKeys { file: "tokenizer_config.json", keys: TOKENIZER_KEYS };

const TOKENIZER_KEYS: &[(&str, Effect)] = &[
    ("tokenizer_class", Honoured),
    ("do_lower_case", Honoured),
    ("strip_accents", Honoured),
    ("tokenize_chinese_chars", Honoured),
    ("add_prefix_space", Honoured),
    ("truncation_side", Honoured),
    ("padding_side", Honoured),
    ("split_special_tokens", Honoured),
    ("model_max_length", Honoured),
    ("max_len", Honoured),
    ("model_input_names", Honoured),
    ("added_tokens_decoder", Honoured),
    ("additional_special_tokens", Honoured),
    ("extra_special_tokens", Honoured),
    ("bos_token", Honoured),
    ("eos_token", Honoured),
    ("unk_token", Honoured),
    ("sep_token", Honoured),
    ("pad_token", Honoured),
    ("cls_token", Honoured),
    ("mask_token", Honoured),
    // Passed over by transformers where there is a tokenizer.json.
    ("add_bos_token", Nothing),
    ("add_eos_token", Nothing),
    ("do_basic_tokenize", Nothing),
    ("never_split", Nothing),
    ("legacy", Nothing),
    ("sp_model_kwargs", Nothing),
    ("vocab_file", Nothing),
    ("merges_file", Nothing),
    ("wordpieces_prefix", Nothing),
    // sentence-transformers gives length, padding and truncation with each call.
    ("max_length", Nothing),
    ("pad_to_multiple_of", Nothing),
    ("pad_token_type_id", Nothing),
    ("return_token_type_ids", Nothing),
    ("stride", Nothing),
    ("truncation_strategy", Nothing),
    // Offsets, decoding and chats.
    ("chat_template", Nothing),
    ("chat_control_tokens", Nothing),
    ("clean_up_tokenization_spaces", Nothing),
    ("errors", Nothing),
    ("response_schema", Nothing),
    ("response_template", Nothing),
    ("trim_offsets", Nothing),
    ("use_default_system_prompt", Nothing),
    // Python's own affairs.
    ("auto_map", Nothing),
    ("backend", Nothing),
    ("files_loaded", Nothing),
    ("fix_mistral_regex", Nothing),
    ("from_slow", Nothing),
    ("full_tokenizer_file", Nothing),
    ("init_inputs", Nothing),
    ("is_local", Nothing),
    ("local_files_only", Nothing),
    ("name_or_path", Nothing),
    ("processor_class", Nothing),
    ("special_tokens_map_file", Nothing),
    ("tokenizer_file", Nothing),
    ("trust_remote_code", Nothing),
    ("use_fast", Nothing),
    ("verbose", Nothing),
];

/// `special_tokens_map.json`, which transformers reads where `tokenizer_config.json` lists no added tokens.
pub const SPECIAL_TOKENS: FileKeys = FileKeys {
    file: "special_tokens_map.json",
    keys: &[
        ("bos_token", Honoured),
        ("eos_token", Honoured),
        ("unk_token", Honoured),
        ("sep_token", Honoured),
        ("pad_token", Honoured),
        ("cls_token", Honoured),
        ("mask_token", Honoured),
        ("additional_special_tokens", Honoured),
        ("extra_special_tokens", Honoured),
    ],
};

/// `sentence_bert_config.json`: how sentence-transformers calls the network.
pub const SENTENCE: FileKeys = FileKeys {
    file: "sentence_bert_config.json",
    keys: &[
        ("max_seq_length", Honoured),
        ("do_lower_case", Honoured),
        ("transformer_task", Only(&[r#""feature-extraction""#])),
        ("module_output_name", Only(&[r#""token_embeddings""#])),
        (
            "modality_config",
            Only(&[r#"{"text":{"method":"forward","method_output_name":"last_hidden_state"}}"#, "{}"]),
        ),
        ("processing_kwargs", Only(&["{}"])),
        ("query_length", Only(&[])),
        ("document_length", Only(&[])),
        ("query_expansion", Only(&[])),
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

/// `wordembedding_config.json`: how words are cut, and how many of a text are read.
pub(crate) const WORD_EMBEDDINGS: FileKeys = FileKeys {
    file: "wordembedding_config.json",
    keys: &[("tokenizer_class", Honoured), ("max_seq_length", Honoured), ("update_embeddings", Nothing)],
};

/// `config.json` of the Pooling module.
pub const POOLING: FileKeys = FileKeys {
    file: "1_Pooling/config.json",
    keys: &[
        ("word_embedding_dimension", Honoured),
        ("embedding_dimension", Honoured),
        ("pooling_mode", Honoured),
        ("pooling_mode_cls_token", Honoured),
        ("pooling_mode_mean_tokens", Honoured),
        ("pooling_mode_max_tokens", Honoured),
        ("pooling_mode_mean_sqrt_len_tokens", Honoured),
        ("pooling_mode_weightedmean_tokens", Honoured),
        ("pooling_mode_lasttoken", Honoured),
        ("include_prompt", Honoured),
    ],
};

/// What a module after the pooling may be given and give: the vector of the sentence.
const SENTENCE_EMBEDDING: Effect = Only(&[r#""sentence_embedding""#]);

/// `config.json` of the Normalize module.
pub const NORMALIZE: FileKeys = FileKeys {
    file: "2_Normalize/config.json",
    keys: &[("module_input_name", SENTENCE_EMBEDDING), ("module_output_name", SENTENCE_EMBEDDING)],
};

/// `config.json` of a Dense module.
pub const DENSE: FileKeys = FileKeys {
    file: "2_Dense/config.json",
    keys: &[
        ("in_features", Honoured),
        ("out_features", Honoured),
        ("bias", Honoured),
        ("activation_function", Honoured),
        ("use_residual", Honoured),
        ("module_input_name", SENTENCE_EMBEDDING),
        ("module_output_name", SENTENCE_EMBEDDING),
    ],
};

/// `config.json` of a LayerNorm module.
pub const LAYER_NORM: FileKeys =
    FileKeys { file: "2_LayerNorm/config.json", keys: &[("dimension", Honoured)] };

/// `config_sentence_transformers.json`: the prompts, and what is done with embeddings.
pub const SENTENCE_TRANSFORMERS: FileKeys = FileKeys {
    file: "config_sentence_transformers.json",
    keys: &[
        ("prompts", Honoured),
        ("default_prompt_name", Honoured),
        ("similarity_fn_name", Honoured),
        ("truncate_dim", Honoured),
        ("model_type", Only(&[r#""SentenceTransformer""#])),
        ("__version__", Nothing),
    ],
};

/// `config.json` of a directory of model2vec that has no `modules.json`.
pub const MODEL2VEC: FileKeys = FileKeys {
    file: "config.json",
    keys: &[
        ("model_type", Only(&[r#""model2vec""#])),
        ("normalize", Honoured),
        ("max_length", Honoured),
        // How the vectors were made, and the types that the tensors themselves have.
        ("apply_pca", Nothing),
        ("apply_zipf", Nothing),
        ("architectures", Nothing),
        ("embedding_dtype", Nothing),
        ("head_config", Nothing),
        ("hidden_dim", Nothing),
        ("pooling", Nothing),
        ("seq_length", Nothing),
        ("sif_coefficient", Nothing),
        ("tokenizer_name", Nothing),
        ("vocabulary_quantization", Nothing),
    ],
};

/// All files of settings that a network has.
pub const ALL_FILES: [FileKeys; 7] =
    [NETWORK, TOKENIZER, SPECIAL_TOKENS, SENTENCE, POOLING, NORMALIZE, SENTENCE_TRANSFORMERS];

/// The files of settings that further modules have, and models without layers.
#[cfg(test)]
pub(crate) const FURTHER_FILES: [FileKeys; 4] = [DENSE, LAYER_NORM, MODEL2VEC, WORD_EMBEDDINGS];

impl FileKeys {
    /// What a key means; none where it is not known. Keys that begin with `_` are notes of the program that wrote them.
    pub fn effect(&self, key: &str) -> Option<Effect> {
        match self.keys.iter().find(|(name, _)| *name == key) {
            Some((_, effect)) => Some(*effect),
            None => key.starts_with('_').then_some(Nothing),
        }
    }

    /// Refuses a setting that Akin does not compute, and warns of keys that are not known.
    pub(crate) fn check(&self, path: &Path, settings: &Map<String, Value>) -> Result<()> {
        self.check_beside(path, settings, &[])
    }

    /// The same where some keys mean something else than in the table, or are not in it: `others`.
    pub(crate) fn check_beside(
        &self,
        path: &Path,
        settings: &Map<String, Value>,
        others: &[(&str, Effect)],
    ) -> Result<()> {
        for (key, value) in settings.iter().filter(|(_, value)| !value.is_null()) {
            let other = others.iter().find(|(name, _)| name == key).map(|(_, effect)| *effect);
            match other.or_else(|| self.effect(key)) {
                Some(Honoured | Nothing) => {}
                Some(Only(values)) => {
                    let known =
                        |text: &&str| serde_json::from_str::<Value>(text).is_ok_and(|known| known == *value);
                    if !values.iter().any(known) {
                        return Err(refuse(path, reason(key, value, values)));
                    }
                }
                None => tracing::warn!(
                    "{}: the setting {key} is not known to Akin and is passed over",
                    path.display()
                ),
            }
        }
        Ok(())
    }
}

/// Why a value is refused: what was found and what is computed.
fn reason(key: &str, value: &Value, values: &[&str]) -> String {
    let found = shortened(value);
    match values.first() {
        Some(known) => format!("{key} is {found}, and Akin runs models where it is {known}"),
        None => format!("{key} is {found}, which Akin does not apply"),
    }
}

/// A value as it is written. A hostile one may be as long as the file.
pub(crate) fn shortened(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    fn check(keys: FileKeys, settings: Value) -> Result<()> {
        keys.check(Path::new(keys.file), settings.as_object().unwrap())
    }

    #[test]
    fn each_key_is_in_its_table_once_and_its_values_are_json() {
        for file in ALL_FILES.into_iter().chain(FURTHER_FILES) {
            let names: HashSet<&str> = file.keys.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.len(), file.keys.len(), "{}", file.file);
            for (name, effect) in file.keys {
                let Only(values) = effect else { continue };
                for value in *values {
                    assert!(serde_json::from_str::<Value>(value).is_ok(), "{}: {name}", file.file);
                }
            }
        }
    }

    #[test]
    fn a_key_with_known_values_is_refused_by_name_with_any_other() {
        for file in ALL_FILES.into_iter().chain(FURTHER_FILES) {
            for (name, effect) in file.keys {
                let Only(values) = effect else { continue };
                for value in *values {
                    check(file, json!({ *name: serde_json::from_str::<Value>(value).unwrap() })).unwrap();
                }
                check(file, json!({ *name: null })).unwrap();
                let error = check(file, json!({ *name: "another" })).unwrap_err().to_string();
                assert!(error.contains(file.file) && error.contains(name), "{error}");
            }
        }
    }

    #[test]
    fn an_unknown_key_is_no_error_and_a_long_value_is_cut_in_the_sentence() {
        check(NETWORK, json!({ "no_such_key": 1, "_commit_hash": "abc" })).unwrap();
        assert_eq!((NETWORK.effect("no_such_key"), NETWORK.effect("_name_or_path")), (None, Some(Nothing)));
        let error =
            check(NETWORK, json!({ "position_embedding_type": "x".repeat(10_000) })).unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }
}

//! `sentence_bert_config.json`: how sentence-transformers calls the network.

use std::path::Path;

use crate::Result;
use crate::files::{read_optional, refuse};
use crate::settings::FileKeys;

/// The names that `max_seq_length` has been kept under.
pub(crate) const SENTENCE_CONFIGS: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// What the file says.
#[derive(Default)]
pub(super) struct SentenceSettings {
    pub max_seq_length: Option<usize>,
    pub do_lower_case: bool,
}

impl SentenceSettings {
    /// Reads the file of the network in a folder, which not every model has. The position embeddings reach `positions`
    /// tokens.
    pub(super) fn read(transformer: &Path, positions: usize, keys: FileKeys) -> Result<Self> {
        let path = SENTENCE_CONFIGS.iter().map(|name| transformer.join(name)).find(|path| path.is_file());
        let Some(path) = path else { return Ok(Self::default()) };
        let settings = read_optional(&path)?;
        keys.check(&path, &settings)?;
        let get = |name: &str| settings.get(name).filter(|value| !value.is_null());
        let max_seq_length = match get("max_seq_length") {
            None => None,
            Some(value) => {
                let length = value.as_u64().and_then(|length| usize::try_from(length).ok());
                let length = length.filter(|length| (1..=positions).contains(length)).ok_or_else(|| {
                    refuse(
                        &path,
                        format!(
                            "max_seq_length is {value}, and the position embeddings reach {positions} tokens"
                        ),
                    )
                })?;
                Some(length)
            }
        };
        let do_lower_case = match get("do_lower_case") {
            None => false,
            Some(value) => value.as_bool().ok_or_else(|| {
                refuse(&path, format!("do_lower_case is {value}, and must be true or false"))
            })?,
        };
        Ok(Self { max_seq_length, do_lower_case })
    }
}

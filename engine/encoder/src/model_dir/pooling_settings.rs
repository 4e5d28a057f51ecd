//! `config.json` of the Pooling module.

use std::path::Path;

use serde_json::{Map, Value};

use crate::Result;
use crate::files::{read_json, refuse};
use crate::pooling::Pooling;
use crate::settings::{POOLING, shortened};

/// How the vectors of tokens are pooled.
#[derive(Debug, PartialEq)]
pub(crate) struct PoolingSettings {
    /// Each makes a vector; the vectors are joined.
    pub poolings: Vec<Pooling>,
    /// Whether the tokens of a prompt take part.
    pub include_prompt: bool,
}

impl PoolingSettings {
    /// Reads the file. `width` is that of the vectors of the tokens.
    pub(crate) fn read(path: &Path, width: usize) -> Result<Self> {
        let settings: Map<String, Value> = read_json(path)?;
        POOLING.check(path, &settings)?;
        check_width(path, &settings, width)?;
        let include_prompt = match settings.get("include_prompt").filter(|value| !value.is_null()) {
            None => true,
            Some(value) => flag(path, "include_prompt", value)?,
        };
        let poolings = match settings.get("pooling_mode").filter(|value| !value.is_null()) {
            Some(Value::Array(names)) => {
                names.iter().map(|name| named(path, name)).collect::<Result<Vec<_>>>()?
            }
            Some(name) => vec![named(path, name)?],
            None => flagged(path, &settings)?,
        };
        match poolings.is_empty() {
            true => Err(refuse(path, format!("it names no pooling mode, and Akin pools by {}", names()))),
            false => Ok(Self { poolings, include_prompt }),
        }
    }
}

fn check_width(path: &Path, settings: &Map<String, Value>, expected: usize) -> Result<()> {
    for name in ["word_embedding_dimension", "embedding_dimension"] {
        let width = settings.get(name).filter(|width| !width.is_null());
        if let Some(width) = width.filter(|width| width.as_u64() != Some(expected as u64)) {
            let reason =
                format!("{name} is {width}, and the vectors of tokens have {expected} numbers (hidden_size)");
            return Err(refuse(path, reason));
        }
    }
    Ok(())
}

/// The pooling of a name, as releases of sentence-transformers from 6 on write it.
fn named(path: &Path, name: &Value) -> Result<Pooling> {
    let known = Pooling::ALL.into_iter().find(|pooling| name.as_str() == Some(pooling.name()));
    // Earlier releases of Akin took the names of the flags too.
    let flag = || {
        Pooling::ALL.into_iter().find(|pooling| name.as_str() == pooling.flag().strip_prefix("pooling_mode_"))
    };
    known.or_else(flag).ok_or_else(|| {
        refuse(path, format!("its pooling mode is {}, and Akin pools by {}", shortened(name), names()))
    })
}

/// The poolings whose flags are set, in the order in which sentence-transformers joins them.
fn flagged(path: &Path, settings: &Map<String, Value>) -> Result<Vec<Pooling>> {
    for (name, value) in
        settings.iter().filter(|(name, value)| name.starts_with("pooling_mode_") && !value.is_null())
    {
        if flag(path, name, value)? && !Pooling::ALL.iter().any(|pooling| pooling.flag() == name) {
            return Err(refuse(path, format!("its pooling mode is {name}, and Akin pools by {}", names())));
        }
    }
    let is_set = |pooling: &Pooling| settings.get(pooling.flag()) == Some(&Value::Bool(true));
    Ok(Pooling::ALL.into_iter().filter(is_set).collect())
}

fn flag(path: &Path, name: &str, value: &Value) -> Result<bool> {
    value
        .as_bool()
        .ok_or_else(|| refuse(path, format!("{name} is {}, and must be true or false", shortened(value))))
}

fn names() -> String {
    Pooling::ALL.map(Pooling::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<PoolingSettings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        PoolingSettings::read(&path, 32)
    }

    #[test]
    fn flags_are_joined_in_a_fixed_order_and_names_in_their_own() {
        let flags = r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true, "pooling_mode_lasttoken": true}"#;
        assert_eq!(read(flags).unwrap().poolings, [Pooling::Cls, Pooling::Mean, Pooling::LastToken]);
        let names = r#"{"pooling_mode": ["lasttoken", "cls"], "pooling_mode_max_tokens": true}"#;
        assert_eq!(read(names).unwrap().poolings, [Pooling::LastToken, Pooling::Cls]);
        for pooling in Pooling::ALL {
            let name = format!(r#"{{"pooling_mode": "{}"}}"#, pooling.name());
            let flag = format!(r#"{{"{}": true}}"#, pooling.flag());
            for json in [name, flag] {
                assert_eq!(read(&json).unwrap().poolings, [pooling]);
            }
        }
    }

    #[test]
    fn a_pooling_that_is_not_known_is_refused_by_name() {
        for (json, word) in [
            (r#"{"pooling_mode": "attention"}"#, "attention"),
            (r#"{"pooling_mode": ["mean", 1]}"#, "1"),
            (r#"{"pooling_mode": []}"#, "pooling mode"),
            (r#"{"pooling_mode_attention": true}"#, "pooling_mode_attention"),
            (r#"{"pooling_mode_mean_tokens": "yes"}"#, "pooling_mode_mean_tokens"),
            (r#"{"pooling_mode_mean_tokens": false}"#, "pooling mode"),
            (r#"{"pooling_mode": "mean", "word_embedding_dimension": 31}"#, "word_embedding_dimension"),
            (r#"{"pooling_mode": "mean", "include_prompt": 1}"#, "include_prompt"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("config.json"), "{error}");
        }
    }
}

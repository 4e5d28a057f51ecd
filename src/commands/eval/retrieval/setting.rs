//! What is evaluated: a model alone, or a mode of an index that is built in one way.

use std::fmt;

use akin_index::PassageSize;
use akin_query::Mode;
use anyhow::bail;

use crate::commands::cli::{EvaluatedMode, RetrievalArguments, parse_passages, passages_option};

/// Everything that one row of the report depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The model's directory or hub id.
    pub model: String,
    /// How an index is asked; none where the model's vectors are compared without an index.
    pub mode: Option<Mode>,
    /// How the index cuts texts.
    pub passages: PassageSize,
    /// The cross-encoder that ranks the best hits again.
    pub rerank: Option<String>,
}

impl Setting {
    /// Those that the command line asks for, one for each mode: at least one.
    pub fn asked(arguments: &RetrievalArguments) -> Vec<Self> {
        let setting = |mode| Self {
            model: arguments.model.model.model.clone(),
            mode,
            passages: arguments.passages.unwrap_or(PassageSize::Window),
            rerank: arguments.rerank.model.clone(),
        };
        let all = [EvaluatedMode::Semantic, EvaluatedMode::Keyword, EvaluatedMode::Hybrid];
        let modes = match arguments.mode.contains(&EvaluatedMode::All) {
            true => all.as_slice(),
            false => arguments.mode.as_slice(),
        };
        let mut settings: Vec<Self> = Vec::new();
        for setting in modes.iter().map(|mode| setting(mode.mode())) {
            if !settings.contains(&setting) {
                settings.push(setting);
            }
        }
        if settings.is_empty() { vec![setting(None)] } else { settings }
    }

    /// This setting but for what `text` names: `mode=semantic,passages=none`.
    pub fn changed(&self, text: &str) -> anyhow::Result<Self> {
        let mut setting = self.clone();
        for part in text.split(',') {
            let Some((name, value)) = part.split_once('=') else {
                bail!("--against takes NAME=VALUE,..., as in mode=semantic, and {part:?} has no =");
            };
            match (name.trim(), value.trim()) {
                ("mode", "semantic") => setting.mode = Some(Mode::Semantic),
                ("mode", "keyword") => setting.mode = Some(Mode::Keyword),
                ("mode", "hybrid") => setting.mode = Some(Mode::Hybrid),
                ("mode", "none") => setting.mode = None,
                ("mode", other) => {
                    bail!(
                        "--against knows no mode {other:?}: semantic, keyword, hybrid, or none for the model alone"
                    );
                }
                ("rerank", "none") => setting.rerank = None,
                ("rerank", model) => setting.rerank = Some(model.to_owned()),
                ("model", model) => model.clone_into(&mut setting.model),
                ("passages", passages) => {
                    setting.passages = parse_passages(passages)
                        .map_err(|why| anyhow::anyhow!("--against passages={passages}: {why}"))?;
                }
                (other, _) => bail!("--against knows no setting {other:?}: mode, model, passages or rerank"),
            }
        }
        Ok(setting)
    }

    /// The name of its mode.
    pub fn mode_name(&self) -> &'static str {
        match self.mode {
            None => "none",
            Some(Mode::Semantic) => "semantic",
            Some(Mode::Keyword) => "keyword",
            Some(Mode::Hybrid) => "hybrid",
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mode={},model={}", self.mode_name(), self.model)?;
        match self.mode {
            Some(_) => write!(f, ",passages={}", passages_option(self.passages))?,
            None => return Ok(()),
        }
        self.rerank.as_ref().map_or(Ok(()), |model| write!(f, ",rerank={model}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_compared_with_one_that_differs_in_what_is_named() {
        let setting = Setting {
            model: "m".into(),
            mode: Some(Mode::Hybrid),
            passages: PassageSize::Window,
            rerank: None,
        };
        let other = setting.changed("mode=semantic, passages=100").unwrap();
        assert_eq!(other.to_string(), "mode=semantic,model=m,passages=100");
        assert_eq!(
            setting.changed("rerank=r").unwrap().to_string(),
            "mode=hybrid,model=m,passages=auto,rerank=r"
        );
        assert_eq!(setting.changed("mode=none").unwrap().to_string(), "mode=none,model=m");
        assert_eq!(setting.changed("model=n").unwrap(), Setting { model: "n".into(), ..setting.clone() });
        for wrong in ["semantic", "mode=both", "passages=0", "k=3"] {
            assert!(setting.changed(wrong).is_err(), "{wrong}");
        }
    }
}

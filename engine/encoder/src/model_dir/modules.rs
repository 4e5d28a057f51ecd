//! `modules.json`: the modules that a text passes through, and where each is.

use std::path::Path;

use serde::Deserialize;

use crate::Result;
use crate::files::{read_json, refuse};

/// What Akin runs, for the sentence that refuses anything else.
const RUNS: &str = "Akin runs Transformer or WordEmbeddings and Pooling, or StaticEmbedding, and after them Dense, LayerNorm, Normalize and Dropout";

/// The modules of a model, in their order.
#[derive(Debug, PartialEq)]
pub(crate) struct Modules {
    /// What makes a vector of a text.
    pub first: First,
    /// What changes the vector: the kind and the folder of each. Dropout is left out: it acts in training alone.
    pub after: Vec<(AfterKind, String)>,
}

/// What makes a vector of a text.
#[derive(Debug, PartialEq)]
pub(crate) enum First {
    /// A network, and the pooling of its token vectors.
    Transformer {
        /// The folder of the network.
        folder: String,
        /// The folder of the pooling.
        pooling: String,
    },
    /// A vector for each word, and the pooling of these.
    WordEmbeddings {
        /// The folder of the vectors and the words.
        folder: String,
        /// The folder of the pooling.
        pooling: String,
    },
    /// The mean of a vector for each token.
    StaticEmbedding {
        /// Its folder.
        folder: String,
    },
}

/// A module that changes the vector of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterKind {
    Dense,
    LayerNorm,
    Normalize,
}

impl Modules {
    /// Reads `modules.json`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let modules = read_modules(path)?;
        let kinds: Vec<&str> = modules.iter().map(Module::name).collect();
        let known = |kind: &&&str| {
            matches!(
                **kind,
                "Transformer"
                    | "Pooling"
                    | "StaticEmbedding"
                    | "WordEmbeddings"
                    | "Dense"
                    | "LayerNorm"
                    | "Normalize"
                    | "Dropout"
            )
        };
        if let Some((module, kind)) = modules.iter().zip(&kinds).find(|(_, kind)| !known(kind)) {
            return Err(refuse(path, format!("it has a {kind} module ({:?}), and {RUNS}", module.path)));
        }
        let folders: Vec<(&str, String)> =
            kinds.iter().copied().zip(modules.iter().map(Module::folder)).collect();
        let (first, rest) = match folders.as_slice() {
            [("Transformer", folder), ("Pooling", pooling), rest @ ..] => {
                (First::Transformer { folder: folder.clone(), pooling: pooling.clone() }, rest)
            }
            [("WordEmbeddings", folder), ("Pooling", pooling), rest @ ..] => {
                (First::WordEmbeddings { folder: folder.clone(), pooling: pooling.clone() }, rest)
            }
            [("StaticEmbedding", folder), rest @ ..] => {
                (First::StaticEmbedding { folder: folder.clone() }, rest)
            }
            _ => return Err(other_order(path, &kinds)),
        };
        let mut after = Vec::new();
        for (kind, folder) in rest {
            let kind = match *kind {
                "Dense" => AfterKind::Dense,
                "LayerNorm" => AfterKind::LayerNorm,
                "Normalize" => AfterKind::Normalize,
                "Dropout" => continue,
                _ => return Err(other_order(path, &kinds)),
            };
            after.push((kind, folder.clone()));
        }
        Ok(Self { first, after })
    }
}

fn other_order(path: &Path, kinds: &[&str]) -> crate::Error {
    refuse(path, format!("its modules are {}, and {RUNS}, in this order", kinds.join(", ")))
}

/// A module as `modules.json` lists it.
#[derive(Deserialize)]
pub(crate) struct Module {
    /// The folder of its settings.
    pub path: String,
    /// Its class, with the Python module that it is in.
    #[serde(rename = "type")]
    kind: String,
}

impl Module {
    /// Its class.
    pub fn name(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or_default()
    }

    /// Its folder; empty for that of the model.
    pub fn folder(&self) -> String {
        if self.path == "." { String::new() } else { self.path.clone() }
    }
}

/// Reads `modules.json`. A folder outside of the model is refused.
pub(crate) fn read_modules(path: &Path) -> Result<Vec<Module>> {
    let modules: Vec<Module> = read_json(path)?;
    let leads_out = |module: &&Module| {
        Path::new(&module.path).is_absolute() || module.path.split(['/', '\\']).any(|part| part == "..")
    };
    match modules.iter().find(leads_out) {
        Some(module) => {
            Err(refuse(path, format!("the module path {:?} leads out of the model", module.path)))
        }
        None => Ok(modules),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(modules: &[(&str, &str)]) -> Result<Modules> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("modules.json");
        let listed: Vec<serde_json::Value> = modules
            .iter()
            .map(|(kind, folder)| serde_json::json!({ "path": folder, "type": format!("sentence_transformers.models.{kind}") }))
            .collect();
        std::fs::write(&path, serde_json::to_vec(&listed).unwrap()).unwrap();
        Modules::read(&path)
    }

    #[test]
    fn modules_after_the_pooling_come_in_any_order() {
        let modules = read(&[
            ("Transformer", ""),
            ("Pooling", "1_Pooling"),
            ("Normalize", "2"),
            ("Dropout", "3"),
            ("Dense", "4"),
            ("LayerNorm", "5"),
            ("Normalize", "6"),
        ]);
        let after = modules.unwrap().after;
        let kinds: Vec<AfterKind> = after.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(
            kinds,
            [AfterKind::Normalize, AfterKind::Dense, AfterKind::LayerNorm, AfterKind::Normalize]
        );
        assert_eq!(after[1].1, "4");
        let own = read(&[("StaticEmbedding", "."), ("Normalize", "1_Normalize")]).unwrap();
        assert_eq!(own.first, First::StaticEmbedding { folder: String::new() });
    }

    #[test]
    fn other_modules_and_other_orders_are_refused_by_name() {
        for (modules, word) in [
            (&[("WordEmbeddings", ""), ("LSTM", "1"), ("Pooling", "2")][..], "LSTM"),
            (&[("WordEmbeddings", ""), ("CNN", "1"), ("Pooling", "2")], "CNN"),
            (&[("BoW", "")], "BoW"),
            (&[("WordEmbeddings", ""), ("Normalize", "1")], "WordEmbeddings, Normalize"),
            (&[("Transformer", "")], "Transformer"),
            (&[("Pooling", ""), ("Transformer", "1")], "Pooling, Transformer"),
            (&[("Transformer", ""), ("Dense", "1"), ("Pooling", "2")], "Transformer, Dense, Pooling"),
            (&[("StaticEmbedding", ""), ("Pooling", "1")], "StaticEmbedding, Pooling"),
            (&[], "its modules are"),
        ] {
            let error = read(modules).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("modules.json"), "{error}");
        }
    }
}

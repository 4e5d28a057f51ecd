//! `config_sentence_transformers.json`: prompts, roles, and how embeddings are compared.

use std::collections::BTreeMap;
use std::path::Path;

use akin_kernels::Similarity;
use serde_json::{Map, Value};

use crate::Result;
use crate::after_pooling::AfterPooling;
use crate::files::{read_optional, refuse};
use crate::settings::{FileKeys, shortened};

/// What a text is to a search: asymmetric models put another prompt before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// What is looked for.
    Query,
    /// What is found.
    Document,
}

/// Prompts that were given beside the model: each takes the place of the model's own. An empty one means none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prompts {
    /// Put before each query; the model's own if `None`.
    pub query: Option<String>,
    /// Put before each document; the model's own if `None`.
    pub document: Option<String>,
}

impl Prompts {
    /// The prompt that was given for a role.
    pub fn of(&self, role: Role) -> Option<&str> {
        match role {
            Role::Query => self.query.as_deref(),
            Role::Document => self.document.as_deref(),
        }
    }
}

/// The settings of a model directory that are about whole texts and their embeddings.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct TextSettings {
    /// The model's prompts by name.
    prompts: BTreeMap<String, String>,
    /// The name of the prompt of texts without a role.
    default_prompt: Option<String>,
    /// How the model wants its embeddings compared.
    pub(crate) similarity: Similarity,
    /// How many numbers of an embedding are kept, if not all.
    pub(crate) truncate_dim: Option<usize>,
}

impl TextSettings {
    /// Reads the file, which not every model has. `keys` are those of the kind of model.
    pub(crate) fn read(path: &Path, keys: FileKeys) -> Result<Self> {
        let settings = read_optional(path)?;
        keys.check(path, &settings)?;
        let text = |name: &str| match settings.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(other) => Err(refuse(path, format!("{name} is {}, and must be a text", shortened(other)))),
        };
        let prompts = read_prompts(path, &settings)?;
        let default_prompt = text("default_prompt_name")?.map(str::to_owned);
        if let Some(name) = default_prompt.as_deref().filter(|name| {
            // sentence-transformers has these two in every model, empty where they are not set.
            !prompts.contains_key(*name) && !matches!(*name, "query" | "document")
        }) {
            return Err(refuse(
                path,
                format!("default_prompt_name is {name:?}, and prompts has no such prompt"),
            ));
        }
        let similarity = match text("similarity_fn_name")? {
            None => Similarity::default(),
            Some(name) => Similarity::from_name(name).ok_or_else(|| {
                let known = Similarity::ALL.map(Similarity::name).join(", ");
                refuse(path, format!("similarity_fn_name is {name:?}, and Akin knows {known}"))
            })?,
        };
        let truncate_dim = match settings.get("truncate_dim") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().filter(|dimensions| *dimensions > 0).ok_or_else(|| {
                refuse(
                    path,
                    format!("truncate_dim is {}, and must be a whole number from 1 on", shortened(value)),
                )
            })? as usize),
        };
        let settings = Self { prompts, default_prompt, similarity, truncate_dim };
        settings.warn_of_unused(path);
        Ok(settings)
    }

    /// The model's own prompt for texts of a role, or of none: `encode`, `encode_query` and `encode_document` of
    /// sentence-transformers 5 and later. Empty where there is none.
    ///
    /// Those have a prompt named "query" and one named "document" in every model, empty where it is not set. So the
    /// default prompt is for texts without a role alone, and "passage" and "corpus", which `encode_document` looks for
    /// after "document", are never used.
    pub(crate) fn prompt(&self, role: Option<Role>) -> &str {
        let name = match role {
            Some(Role::Query) => Some("query"),
            Some(Role::Document) => Some("document"),
            None => self.default_prompt.as_deref(),
        };
        name.and_then(|name| self.prompts.get(name)).map_or("", String::as_str)
    }

    /// The length of an embedding, of which the model makes `width` numbers.
    pub(crate) fn dimension(&self, width: usize) -> usize {
        self.truncate_dim.unwrap_or(width).min(width)
    }

    /// How embeddings are to be compared. The dot product of embeddings of length one is their cosine.
    pub(crate) fn similarity_of(&self, after: &AfterPooling) -> Similarity {
        match self.similarity {
            Similarity::Dot if after.normalizes() && self.dimension(after.width()) == after.width() => {
                Similarity::Cosine
            }
            similarity => similarity,
        }
    }

    /// What embeddings depend on, in one line: empty for most models. `width` is what the model makes.
    pub(crate) fn described(&self, width: usize) -> String {
        let mut line = String::new();
        if self.dimension(width) != width {
            line += &format!(" cut to {}", self.dimension(width));
        }
        for role in [None, Some(Role::Query), Some(Role::Document)] {
            let prompt = self.prompt(role);
            if !prompt.is_empty() {
                line += &format!(" prompt {role:?} {prompt:?}");
            }
        }
        line
    }

    /// A prompt for passages under a name that is not looked for is likely a mistake of the model's author.
    fn warn_of_unused(&self, path: &Path) {
        let unused = ["passage", "corpus"]
            .into_iter()
            .find(|name| self.prompts.get(*name).is_some_and(|p| !p.is_empty()));
        if let Some(name) = unused.filter(|_| self.prompt(Some(Role::Document)).is_empty()) {
            tracing::warn!(
                "{}: there is a prompt {name:?} and none named \"document\": documents are encoded without a prompt, as \
                 sentence-transformers does",
                path.display()
            );
        }
    }
}

fn read_prompts(path: &Path, settings: &Map<String, Value>) -> Result<BTreeMap<String, String>> {
    let prompts = match settings.get("prompts") {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(prompts)) => prompts,
        Some(other) => {
            return Err(refuse(
                path,
                format!("prompts is {}, and must be an object of texts", shortened(other)),
            ));
        }
    };
    let text = |(name, prompt): (&String, &Value)| match prompt {
        Value::Null => Ok((name.clone(), String::new())),
        Value::String(prompt) => Ok((name.clone(), prompt.clone())),
        other => {
            Err(refuse(path, format!("the prompt {name:?} is {}, and must be a text", shortened(other))))
        }
    };
    prompts.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SENTENCE_TRANSFORMERS;

    fn read(json: &str) -> Result<TextSettings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config_sentence_transformers.json");
        std::fs::write(&path, json).unwrap();
        TextSettings::read(&path, SENTENCE_TRANSFORMERS)
    }

    #[test]
    fn a_prompt_is_chosen_by_role_as_in_sentence_transformers() {
        let settings = read(
            r#"{"prompts": {"query": "q: ", "document": "d: ", "x": "x: "}, "default_prompt_name": "x"}"#,
        );
        let settings = settings.unwrap();
        assert_eq!(settings.prompt(None), "x: ");
        assert_eq!(settings.prompt(Some(Role::Query)), "q: ");
        assert_eq!(settings.prompt(Some(Role::Document)), "d: ");

        let passage = read(r#"{"prompts": {"passage": "p: "}, "default_prompt_name": "passage"}"#).unwrap();
        assert_eq!(passage.prompt(None), "p: ");
        assert_eq!((passage.prompt(Some(Role::Query)), passage.prompt(Some(Role::Document))), ("", ""));
        assert_eq!(read(r#"{"default_prompt_name": "query"}"#).unwrap().prompt(None), "");
    }

    #[test]
    fn a_value_that_cannot_be_followed_is_refused_by_name() {
        for (json, word) in [
            (r#"{"default_prompt_name": "none"}"#, "default_prompt_name"),
            (r#"{"default_prompt_name": 1}"#, "default_prompt_name"),
            (r#"{"prompts": ["a"]}"#, "prompts"),
            (r#"{"prompts": {"query": 1}}"#, "query"),
            (r#"{"similarity_fn_name": "maxsim"}"#, "similarity_fn_name"),
            (r#"{"truncate_dim": 0}"#, "truncate_dim"),
            (r#"{"model_type": "SparseEncoder"}"#, "model_type"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("config_sentence_transformers.json"), "{error}");
        }
        assert_eq!(read(r#"{"similarity_fn_name": "dot"}"#).unwrap().similarity, Similarity::Dot);
        assert_eq!(read("{}").unwrap(), TextSettings::default());
    }
}

//! `tokenizer.json`, read in one pass.
//!
//! The `tokenizers` crate reads a vocabulary into a tree of JSON values, and out of it twice: that is most of the time in
//! which a small model loads. Here the words go straight from the file into the model. A file of another form than most,
//! and one that is refused, is left to the crate, so that tokenizers and errors are always its own.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PaddingParams, PostProcessorWrapper,
    PreTokenizerWrapper, Tokenizer, TruncationParams,
};

/// The tokenizer in a file.
pub(super) fn load(file: &[u8]) -> tokenizers::Result<Tokenizer> {
    match serde_json::from_slice::<Parts>(file) {
        Ok(parts) => parts.join().or_else(|_| Tokenizer::from_bytes(file)),
        Err(_) => Tokenizer::from_bytes(file),
    }
}

/// What the file holds.
#[derive(Deserialize)]
struct Parts {
    version: String,
    truncation: Option<TruncationParams>,
    padding: Option<PaddingParams>,
    added_tokens: Vec<Added>,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    post_processor: Option<PostProcessorWrapper>,
    decoder: Option<DecoderWrapper>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    /// Not what the token gets: that is the number which the model has for it, or the next.
    #[serde(rename = "id")]
    _id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

impl Parts {
    fn join(self) -> tokenizers::Result<Tokenizer> {
        if self.version != "1.0" {
            return Err("another version".into());
        }
        let mut tokenizer = Tokenizer::new(self.model.0);
        tokenizer.with_normalizer(self.normalizer)?;
        tokenizer.with_pre_tokenizer(self.pre_tokenizer);
        tokenizer.with_post_processor(self.post_processor);
        tokenizer.with_decoder(self.decoder);
        tokenizer.with_truncation(self.truncation)?.with_padding(self.padding);
        tokenizer.add_tokens(self.added_tokens.into_iter().map(|added| added.token))?;
        Ok(tokenizer)
    }
}

/// A model whose kind stands before all else of it.
struct Model(ModelWrapper);

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OfKind)
    }
}

struct OfKind;

impl<'de> Visitor<'de> for OfKind {
    type Value = Model;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a model of a tokenizer, its type first")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Model, A::Error> {
        match map.next_entry::<String, String>()? {
            Some((key, kind)) if key == "type" => {
                let rest = MapAccessDeserializer::new(map);
                let model = match kind.as_str() {
                    "BPE" => ModelWrapper::BPE(Deserialize::deserialize(rest)?),
                    "WordPiece" => ModelWrapper::WordPiece(Deserialize::deserialize(rest)?),
                    "WordLevel" => ModelWrapper::WordLevel(Deserialize::deserialize(rest)?),
                    "Unigram" => ModelWrapper::Unigram(Deserialize::deserialize(rest)?),
                    _ => return Err(A::Error::custom("another kind")),
                };
                Ok(Model(model))
            }
            _ => Err(A::Error::custom("no kind at the beginning")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// The tokenizers of all tiny models.
    fn files() -> Vec<PathBuf> {
        let models = akin_fixtures::fixture("models");
        let folders = std::fs::read_dir(models).expect("models").map(|entry| entry.expect("a folder").path());
        folders.map(|folder| folder.join("tokenizer.json")).filter(|file| file.is_file()).collect()
    }

    fn written(tokenizer: &Tokenizer) -> String {
        tokenizer.to_string(false).expect("a tokenizer is JSON")
    }

    #[test]
    fn a_tokenizer_is_the_one_that_the_crate_reads() {
        let mut quick = 0;
        for path in files() {
            let file = std::fs::read(&path).expect("a file");
            let slow = Tokenizer::from_bytes(&file).expect("a tokenizer");
            assert_eq!(written(&load(&file).expect("a tokenizer")), written(&slow), "{}", path.display());
            if let Ok(parts) = serde_json::from_slice::<Parts>(&file) {
                let own = parts.join().expect("a tokenizer");
                assert_eq!(written(&own), written(&slow), "{}", path.display());
                for text in ["Grüße, Wörld! 3.5 % of [MASK] it", "</s><s> a\tb  c 你好 ", ""] {
                    let ids = |t: &Tokenizer| t.encode(text, true).map(|t| t.get_ids().to_vec()).ok();
                    assert_eq!(ids(&own), ids(&slow), "{text:?}, {}", path.display());
                }
                quick += 1;
            }
        }
        assert!(quick >= 2, "{quick} files have the form that is read in one pass");
    }

    #[test]
    fn a_file_of_another_form_is_left_to_the_crate() {
        let model = r###"{"vocab": {"[UNK]": 0, "a": 1}, "type": "WordPiece", "unk_token": "[UNK]",
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 9}"###;
        let file = |version: &str, model: &str| format!(r#"{{"version": "{version}", "model": {model}}}"#);
        let late = file("1.0", model);
        assert!(serde_json::from_slice::<Parts>(late.as_bytes()).is_err());
        assert_eq!(load(late.as_bytes()).expect("a tokenizer").get_vocab_size(true), 2);
        for broken in [file("2.0", model), file("1.0", "{}"), file("1.0", "3"), "[]".into(), String::new()] {
            let error = load(broken.as_bytes()).expect_err("refused").to_string();
            let own = Tokenizer::from_bytes(&broken).expect_err("refused").to_string();
            assert_eq!(error, own);
        }
    }
}

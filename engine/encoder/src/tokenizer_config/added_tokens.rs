//! The tokens that are added to a vocabulary: those that settings list, and the special ones that they name.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::TokenizerConfig;
use super::class::Class;
use crate::Result;
use crate::files::refuse;
use crate::settings::shortened;

/// The named special tokens, in the order of transformers.
const NAMED_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl TokenizerConfig {
    /// Adds the tokens that the settings name. A class that builds its tokenizer anew has no others.
    pub(super) fn add_tokens(
        &self,
        tokenizer: &mut Tokenizer,
        class: Class,
        changes: &mut String,
    ) -> Result<()> {
        let before = tokenizer.get_added_tokens_decoder();
        let written: BTreeMap<u32, AddedToken> = before.into_iter().collect();
        let listed = self.listed.as_ref();
        let mut wanted: Vec<AddedToken> = match (class, listed) {
            (Class::AsWritten, _) => written.values().cloned().collect(),
            (_, Some(listed)) => listed.values().cloned().collect(),
            (_, None) => {
                let mut tokens: BTreeMap<u32, AddedToken> = self
                    .earlier
                    .iter()
                    .map(|(id, token)| (*id, AddedToken::from(token.as_str(), false)))
                    .collect();
                tokens.extend(written.clone());
                tokens.into_values().collect()
            }
        };
        let named = self.special_tokens(class);
        let has = |tokens: &[AddedToken], content: &str| tokens.iter().any(|token| token.content == content);
        if class == Class::AsWritten {
            // Those of `tokenizer_config.json` with other properties count more than those of `tokenizer.json`.
            let differing =
                listed.into_iter().flat_map(BTreeMap::values).filter(|token| !wanted.contains(token));
            let differing: Vec<AddedToken> = differing.cloned().collect();
            wanted.retain(|token| !has(&differing, &token.content));
            wanted.extend(differing);
        }
        for token in named {
            if !has(&wanted, &token.content) {
                wanted.push(token);
            }
        }
        let same = wanted.len() == written.len() && written.values().all(|token| wanted.contains(token));
        if same {
            return Ok(());
        }
        let failed = |error: tokenizers::Error| {
            refuse(&self.path, format!("its special tokens cannot be added: {error}"))
        };
        for token in &wanted {
            if !written.values().any(|known| known == token) {
                *changes += &format!(" token {token:?}");
            }
        }
        for token in written.values().filter(|token| !has(&wanted, &token.content)) {
            *changes += &format!(" without {:?}", token.content);
        }
        if written.values().any(|token| !has(&wanted, &token.content)) {
            let mut anew = Tokenizer::new(tokenizer.get_model().clone());
            anew.with_normalizer(tokenizer.get_normalizer().cloned()).map_err(failed)?;
            anew.with_pre_tokenizer(tokenizer.get_pre_tokenizer().cloned());
            anew.with_post_processor(tokenizer.get_post_processor().cloned());
            anew.with_truncation(tokenizer.get_truncation().cloned()).map_err(failed)?;
            *tokenizer = anew;
        }
        tokenizer.add_tokens(wanted).map_err(failed)?;
        Ok(())
    }

    /// The named and the further special tokens.
    fn special_tokens(&self, class: Class) -> Vec<AddedToken> {
        let mut tokens = Vec::new();
        for name in NAMED_TOKENS {
            match self.get(name) {
                Some(value) => tokens.extend(read_token(value)),
                None => tokens.extend(class.default_token(name).map(|token| AddedToken::from(token, true))),
            }
        }
        let further = ["extra_special_tokens", "additional_special_tokens"];
        match further.into_iter().find_map(|name| self.get(name)) {
            Some(Value::Array(further)) => tokens.extend(further.iter().filter_map(read_token)),
            Some(Value::Object(further)) => tokens.extend(further.values().filter_map(read_token)),
            _ => {}
        }
        tokens
    }

    /// The ids of the special tokens: what may follow a prompt that is tokenized alone.
    pub(crate) fn special_ids(&self, tokenizer: &Tokenizer) -> Vec<u32> {
        let tokens = self.special_tokens(self.class);
        tokens.iter().filter_map(|token| tokenizer.token_to_id(&token.content)).collect()
    }
}

/// A special token of settings: its content, or an object with its properties.
fn read_token(value: &Value) -> Option<AddedToken> {
    let content = value.as_str().or_else(|| value.get("content")?.as_str())?;
    let property = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    Some(
        AddedToken::from(content, true)
            .single_word(property("single_word"))
            .lstrip(property("lstrip"))
            .rstrip(property("rstrip"))
            .normalized(property("normalized")),
    )
}

pub(super) fn read_listed(path: &Path, tokens: &Map<String, Value>) -> Result<BTreeMap<u32, AddedToken>> {
    let read = |(id, token): (&String, &Value)| {
        let unlike =
            || refuse(path, format!("added_tokens_decoder has the token {} under {id:?}", shortened(token)));
        let special = token.get("special").and_then(Value::as_bool).unwrap_or(false);
        let added = read_token(token).filter(|_| token.is_object()).ok_or_else(unlike)?;
        let normalized = token.get("normalized").and_then(Value::as_bool).unwrap_or(!special);
        Ok((id.parse().map_err(|_| unlike())?, added.special(special).normalized(normalized)))
    };
    tokens.iter().map(read).collect()
}

//! `tokenizer_config.json` and its companions: what transformers makes of `tokenizer.json`.
//!
//! Some tokenizer classes of transformers take only the vocabulary from `tokenizer.json` and build everything else from
//! their own settings (`BertTokenizer`, `RobertaTokenizer`, `XLMRobertaTokenizer`, `MPNetTokenizer`, in transformers 5;
//! those of transformers 4 rewrite what disagrees). All others use `tokenizer.json` as it is written. Both then add the
//! tokens that the settings name and the file lacks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::normalizers::{BertNormalizer, Lowercase, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, ModelWrapper, NormalizerWrapper, Tokenizer, TruncationDirection};

use crate::Result;
use crate::config::Architecture;
use crate::files::{read_optional, refuse};
use crate::settings::{SPECIAL_TOKENS, TOKENIZER, shortened};

/// The named special tokens, in the order of transformers.
const NAMED_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What a tokenizer class of transformers builds anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Bert,
    MpNet,
    Roberta,
    XlmRoberta,
    /// Nothing: `tokenizer.json` counts as it is written.
    AsWritten,
}

impl Class {
    fn of(name: &str) -> Self {
        match name.strip_suffix("Fast").unwrap_or(name) {
            "BertTokenizer"
            | "DistilBertTokenizer"
            | "MobileBertTokenizer"
            | "ConvBertTokenizer"
            | "SqueezeBertTokenizer" => Self::Bert,
            "MPNetTokenizer" => Self::MpNet,
            "RobertaTokenizer" => Self::Roberta,
            "XLMRobertaTokenizer" => Self::XlmRoberta,
            _ => Self::AsWritten,
        }
    }

    /// The content of a named token that the settings do not give.
    fn default_token(self, name: &str) -> Option<&'static str> {
        let sentence = match name {
            "bos_token" | "cls_token" => Some("<s>"),
            "eos_token" | "sep_token" => Some("</s>"),
            "unk_token" => Some("<unk>"),
            "pad_token" => Some("<pad>"),
            "mask_token" => Some("<mask>"),
            _ => None,
        };
        match (self, name) {
            (Self::AsWritten, _) | (Self::Bert, "bos_token" | "eos_token") => None,
            (Self::Bert, "unk_token") | (Self::MpNet, "unk_token") => Some("[UNK]"),
            (Self::Bert, "sep_token") => Some("[SEP]"),
            (Self::Bert, "pad_token") => Some("[PAD]"),
            (Self::Bert, "cls_token") => Some("[CLS]"),
            (Self::Bert, "mask_token") => Some("[MASK]"),
            _ => sentence,
        }
    }

    /// Whether it is built of such a vocabulary.
    fn takes(self, model: &ModelWrapper) -> bool {
        match self {
            Self::Bert | Self::MpNet => matches!(model, ModelWrapper::WordPiece(_)),
            Self::Roberta => matches!(model, ModelWrapper::BPE(_)),
            Self::XlmRoberta => matches!(model, ModelWrapper::Unigram(_)),
            Self::AsWritten => true,
        }
    }
}

/// The settings of a tokenizer beside `tokenizer.json`.
#[derive(Debug, Clone)]
pub(crate) struct TokenizerConfig {
    path: PathBuf,
    class: Class,
    values: Map<String, Value>,
    /// The added tokens by id, where `tokenizer_config.json` lists them.
    listed: Option<BTreeMap<u32, AddedToken>>,
    /// The tokens of `added_tokens.json`, which releases before such lists wrote.
    earlier: Vec<(u32, String)>,
}

impl TokenizerConfig {
    /// Reads the settings in the folder of the network. `class` is `tokenizer_class` of `config.json`.
    pub(crate) fn read(folder: &Path, architecture: Architecture, class: Option<&str>) -> Result<Self> {
        let path = folder.join(TOKENIZER.file);
        let mut values = read_optional(&path)?;
        TOKENIZER.check(&path, &values)?;
        let class = match (values.get("tokenizer_class").and_then(Value::as_str).or(class), architecture) {
            (Some(name), _) => Class::of(name),
            (None, Architecture::Bert | Architecture::DistilBert | Architecture::Electra) => Class::Bert,
            (None, Architecture::MpNet) => Class::MpNet,
            (None, Architecture::Roberta) => Class::Roberta,
            (None, Architecture::XlmRoberta) => Class::XlmRoberta,
            (None, _) => Class::AsWritten,
        };
        let listed = match values.get("added_tokens_decoder") {
            Some(Value::Object(tokens)) => Some(read_listed(&path, tokens)?),
            _ => None,
        };
        let mut earlier = Vec::new();
        if listed.is_none() {
            let map_path = folder.join(SPECIAL_TOKENS.file);
            let map = read_optional(&map_path)?;
            SPECIAL_TOKENS.check(&map_path, &map)?;
            values.extend(map);
            let tokens = read_optional(&folder.join("added_tokens.json"))?;
            let numbered = tokens.iter().filter_map(|(token, id)| Some((id.as_u64()? as u32, token.clone())));
            earlier = numbered.collect();
            earlier.sort_unstable();
        }
        let config = Self { path, class, values, listed, earlier };
        config.check(architecture)?;
        Ok(config)
    }

    /// Refuses what would make the vector of a text depend on the texts beside it.
    fn check(&self, architecture: Architecture) -> Result<()> {
        if self.side("padding_side")? == Some(TruncationDirection::Left) && architecture.counts_padding() {
            let reason = "padding_side is \"left\", which moves the positions of a text that is padded: its embedding \
                          would depend on the texts beside it";
            return Err(refuse(&self.path, reason));
        }
        if let Some(names) = self.get("model_input_names") {
            let has =
                |name: &str| names.as_array().is_some_and(|names| names.iter().any(|known| known == name));
            if !has("input_ids") || !has("attention_mask") {
                let reason = format!(
                    "model_input_names is {}, and Akin gives the network input_ids and attention_mask",
                    shortened(names)
                );
                return Err(refuse(&self.path, reason));
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    fn flag(&self, name: &str) -> Result<Option<bool>> {
        let unlike = |value: &Value| {
            refuse(&self.path, format!("{name} is {}, and must be true or false", shortened(value)))
        };
        self.get(name).map(|value| value.as_bool().ok_or_else(|| unlike(value))).transpose()
    }

    fn side(&self, name: &str) -> Result<Option<TruncationDirection>> {
        match self.get(name).map(|value| (value.as_str(), value)) {
            None => Ok(None),
            Some((Some("right"), _)) => Ok(Some(TruncationDirection::Right)),
            Some((Some("left"), _)) => Ok(Some(TruncationDirection::Left)),
            Some((_, value)) => {
                Err(refuse(&self.path, format!("{name} is {}, and must be left or right", shortened(value))))
            }
        }
    }

    /// The longest sequence it names; none where there is no limit.
    pub(crate) fn max_length(&self) -> Option<usize> {
        let limit = self.get("model_max_length").or_else(|| self.get("max_len"))?;
        // Written as 1e30 where there is no limit; the conversion saturates.
        limit.as_f64().map(|limit| limit as usize)
    }

    /// Which end of a text that is too long is left out, if it says.
    pub(crate) fn truncation_side(&self) -> Result<Option<TruncationDirection>> {
        self.side("truncation_side")
    }

    /// The content of a named token.
    fn token(&self, name: &str) -> Option<&str> {
        let given =
            self.get(name).and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
        given.or_else(|| self.class.default_token(name))
    }

    /// Changes `tokenizer`, as `tokenizer.json` has it, to what transformers makes of it. Returns what was changed, a
    /// word or two each: all that embeddings depend on beside `tokenizer.json`.
    pub(crate) fn apply(&self, mut tokenizer: Tokenizer) -> Result<(Tokenizer, String)> {
        let mut changes = String::new();
        let mut class = self.class;
        if !class.takes(tokenizer.get_model()) {
            tracing::warn!(
                "{}: tokenizer_class does not fit the vocabulary of tokenizer.json, which is used as it is written",
                self.path.display()
            );
            class = Class::AsWritten;
        }
        self.add_tokens(&mut tokenizer, class, &mut changes)?;
        match class {
            Class::Bert | Class::MpNet => {
                self.build_word_pieces(&mut tokenizer, class, &mut changes);
                self.build_bert(&mut tokenizer, &mut changes)?;
            }
            Class::Roberta => self.build_roberta(&mut tokenizer, &mut changes)?,
            Class::XlmRoberta => self.build_xlm_roberta(&mut tokenizer, &mut changes)?,
            Class::AsWritten => {}
        }
        let (first, last) = match class {
            Class::XlmRoberta => ("bos_token", "eos_token"),
            _ => ("cls_token", "sep_token"),
        };
        if class != Class::AsWritten {
            self.frame(&mut tokenizer, first, last, &mut changes)?;
        }
        if self.flag("split_special_tokens")? == Some(true) {
            tokenizer.set_encode_special_tokens(true);
            changes += " split_special_tokens";
        }
        Ok((tokenizer, changes))
    }

    /// The vocabulary of `tokenizer.json` with the unknown token of the settings. The rest is what BERT has.
    fn build_word_pieces(&self, tokenizer: &mut Tokenizer, class: Class, changes: &mut String) {
        let unknown = self.token("unk_token").or(class.default_token("unk_token")).unwrap_or("[UNK]");
        let ModelWrapper::WordPiece(found) = tokenizer.get_model() else { return };
        let same = found.unk_token == unknown
            && found.continuing_subword_prefix == "##"
            && found.max_input_chars_per_word == 100;
        if !same {
            let mut wanted = found.clone();
            unknown.clone_into(&mut wanted.unk_token);
            "##".clone_into(&mut wanted.continuing_subword_prefix);
            wanted.max_input_chars_per_word = 100;
            *changes += &format!(" unknown {unknown:?} in words of 100");
            tokenizer.with_model(wanted);
        }
    }

    fn build_bert(&self, tokenizer: &mut Tokenizer, changes: &mut String) -> Result<()> {
        let wanted = BertNormalizer::new(
            true,
            self.flag("tokenize_chinese_chars")?.unwrap_or(true),
            self.flag("strip_accents")?,
            self.flag("do_lower_case")?.unwrap_or(true),
        );
        let same = matches!(tokenizer.get_normalizer(), Some(NormalizerWrapper::BertNormalizer(found))
            if found.clean_text && found.handle_chinese_chars == wanted.handle_chinese_chars
                && found.strip_accents.unwrap_or(found.lowercase) == wanted.strip_accents.unwrap_or(wanted.lowercase)
                && found.lowercase == wanted.lowercase);
        if !same {
            *changes += &format!(
                " chinese {} strip_accents {:?} lowercase {}",
                wanted.handle_chinese_chars, wanted.strip_accents, wanted.lowercase
            );
            self.normalize_by(tokenizer, Some(NormalizerWrapper::BertNormalizer(wanted)))?;
        }
        self.cut_by(tokenizer, PreTokenizerWrapper::BertPreTokenizer(BertPreTokenizer), changes);
        Ok(())
    }

    fn build_roberta(&self, tokenizer: &mut Tokenizer, changes: &mut String) -> Result<()> {
        if tokenizer.get_normalizer().is_some() {
            *changes += " normalizer none";
            self.normalize_by(tokenizer, None)?;
        }
        let space = self.flag("add_prefix_space")?.unwrap_or(false);
        let same = matches!(tokenizer.get_pre_tokenizer(), Some(PreTokenizerWrapper::ByteLevel(found))
            if found.add_prefix_space == space && found.use_regex);
        if !same {
            let bytes = PreTokenizerWrapper::ByteLevel(ByteLevel::new(space, true, true));
            self.cut_by(tokenizer, bytes, changes);
        }
        Ok(())
    }

    fn build_xlm_roberta(&self, tokenizer: &mut Tokenizer, changes: &mut String) -> Result<()> {
        // Of the normalizer only the table of characters is kept.
        if let Some(NormalizerWrapper::Sequence(parts)) = tokenizer.get_normalizer() {
            let table =
                parts.as_ref().iter().find(|part| matches!(part, NormalizerWrapper::Precompiled(_))).cloned();
            *changes += " normalizer charsmap";
            self.normalize_by(tokenizer, table)?;
        } else if !matches!(tokenizer.get_normalizer(), None | Some(NormalizerWrapper::Precompiled(_))) {
            *changes += " normalizer none";
            self.normalize_by(tokenizer, None)?;
        }
        let scheme = match self.flag("add_prefix_space")?.unwrap_or(true) {
            true => PrependScheme::Always,
            false => PrependScheme::Never,
        };
        let words = PreTokenizerWrapper::WhitespaceSplit(WhitespaceSplit);
        let pieces = PreTokenizerWrapper::Metaspace(Metaspace::new('▁', scheme, true));
        let wanted = PreTokenizerWrapper::Sequence(PreTokenizers::new(vec![words, pieces]));
        self.cut_by(tokenizer, wanted, changes);
        Ok(())
    }

    fn normalize_by(&self, tokenizer: &mut Tokenizer, normalizer: Option<NormalizerWrapper>) -> Result<()> {
        tokenizer.with_normalizer(normalizer).map(drop).map_err(|error| {
            refuse(&self.path, format!("the tokenizer cannot be changed as it says: {error}"))
        })
    }

    fn cut_by(&self, tokenizer: &mut Tokenizer, wanted: PreTokenizerWrapper, changes: &mut String) {
        if tokenizer.get_pre_tokenizer() != Some(&wanted) {
            *changes += &format!(" pre_tokenizer {wanted:?}");
            tokenizer.with_pre_tokenizer(Some(wanted));
        }
    }

    /// Puts a text between the tokens named, unless `tokenizer.json` does so.
    fn frame(&self, tokenizer: &mut Tokenizer, first: &str, last: &str, changes: &mut String) -> Result<()> {
        let (first, last) = (self.framing_token(tokenizer, first)?, self.framing_token(tokenizer, last)?);
        let frame = tokenizer.encode_fast("", true).map(|text| text.get_ids().to_vec()).unwrap_or_default();
        if frame != [first.1, last.1] {
            *changes += &format!(" between {} and {}", first.1, last.1);
            tokenizer.with_post_processor(Some(BertProcessing::new(last, first)));
        }
        Ok(())
    }

    /// A named token that stands around a text, with its id.
    fn framing_token(&self, tokenizer: &Tokenizer, name: &str) -> Result<(String, u32)> {
        let token = self.token(name).unwrap_or_default();
        match tokenizer.token_to_id(token) {
            Some(id) => Ok((token.to_owned(), id)),
            None => Err(refuse(&self.path, format!("{name} is {token:?}, which is no token"))),
        }
    }

    /// Puts the special tokens of a pair of texts around the two, as the class of the tokenizer does: BERT has one token
    /// between the two, all others have two. `tokenizer` is one that [`apply`](Self::apply) changed.
    pub(crate) fn frame_pairs(&self, tokenizer: &mut Tokenizer) -> Result<()> {
        let (first, last) = match self.class {
            _ if !self.class.takes(tokenizer.get_model()) => return Ok(()),
            Class::AsWritten => return Ok(()),
            Class::XlmRoberta => ("bos_token", "eos_token"),
            Class::Bert | Class::MpNet | Class::Roberta => ("cls_token", "sep_token"),
        };
        let (first, last) = (self.framing_token(tokenizer, first)?, self.framing_token(tokenizer, last)?);
        match self.class {
            Class::Bert => tokenizer.with_post_processor(Some(BertProcessing::new(last, first))),
            _ => tokenizer.with_post_processor(Some(RobertaProcessing::new(last, first))),
        };
        Ok(())
    }

    /// Whether the network is told which of two texts a token is of.
    pub(crate) fn gives_types(&self) -> bool {
        match self.get("model_input_names").and_then(Value::as_array) {
            Some(names) => names.iter().any(|name| name == "token_type_ids"),
            None => matches!(self.class, Class::Bert | Class::AsWritten),
        }
    }

    /// Adds the tokens that the settings name. A class that builds its tokenizer anew has no others.
    fn add_tokens(&self, tokenizer: &mut Tokenizer, class: Class, changes: &mut String) -> Result<()> {
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

/// Has `tokenizer` lower-case texts first, unless a part of it does: `do_lower_case` of sentence-transformers.
pub(crate) fn lower_case(tokenizer: &mut Tokenizer) -> tokenizers::Result<()> {
    let mut parts = match tokenizer.get_normalizer().cloned() {
        None => Vec::new(),
        Some(NormalizerWrapper::Sequence(parts)) => parts.into_iter().collect(),
        Some(part) => vec![part],
    };
    if !parts.iter().any(|part| matches!(part, NormalizerWrapper::Lowercase(_))) {
        parts.insert(0, NormalizerWrapper::Lowercase(Lowercase));
        tokenizer.with_normalizer(Some(NormalizerWrapper::Sequence(Normalizers::new(parts))))?;
    }
    Ok(())
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

fn read_listed(path: &Path, tokens: &Map<String, Value>) -> Result<BTreeMap<u32, AddedToken>> {
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

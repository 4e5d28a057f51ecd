//! A tokenizer as the class that the settings name builds it.

use tokenizers::normalizers::{BertNormalizer, Lowercase, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{ModelWrapper, NormalizerWrapper, Tokenizer};

use super::TokenizerConfig;
use super::class::Class;
use crate::Result;
use crate::files::refuse;

impl TokenizerConfig {
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

    /// Puts the tokens around a text that a model of sentencepiece alone is given: those that `add_bos_token` and
    /// `add_eos_token` ask for. `tokenizer` is one that [`apply`](Self::apply) changed.
    pub(crate) fn frame_whole_model(&self, tokenizer: &mut Tokenizer, changes: &mut String) -> Result<()> {
        let asked = |flag: &str, name: &str| match self.flag(flag)? {
            Some(true) => self.framing_token(tokenizer, name).map(Some),
            _ => Ok(None),
        };
        let (first, last) = (asked("add_bos_token", "bos_token")?, asked("add_eos_token", "eos_token")?);
        if first.is_none() && last.is_none() {
            return Ok(());
        }
        let around = |text: &str, kind: u32| -> Vec<String> {
            let named =
                |token: &Option<(String, u32)>| token.as_ref().map(|(name, _)| format!("{name}:{kind}"));
            named(&first).into_iter().chain([format!("{text}:{kind}")]).chain(named(&last)).collect()
        };
        let (single, pair) = (around("$A", 0), [around("$A", 0), around("$B", 1)].concat());
        let named: Vec<(String, u32)> = first.into_iter().chain(last).collect();
        *changes += &format!(" template {named:?}");
        let cannot = |reason: String| {
            refuse(&self.path, format!("the tokens around a text cannot be set as it says: {reason}"))
        };
        let mut builder = TemplateProcessing::builder();
        builder
            .try_single(single)
            .and_then(|builder| builder.try_pair(pair))
            .map_err(cannot)?
            .special_tokens(named);
        let processor = builder.build().map_err(|error| cannot(error.to_string()))?;
        tokenizer.with_post_processor(Some(processor));
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

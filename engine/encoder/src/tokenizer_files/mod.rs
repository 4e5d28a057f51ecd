//! The files that a tokenizer is made of: `tokenizer.json`, or a vocabulary alone, as models of some years ago have.
//!
//! A vocabulary is no tokenizer yet: the settings beside it say how a text is cut into its words (`tokenizer_config`).

mod sentencepiece;
mod whole;

use std::path::{Path, PathBuf};

use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{ModelWrapper, Tokenizer};

use crate::Result;
use crate::files::{read_file, refuse};

/// The names that vocabularies of sentencepiece are kept under.
const SENTENCE_PIECES: [&str; 5] =
    ["sentencepiece.bpe.model", "spiece.model", "spm.model", "sentencepiece.model", "tokenizer.model"];

/// Every file that a tokenizer may be made of: `tokenizer.json` counts first.
#[cfg(feature = "hub")]
pub(crate) const TOKENIZER_FILES: [&str; 9] = [
    "tokenizer.json",
    "vocab.txt",
    SENTENCE_PIECES[0],
    SENTENCE_PIECES[1],
    SENTENCE_PIECES[2],
    SENTENCE_PIECES[3],
    SENTENCE_PIECES[4],
    "vocab.json",
    "merges.txt",
];

/// What a folder has.
#[derive(Debug, PartialEq)]
pub(crate) enum TokenizerFile {
    /// `tokenizer.json`, whether it is there or not.
    Whole(PathBuf),
    /// `vocab.txt`: a word piece a line.
    WordPieces(PathBuf),
    /// A model of sentencepiece.
    SentencePieces(PathBuf),
    /// `vocab.json`, and the merges beside it.
    BytePairs { vocabulary: PathBuf, merges: PathBuf },
}

impl TokenizerFile {
    /// The first that is in a folder.
    pub(crate) fn find(folder: &Path) -> Self {
        let at = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let whole = folder.join("tokenizer.json");
        if whole.is_file() {
            return Self::Whole(whole);
        }
        if let Some(path) = at("vocab.txt") {
            return Self::WordPieces(path);
        }
        if let Some(path) = SENTENCE_PIECES.into_iter().find_map(at) {
            return Self::SentencePieces(path);
        }
        match (at("vocab.json"), at("merges.txt")) {
            (Some(vocabulary), Some(merges)) => Self::BytePairs { vocabulary, merges },
            _ => Self::Whole(whole),
        }
    }

    /// The file, for an error to name.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Whole(path) | Self::WordPieces(path) | Self::SentencePieces(path) => path,
            Self::BytePairs { vocabulary, .. } => vocabulary,
        }
    }

    /// Whether it is a vocabulary alone.
    pub(crate) fn is_vocabulary(&self) -> bool {
        !matches!(self, Self::Whole(_))
    }

    /// Whether such a tokenizer is a vocabulary of sentencepiece that says itself how texts are cut: one of BPE.
    pub(crate) fn is_whole_model(&self, tokenizer: &Tokenizer) -> bool {
        matches!(self, Self::SentencePieces(_)) && matches!(tokenizer.get_model(), ModelWrapper::BPE(_))
    }

    /// The content of each file.
    pub(crate) fn bytes(&self) -> Result<Vec<Vec<u8>>> {
        match self {
            Self::BytePairs { vocabulary, merges } => Ok(vec![read_file(vocabulary)?, read_file(merges)?]),
            one => Ok(vec![read_file(one.path())?]),
        }
    }

    /// The tokenizer; of a vocabulary alone, one that cuts nothing and adds nothing yet.
    pub(crate) fn load(&self) -> Result<Tokenizer> {
        let path = self.path();
        let unreadable =
            |error: tokenizers::Error| refuse(path, format!("not a tokenizer that Akin can read: {error}"));
        match self {
            Self::Whole(path) => whole::load(&read_file(path)?).map_err(unreadable),
            Self::WordPieces(path) => word_pieces(&read_file(path)?).map_err(unreadable),
            Self::SentencePieces(path) => {
                sentencepiece::load(&read_file(path)?).map_err(|reason| refuse(path, reason))
            }
            Self::BytePairs { vocabulary, merges } => byte_pairs(vocabulary, merges).map_err(unreadable),
        }
    }
}

/// A word piece a line, its number that of the line.
fn word_pieces(file: &[u8]) -> tokenizers::Result<Tokenizer> {
    let model = WordPiece::builder().vocab(WordPiece::read_bytes(file)?).build()?;
    Ok(Tokenizer::new(model))
}

/// A vocabulary with the pairs that are merged, the first pair first.
fn byte_pairs(vocabulary: &Path, merges: &Path) -> tokenizers::Result<Tokenizer> {
    let [vocabulary, merges] = [vocabulary, merges].map(|path| path.to_str().ok_or("the path is not UTF-8"));
    let (vocabulary, merges) = BPE::read_file(vocabulary?, merges?)?;
    let model = BPE::builder().vocab_and_merges(vocabulary, merges).build()?;
    Ok(Tokenizer::new(model))
}

//! The tokenizer classes of transformers, and what each builds anew.

use tokenizers::ModelWrapper;

/// What a tokenizer class of transformers builds anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Bert,
    MpNet,
    Roberta,
    XlmRoberta,
    /// Nothing: `tokenizer.json` counts as it is written.
    AsWritten,
}

impl Class {
    pub(super) fn of(name: &str) -> Self {
        match name.strip_suffix("Fast").unwrap_or(name) {
            "BertTokenizer"
            | "DistilBertTokenizer"
            | "ElectraTokenizer"
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
    pub(super) fn default_token(self, name: &str) -> Option<&'static str> {
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
    pub(super) fn takes(self, model: &ModelWrapper) -> bool {
        match self {
            Self::Bert | Self::MpNet => matches!(model, ModelWrapper::WordPiece(_)),
            Self::Roberta => matches!(model, ModelWrapper::BPE(_)),
            Self::XlmRoberta => matches!(model, ModelWrapper::Unigram(_)),
            Self::AsWritten => true,
        }
    }
}

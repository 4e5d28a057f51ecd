//! `config.json`: the shape of the network.

/// The two architectures of the paper (section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    Bert,
    Roberta,
}

/// The shape of a BERT or RoBERTa network, in the names of its `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BertConfig {
    pub architecture: Architecture,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub layer_norm_eps: f64,
    /// The position of the first token: 0 for BERT, `pad_token_id + 1` for RoBERTa.
    pub position_offset: usize,
}

/// How the vectors of the tokens become the vector of the sentence (section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The mean over the tokens.
    Mean,
    /// The vector of the first token.
    Cls,
    /// The greatest value over the tokens, dimension by dimension.
    Max,
}

//! What a network computes, where families differ. The default is BERT's.

use akin_kernels::activation::Activation;

/// All of a network that is no size: what its parts compute, and in which order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Form {
    /// The width of the embeddings, which a linear layer brings to the hidden size where it is another.
    pub embedding_size: usize,
    /// Whether there is a table of positions that is added to the words.
    pub position_table: bool,
    /// What the embeddings of the words are multiplied by.
    pub embedding_scale: f32,
    /// Whether the embeddings are normalised.
    pub embedding_norm: bool,
    /// Heads of keys and values: a divisor of the heads of queries.
    pub key_value_heads: usize,
    /// Numbers of a head.
    pub head_dim: usize,
    /// What scores are multiplied by.
    pub score_scale: f32,
    /// What is added to scores.
    pub bias: BiasForm,
    /// Whether the vectors of distances are normalised, where scores depend on such.
    pub relative_norm: bool,
    /// Whether they are projected as keys and queries are, and not by weights of their own.
    pub relative_shared: bool,
    /// Whether a token sees only itself and the tokens before it.
    pub causal: bool,
    /// Whether queries and keys are normalised, each head by itself.
    pub head_norms: bool,
    /// What layers have beside: repeated for as many layers as there are.
    pub layers: Vec<LayerForm>,
    /// Where a sublayer is normalised.
    pub order: NormOrder,
    /// Whether norms have a bias; the linear layers of the attention; those of the feed-forward network.
    pub norm_bias: bool,
    pub attention_bias: bool,
    pub feed_forward_bias: bool,
    /// Whether norms subtract the mean: those of RMS do not.
    pub centred_norms: bool,
    /// Added to the weights of norms.
    pub norm_offset: f32,
    /// Whether the last hidden states are normalised once more.
    pub final_norm: bool,
    /// The function between the two products of the feed-forward network.
    pub activation: Activation,
    /// Whether the feed-forward network has a gate beside it.
    pub gated: bool,
    /// Which set of weights each layer has, where layers share them. Empty: each its own.
    pub shared: Vec<usize>,
}

/// What layers of one network differ in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LayerForm {
    /// The base of the angles by which positions turn queries and keys.
    pub rotary: Option<f64>,
    /// How far a token sees in either direction.
    pub window: Option<usize>,
}

/// What is added to scores by the distance of two tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum BiasForm {
    /// Nothing.
    None,
    /// A learned number for each head and bucket of distances (Raffel et al. 2020).
    Buckets {
        /// Buckets, of both directions.
        count: usize,
        /// From this distance on all are in the last bucket of their direction.
        farthest: usize,
    },
    /// What a query says to the distance of a key, and a key to that of a query (He et al. 2021).
    Disentangled {
        /// Buckets of each direction, if distances share any.
        buckets: Option<usize>,
        /// From this distance on all are alike.
        farthest: usize,
        /// Whether queries are asked (`c2p`).
        of_queries: bool,
        /// Whether keys are asked (`p2c`).
        of_keys: bool,
    },
    /// The distance times a slope of each head (Press et al. 2022), in both directions.
    Slopes,
}

/// Where a sublayer is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NormOrder {
    /// After its output was added to its input.
    After,
    /// Before it; its input is added to its output as it is.
    Before,
    /// Before it, and its output again before that is added.
    Around,
}

impl BiasForm {
    /// Rows of the vectors of distances.
    pub fn relative_rows(self) -> usize {
        match self {
            Self::Disentangled { buckets, farthest, .. } => 2 * buckets.unwrap_or(farthest),
            _ => 0,
        }
    }

    /// Whether queries are asked for what they say to distances, and whether keys are.
    #[cfg(feature = "burn")]
    pub fn asked(self) -> [bool; 2] {
        match self {
            Self::Disentangled { of_queries, of_keys, .. } => [of_queries, of_keys],
            _ => [false, false],
        }
    }

    /// How many learned numbers there are for so many heads.
    #[cfg(feature = "burn")]
    pub fn numbers(self, heads: usize) -> usize {
        match self {
            Self::Buckets { count, .. } => count * heads,
            _ => 0,
        }
    }
}

impl Form {
    /// BERT's (Devlin et al. 2019).
    pub fn bert(hidden_size: usize, heads: usize) -> Self {
        let head_dim = hidden_size / heads.max(1);
        Self {
            embedding_size: hidden_size,
            position_table: true,
            embedding_scale: 1.0,
            embedding_norm: true,
            key_value_heads: heads,
            head_dim,
            score_scale: 1.0 / (head_dim as f32).sqrt(),
            bias: BiasForm::None,
            relative_norm: false,
            relative_shared: false,
            causal: false,
            head_norms: false,
            layers: vec![LayerForm { rotary: None, window: None }],
            order: NormOrder::After,
            norm_bias: true,
            attention_bias: true,
            feed_forward_bias: true,
            centred_norms: true,
            norm_offset: 0.0,
            final_norm: false,
            activation: Activation::Gelu,
            gated: false,
            shared: Vec::new(),
        }
    }

    /// What layer `number` has beside.
    pub fn layer(&self, number: usize) -> LayerForm {
        self.layers[number % self.layers.len()]
    }
}

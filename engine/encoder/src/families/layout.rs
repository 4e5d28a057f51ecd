//! Where the weights of each part of a network are: names, shapes, and rows of tensors that hold several parts.

use std::collections::BTreeMap;

/// The tensors of a network.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Layout {
    /// `[vocab_size, embedding_size]`
    pub words: String,
    /// `[max_position_embeddings, embedding_size]`
    pub positions: Option<String>,
    /// `[type_vocab_size, embedding_size]`
    pub types: Option<String>,
    /// Of the sum of these.
    pub embedding_norm: Option<NormRef>,
    /// From `embedding_size` to `hidden_size`.
    pub projection: Option<LinearRef>,
    /// `[buckets, heads]`: what is added to scores by distance.
    pub bias: Option<String>,
    /// The vectors of distances, `[2 * buckets, hidden_size]`.
    pub relative: Option<String>,
    /// Of these.
    pub relative_norm: Option<NormRef>,
    /// Each set of weights of a layer.
    pub layers: Vec<LayerTensors>,
    /// Of the last hidden states.
    pub final_norm: Option<NormRef>,
}

/// The tensors of a layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerTensors {
    /// Of the input of the attention.
    pub before_attention: Option<NormRef>,
    pub query: LinearRef,
    pub key: LinearRef,
    pub value: LinearRef,
    /// Of each head of the queries, and of the keys.
    pub head_norms: Option<[NormRef; 2]>,
    /// What projects the vectors of distances for the queries, and for the keys.
    pub relative: [Option<LinearRef>; 2],
    pub attention_output: LinearRef,
    /// Of the output of the attention, with or without its input.
    pub after_attention: Option<NormRef>,
    /// Of the input of the feed-forward network.
    pub before_feed_forward: Option<NormRef>,
    /// What the activation is applied to where there is a gate.
    pub gate: Option<LinearRef>,
    pub up: LinearRef,
    pub down: LinearRef,
    /// Of the output of the feed-forward network, with or without its input.
    pub after_feed_forward: Option<NormRef>,
}

/// A linear layer, or rows of one that holds several side by side.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LinearRef {
    pub weight: String,
    pub bias: Option<String>,
    /// The first of its rows in the tensors.
    pub first: usize,
    /// How many rows the tensors have.
    pub rows: usize,
    /// Its own rows: the width of its output.
    pub out: usize,
    /// The width of its input.
    pub inner: usize,
}

/// A normalisation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NormRef {
    pub weight: String,
    pub bias: Option<String>,
    pub width: usize,
}

impl LinearRef {
    /// The linear layer `name` with a bias.
    pub fn new(name: impl Into<String>, out: usize, inner: usize) -> Self {
        let name = name.into();
        Self { bias: Some(format!("{name}.bias")), ..Self::unbiased(name, out, inner) }
    }

    /// The linear layer `name` without a bias.
    pub fn unbiased(name: impl Into<String>, out: usize, inner: usize) -> Self {
        let weight = format!("{}.weight", name.into());
        Self { weight, bias: None, first: 0, rows: out, out, inner }
    }

    /// Rows of this layer: `out` of them from `first` on.
    pub fn part(&self, first: usize, out: usize) -> Self {
        Self { first: self.first + first, out, ..self.clone() }
    }

    /// Without its bias, unless `biased`.
    pub fn biased(self, biased: bool) -> Self {
        Self { bias: self.bias.filter(|_| biased), ..self }
    }
}

impl NormRef {
    /// The normalisation `name` with a bias.
    pub fn new(name: impl Into<String>, width: usize) -> Self {
        let name = name.into();
        Self { bias: Some(format!("{name}.bias")), ..Self::unbiased(name, width) }
    }

    /// The normalisation `name` without a bias.
    pub fn unbiased(name: impl Into<String>, width: usize) -> Self {
        Self { weight: format!("{}.weight", name.into()), bias: None, width }
    }

    /// Without its bias, unless `biased`.
    pub fn biased(self, biased: bool) -> Self {
        Self { bias: self.bias.filter(|_| biased), ..self }
    }
}

impl LayerTensors {
    /// Each linear layer.
    pub fn linears(&self) -> impl Iterator<Item = &LinearRef> {
        let all = [&self.query, &self.key, &self.value, &self.attention_output, &self.up, &self.down];
        all.into_iter().chain(&self.gate).chain(self.relative.iter().flatten())
    }

    /// Each normalisation.
    pub fn norms(&self) -> impl Iterator<Item = &NormRef> {
        let all = [
            &self.before_attention,
            &self.after_attention,
            &self.before_feed_forward,
            &self.after_feed_forward,
        ];
        all.into_iter().flatten().chain(self.head_norms.iter().flatten())
    }
}

impl Layout {
    /// Shape of each tensor by name, for a network of these sizes; `tables` are the rows of words, positions and types,
    /// `bias` and `relative` the shapes of what scores depend on.
    pub fn shapes(
        &self,
        tables: [usize; 3],
        embedding_size: usize,
        bias: [usize; 2],
        relative: [usize; 2],
    ) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = BTreeMap::new();
        let named = [Some(&self.words), self.positions.as_ref(), self.types.as_ref()];
        for (name, rows) in named.into_iter().zip(tables) {
            shapes.extend(name.map(|name| (name.clone(), vec![rows, embedding_size])));
        }
        shapes.extend(self.bias.iter().map(|name| (name.clone(), bias.to_vec())));
        shapes.extend(self.relative.iter().map(|name| (name.clone(), relative.to_vec())));
        let linears = self.layers.iter().flat_map(LayerTensors::linears).chain(&self.projection);
        for linear in linears {
            shapes.insert(linear.weight.clone(), vec![linear.rows, linear.inner]);
            shapes.extend(linear.bias.iter().map(|bias| (bias.clone(), vec![linear.rows])));
        }
        let norms = self.layers.iter().flat_map(LayerTensors::norms);
        for norm in norms.chain(&self.embedding_norm).chain(&self.final_norm).chain(&self.relative_norm) {
            for name in [Some(&norm.weight), norm.bias.as_ref()].into_iter().flatten() {
                shapes.insert(name.clone(), vec![norm.width]);
            }
        }
        shapes
    }
}

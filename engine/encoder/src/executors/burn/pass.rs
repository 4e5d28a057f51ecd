//! What a forward pass is made over. Inference pads all of it; training keeps the tokens of all sentences end to end, and
//! pads them for the attention alone.

use akin_kernels::activation::Activation;
use burn::nn::Embedding;
use burn::tensor::activation::{gelu, gelu_approximate, relu, silu};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Int, Tensor};

use super::PaddedBatch;
use super::norm::Norm;

/// Tokens as the rows of matrices, `[tokens, width]`, and what is computed with them in more than one way.
pub trait Pass {
    /// How many sentences there are, and the tokens of the longest.
    fn dims(&self) -> [usize; 2];

    /// The word embedding of each token, `[tokens, width]`.
    fn words(&self, table: &Embedding) -> Tensor<2>;

    /// The row of the position embeddings of each token.
    fn positions(&self) -> Tensor<1, Int>;

    /// The type of each token; none where all are of type 0.
    fn types(&self) -> Option<Tensor<1, Int>>;

    /// True where a token must not look, `[sentences, 1, longest, longest]`; none where nothing is padded.
    fn mask(&self) -> Option<Tensor<4, Bool>>;

    /// `[tokens, width]` to `[sentences * longest, width]`.
    fn by_sentence(&self, tokens: Tensor<2>) -> Tensor<2>;

    /// The reverse of [`by_sentence`](Self::by_sentence).
    fn by_token(&self, sentences: Tensor<2>) -> Tensor<2>;

    /// Hidden states after dropout.
    fn dropped(&self, hidden: Tensor<2>) -> Tensor<2>;

    /// Rows normalised by a norm of the network.
    fn normalized(&self, norm: &Norm, rows: Tensor<2>) -> Tensor<2>;

    /// Values after the activation.
    fn activated(&self, activation: Activation, values: Tensor<2>) -> Tensor<2>;

    /// Queries, keys and values, `[sentences, heads, longest, dim]`, to what the heads attend to. `bias` is added to
    /// scores after they were multiplied by `scale`.
    fn attend(&self, heads: [Tensor<4>; 3], bias: Option<Tensor<4>>, scale: f32) -> Tensor<4>;
}

impl Pass for PaddedBatch {
    fn dims(&self) -> [usize; 2] {
        self.ids.dims()
    }

    fn words(&self, table: &Embedding) -> Tensor<2> {
        let [rows, longest] = self.dims();
        let words = table.forward(self.ids.clone());
        let [_, _, width] = words.dims();
        words.reshape([rows * longest, width])
    }

    fn positions(&self) -> Tensor<1, Int> {
        let [rows, longest] = self.dims();
        self.positions.clone().reshape([rows * longest])
    }

    fn types(&self) -> Option<Tensor<1, Int>> {
        // One sentence at a time.
        None
    }

    fn mask(&self) -> Option<Tensor<4, Bool>> {
        self.attention_mask()
    }

    fn by_sentence(&self, tokens: Tensor<2>) -> Tensor<2> {
        tokens
    }

    fn by_token(&self, sentences: Tensor<2>) -> Tensor<2> {
        sentences
    }

    fn dropped(&self, hidden: Tensor<2>) -> Tensor<2> {
        hidden
    }

    fn normalized(&self, norm: &Norm, rows: Tensor<2>) -> Tensor<2> {
        norm.forward(rows)
    }

    fn activated(&self, activation: Activation, values: Tensor<2>) -> Tensor<2> {
        activate(activation, values)
    }

    fn attend(&self, heads: [Tensor<4>; 3], bias: Option<Tensor<4>>, scale: f32) -> Tensor<4> {
        let [query, key, value] = heads;
        let options = AttentionModuleOptions { scale: Some(f64::from(scale)), ..Default::default() };
        attention(query, key, value, self.mask(), bias, options)
    }
}

/// An activation by burn's operations.
pub fn activate(activation: Activation, x: Tensor<2>) -> Tensor<2> {
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_approximate(x),
        Activation::Relu => relu(x),
        Activation::Silu => silu(x),
    }
}

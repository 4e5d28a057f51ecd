//! Gradients of a large batch in the memory of a small one (GradCache, Gao et al. 2021).
//!
//! All sentences are embedded without keeping activations. The loss of the whole batch gives the gradient of each
//! embedding. Then the sentences are embedded again, a few at a time, and each few pass their gradients on.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::device;
use crate::Result;
use crate::autodiff::Randomness;
use crate::base::BaseModel;
use crate::example::{Example, sentences_of};
use crate::gradients::ParameterGradients;
use crate::network::{Conditions, Network};
use crate::objective::Goal;

/// The loss of a batch and its gradients, with the activations of at most `at_once` sentences in memory. The gradient of
/// the word embeddings goes where the conditions say.
///
/// # Errors
/// As [`Network::loss_of_embeddings`].
pub(super) fn loss_and_gradients(
    network: &Network,
    base: &BaseModel,
    goal: Goal<'_>,
    examples: &[&Example],
    conditions: &Conditions<'_>,
    at_once: usize,
) -> Result<(f32, ParameterGradients)> {
    let sentences = sentences_of(examples);
    // Both passes drop the same values.
    let of_chunk = |number: usize| {
        let seed = conditions.randomness.seed.wrapping_add((number as u64) << 40);
        Conditions { randomness: Randomness { seed, ..conditions.randomness }, ..*conditions }
    };
    let plain = network.clone().no_grad();
    let mut values: Vec<f32> = Vec::new();
    for (number, chunk) in sentences.chunks(at_once).enumerate() {
        let conditions = Conditions { words: None, ..of_chunk(number) };
        let embeddings = plain.embed(base, chunk, &conditions).inner().into_data();
        values.extend(embeddings.as_slice::<f32>().expect("embeddings are f32"));
    }
    let width = base.dimension();
    let embeddings =
        Tensor::<2>::from_data(TensorData::new(values, [sentences.len(), width]), &device()).require_grad();
    let loss = network.loss_of_embeddings(goal, examples, embeddings.clone())?;
    let value: f32 = loss.clone().inner().into_scalar();
    let mut gradients = loss.backward();
    let upstream = embeddings.grad_remove(&mut gradients).expect("a loss depends on its embeddings");
    let upstream = upstream.into_data();
    let upstream = upstream.as_slice::<f32>().expect("gradients are f32");
    let mut sums = ParameterGradients::of(network, gradients);
    for (number, chunk) in sentences.chunks(at_once).enumerate() {
        let place = number * at_once * width..(number * at_once + chunk.len()) * width;
        let own = TensorData::new(upstream[place].to_vec(), [chunk.len(), width]);
        let own = Tensor::<2>::from_data(own, &device());
        let passed_on = (network.embed(base, chunk, &of_chunk(number)) * own).sum();
        sums.add(network, passed_on.backward());
    }
    Ok((value, sums))
}

//! Compares the operations of training with the reference: the plain burn module under burn's own autodiff.

use std::path::Path;

use akin_encoder::Pooling;
use akin_encoder::burn::{self as reference, PaddedBatch};
use akin_fixtures::families::networks;
use akin_fixtures::models::ModelCopy;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::{Randomness, SparseGradient, forward, pool};
use crate::base::BaseModel;
use crate::encoder::Encoder;

const TEXTS: [&str; 5] = [
    "A man is feeding the ducks by the pond.",
    "ok",
    "Heavy snow closed the mountain road, and nobody could say when it would open again.",
    "",
    "The shop opens at nine.",
];

fn base(name: &str) -> BaseModel {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/models").join(name);
    BaseModel::open(&dir, None, None).unwrap()
}

/// A random network of a family. Its directory lasts as long as the second value.
fn of_family(name: &str) -> (BaseModel, ModelCopy) {
    let (networks, _) = networks();
    let network = networks.iter().find(|network| network.name == name).unwrap();
    let model = network.model("mean");
    (BaseModel::open(model.path(), None, None).unwrap(), model)
}

/// Families that differ in what their layers compute.
const DESCRIBED: [&str; 13] = [
    "modernbert",
    "modernbert-biases",
    "deberta-v3",
    "deberta-v2",
    "deberta-unshared",
    "nomic-published",
    "gte-published",
    "jina-v2-heads",
    "albert-groups",
    "t5-gated",
    "qwen3-biases",
    "gemma3",
    "bert-gelu_new",
];

/// The gradient of each parameter, in the order of the module; empty for one that the network does not read.
fn gradients(bert: &Encoder, gradients: Gradients) -> Vec<Vec<f32>> {
    struct Collect(Gradients, Vec<Vec<f32>>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = param.val().grad_remove(&mut self.0);
            self.1.push(
                gradient.map_or_else(Vec::new, |gradient| gradient.into_data().try_into_vec().unwrap()),
            );
        }
    }
    let mut collected = Collect(gradients, Vec::new());
    bert.visit(&mut collected);
    collected.1
}

/// The hidden states by the reference.
fn plain(encoder: &Encoder, padded: &PaddedBatch) -> Tensor<3> {
    match encoder {
        Encoder::Bert(bert) => bert.forward(padded),
        Encoder::Described(network) => network.hidden_states(padded),
    }
}

/// A loss that depends on every value, on each in another way.
fn loss(pooled: Tensor<2>) -> Tensor<1> {
    let [rows, width] = pooled.dims();
    let weights: Vec<f32> = (0..rows * width).map(|i| ((i * 37) % 19) as f32 / 19.0 - 0.4).collect();
    let weights = Tensor::from_data(TensorData::new(weights, [rows, width]), &pooled.device());
    (pooled.clone() * pooled.clone() * weights.clone() + pooled * weights).sum()
}

#[test]
fn loss_and_every_gradient_are_those_of_the_reference() {
    let device = Device::flex().autodiff();
    let (mpnet, _model) = of_family("mpnet");
    let bert =
        [("tiny-bert", base("tiny-bert"), 0), ("tiny-roberta", base("tiny-roberta"), 0), ("mpnet", mpnet, 1)];
    let (described, _models): (Vec<_>, Vec<_>) = DESCRIBED
        .map(|name| {
            let (base, model) = of_family(name);
            ((name, base, 0), model)
        })
        .into_iter()
        .unzip();
    for (name, base, unread) in bert.into_iter().chain(described) {
        let bert = base.network(&device).unwrap();
        let tokens = base.tokenize(&TEXTS).unwrap();
        let sentences: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
        for pooling in [Pooling::Mean, Pooling::Cls, Pooling::Max] {
            let padded = PaddedBatch::new(&sentences, &base.dir.config, &device);
            let expected = loss(reference::pool(plain(&bert, &padded), &padded.lengths, pooling));
            let ragged = base.batch(&sentences);
            let found =
                loss(pool(forward(&bert, None, &ragged, &Randomness::none(), None), &ragged, pooling));
            let value = |loss: &Tensor<1>| loss.clone().inner().into_scalar::<f32>();
            let scale = value(&expected).abs().max(1.0);
            assert!((value(&expected) - value(&found)).abs() < 1e-4 * scale, "{name} {pooling:?}");

            let expected = gradients(&bert, expected.backward());
            let found = gradients(&bert, found.backward());
            // MPNet has no types of tokens.
            assert_eq!(expected.iter().filter(|gradient| gradient.is_empty()).count(), unread, "{name}");
            for (number, (expected, found)) in expected.iter().zip(&found).enumerate() {
                let scale = expected.iter().map(|x| x.abs()).fold(1e-2, f32::max);
                assert_eq!(expected.len(), found.len());
                for (expected, found) in expected.iter().zip(found) {
                    assert!(
                        (expected - found).abs() < 2e-4 * scale,
                        "{name} {pooling:?}, parameter {number}: {found} is not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_sparse_gradient_is_the_dense_one_without_its_zeros() {
    let device = Device::flex().autodiff();
    let (modernbert, _model) = of_family("modernbert");
    for base in [base("tiny-bert"), modernbert] {
        let bert = base.network(&device).unwrap();
        let tokens = base.tokenize(&TEXTS).unwrap();
        let batch = base.batch(&tokens.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let run = |sparse: Option<&SparseGradient>| {
            loss(pool(forward(&bert, None, &batch, &Randomness::none(), sparse), &batch, Pooling::Mean))
        };
        // The words are the first parameter of the module.
        let dense = gradients(&bert, run(None).backward()).swap_remove(0);
        let sparse = SparseGradient::default();
        let _ = run(Some(&sparse)).backward();
        let rows = sparse.take();
        assert!(!rows.is_empty() && sparse.take().is_empty());
        for (number, dense) in dense.chunks_exact(base.dimension()).enumerate() {
            match rows.get(&(number as u32)) {
                Some(row) => row.iter().zip(dense).for_each(|(a, b)| assert!((a - b).abs() < 1e-5)),
                None => assert!(dense.iter().all(|value| *value == 0.0)),
            }
        }
    }
}

/// With dropout there is no reference: the loss must change along a direction as the gradient says.
#[test]
fn gradients_under_dropout_are_the_slopes_of_the_loss() {
    slopes_under_dropout(&base("tiny-bert"));
    for name in ["mpnet", "modernbert", "deberta-v3", "albert"] {
        slopes_under_dropout(&of_family(name).0);
    }
}

fn slopes_under_dropout(base: &BaseModel) {
    let device = Device::flex().autodiff();
    let randomness = Randomness { hidden_dropout: 0.2, attention_dropout: 0.2, seed: 5 };
    let tokens = base.tokenize(&TEXTS).unwrap();
    let sentences: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
    let batch = base.batch(&sentences);
    let of =
        |bert: &Encoder| loss(pool(forward(bert, None, &batch, &randomness, None), &batch, Pooling::Mean));
    let bert = base.network(&device).unwrap();
    let gradients = gradients(&bert, of(&bert).backward());
    let length = gradients.iter().flatten().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    // A step of this length along the gradient, forth and back.
    let step = 1e-2;
    let moved = |sign: f64| {
        struct Move<'a>(std::slice::Iter<'a, Vec<f32>>, f64);
        impl burn::module::ModuleMapper for Move<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let gradient = self.0.next().unwrap().clone();
                if gradient.is_empty() {
                    return param;
                }
                param.map(|tensor| {
                    let shape = tensor.dims();
                    let step = Tensor::<D>::from_data(TensorData::new(gradient, shape), &Device::flex());
                    (tensor.inner() + step * self.1 as f32).autodiff().require_grad()
                })
            }
        }
        let bert = bert.clone().map(&mut Move(gradients.iter(), sign * step / length));
        f64::from(of(&bert).inner().into_scalar::<f32>())
    };
    let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
    assert!((slope - length).abs() < 0.02 * length, "the slope is {slope}, the gradient says {length}");
    let plain = loss(pool(forward(&bert, None, &batch, &Randomness::none(), None), &batch, Pooling::Mean));
    let value = |loss: Tensor<1>| loss.inner().into_scalar::<f32>();
    assert_ne!(value(plain), value(of(&bert)));
}

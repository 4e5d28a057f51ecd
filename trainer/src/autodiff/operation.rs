//! Operations of our own in burn's autodiff graph.

use std::fmt;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::module::Param;
use burn::tensor::{Shape, Tensor, TensorData};

/// A tensor of burn's Flex backend.
pub(super) type FlexFloats = FloatTensor<Flex>;

/// The f32 values of a tensor, which are in one piece.
pub(super) fn values(tensor: &FlexFloats) -> &[f32] {
    tensor.as_slice().expect("parameters and activations are contiguous f32")
}

/// The gradients of all inputs of an operation, from that of its output. The last argument says which are used: the others
/// may be empty.
type Gradient<const N: usize> = dyn Fn(&[FlexFloats; N], &[f32], &[bool; N]) -> [Vec<f32>; N] + Send + Sync;

/// One operation with `N` inputs, and the values that its gradient is computed from.
#[derive(Clone)]
struct Recorded<const N: usize> {
    inputs: [FlexFloats; N],
    gradient: Arc<Gradient<N>>,
}

impl<const N: usize> fmt::Debug for Recorded<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Own;

impl<const N: usize> Backward<Flex, N> for Own {
    type State = Recorded<N>;

    fn backward(self, ops: Ops<Recorded<N>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = grads.consume::<Flex>(&ops.node);
        // A broadcast or transposed tensor is not contiguous.
        let upstream = if upstream.as_slice::<f32>().is_some() { upstream } else { upstream.to_contiguous() };
        let Recorded { inputs, gradient } = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = gradient(&inputs, values(&upstream), &wanted);
        for ((parent, gradient), input) in ops.parents.into_iter().zip(gradients).zip(&inputs) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, tensor(gradient, input.shape()));
            }
        }
    }
}

/// Puts an operation into the graph: `output` was computed from `inputs`, and `gradient` gives their gradients from
/// its. An input that needs none may get an empty one.
pub(super) fn record<const N: usize>(
    inputs: [Tensor<2>; N],
    compute: impl FnOnce(&[FlexFloats; N]) -> (Vec<f32>, [usize; 2], Arc<Gradient<N>>),
) -> Tensor<2> {
    let tracked = inputs.map(|input| {
        input.try_into_primitive::<Autodiff<Flex>>().expect("training runs on Flex's autodiff device")
    });
    let nodes = tracked.each_ref().map(|input| input.node());
    let primitives = tracked.map(|input| {
        let input: FlexFloats = input.into_primitive();
        if input.as_slice::<f32>().is_some() { input } else { input.to_contiguous() }
    });
    let (output, shape, gradient) = compute(&primitives);
    let output = tensor(output, Shape::from(shape));
    let recorded = match Own.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(Recorded { inputs: primitives, gradient }, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(recorded)
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexFloats {
    FlexFloats::from_data(TensorData::new(values, shape))
}

/// A parameter as an input of [`record`]; a vector becomes one row.
pub(super) fn input<const D: usize>(param: &Param<Tensor<D>>) -> Tensor<2> {
    let tensor = param.val();
    if D == 2 {
        // The same tensor with a rank that is known at compile time.
        Tensor::from_dispatch(tensor.into_dispatch())
    } else {
        tensor.unsqueeze::<2>()
    }
}

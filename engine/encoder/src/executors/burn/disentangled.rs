//! What the distance of two tokens adds to their score where it depends on the tokens themselves (He et al. 2021).

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::load::Loader;
use super::norm::Norm;
use super::pass::Pass;
use crate::families::{BiasForm, Layout, relative_bucket};

/// A vector for each bucket of distances, the same in all layers.
#[derive(Module, Debug)]
pub struct Distances {
    /// `[buckets, hidden]`
    pub vectors: Param<Tensor<2>>,
    pub(super) norm: Option<Norm>,
}

/// The vectors of the distances that a batch has.
pub(super) struct BatchDistances {
    /// `[distances, hidden]`
    vectors: Tensor<2>,
    /// Which of them is that of a query from a key, `[1, 1, longest, longest]`: queries first, and keys first.
    places: [Tensor<4, Int>; 2],
}

impl Distances {
    pub(super) fn read(loader: &Loader<'_>, layout: &Layout) -> std::result::Result<Option<Self>, String> {
        let Some(name) = &layout.relative else { return Ok(None) };
        let shape = [loader.config.form.bias.relative_rows(), loader.config.hidden_size];
        let vectors = loader.matrix(name, shape)?;
        Ok(Some(Self { vectors, norm: Norm::read(loader, &layout.relative_norm)? }))
    }

    /// Those of sentences of up to `longest` tokens.
    pub(super) fn of_batch(&self, form: BiasForm, pass: &impl Pass, device: &Device) -> BatchDistances {
        let [_, longest] = pass.dims();
        let reach = longest as isize;
        let buckets: Vec<usize> =
            (1 - reach..reach).map(|distance| relative_bucket(form, distance)).collect();
        // They rise with the distance, so equal ones are neighbours.
        let mut used = buckets.clone();
        used.dedup();
        let place = |query: usize, key: usize| {
            used.partition_point(|bucket| *bucket < buckets[longest - 1 + query - key]) as i64
        };
        let pairs = (0..longest).flat_map(|first| (0..longest).map(move |second| (first, second)));
        let of_queries: Vec<i64> = pairs.clone().map(|(query, key)| place(query, key)).collect();
        let of_keys: Vec<i64> = pairs.map(|(key, query)| place(query, key)).collect();
        let places = [of_queries, of_keys]
            .map(|places| Tensor::from_data(TensorData::new(places, [1, 1, longest, longest]), device));
        let (count, used) = (used.len(), used.into_iter().map(|bucket| bucket as i64).collect::<Vec<_>>());
        let used = Tensor::<1, Int>::from_data(TensorData::new(used, [count]), device);
        let vectors = self.vectors.val().select(0, used);
        let vectors = match &self.norm {
            Some(norm) => pass.normalized(norm, vectors),
            None => vectors,
        };
        BatchDistances { vectors, places }
    }
}

impl BatchDistances {
    /// What is added to the scores of a layer, `[sentences, heads, longest, longest]`. `asked` are its queries and keys,
    /// each with what projects the vectors for them, if anything does.
    pub(super) fn added(
        &self,
        asked: [(&Tensor<4>, Option<&Linear>); 2],
        scale: f32,
        pass: &impl Pass,
    ) -> Tensor<4> {
        let [rows, heads, longest, dim] = asked[0].0.dims();
        let [count, _] = self.vectors.dims();
        let vectors = pass.dropped(self.vectors.clone());
        let mut sum: Option<Tensor<4>> = None;
        for (of_keys, ((tokens, projection), places)) in asked.into_iter().zip(&self.places).enumerate() {
            let Some(projection) = projection else { continue };
            let projected = projection.forward(vectors.clone()).reshape([count, heads, dim]);
            let products = tokens.clone().matmul(projected.permute([1, 2, 0]).unsqueeze());
            let scores = products.gather(3, places.clone().expand([rows, heads, longest, longest]));
            let scores = if of_keys == 0 { scores } else { scores.swap_dims(2, 3) };
            sum = Some(match sum {
                Some(sum) => sum + scores,
                None => scores,
            });
        }
        let device = self.vectors.device();
        sum.map_or_else(|| Tensor::zeros([rows, heads, longest, longest], &device), |sum| sum * scale)
    }
}

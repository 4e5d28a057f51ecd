//! How much of a plain burn forward pass does the burn executor keep?
//!
//! `AKIN_MODEL_DIR=DIR cargo bench -p akin-encoder --bench burn_path`. The plain pass is written here with
//! nothing but burn's layers, on the batches that the encoder makes, tokens ready and no mask. It runs twice:
//! with the model's weights, and with those that burn draws at random. A product takes as long whatever it
//! multiplies, but the GELU of the Flex backend does not: its erf is cheap near zero, where random weights
//! keep every hidden unit, and takes two exponentials farther out, where a trained network's units lie.
//! The encoder tokenises, masks, pools and normalises besides. Prints sentences/s, and the ratios: medians of
//! rounds in turn.

use std::path::{Path, PathBuf};
use std::time::Instant;

use akin_encoder::SentenceEncoder;
use akin_encoder::{DEFAULT_MODEL, EncoderOptions, Executor, hub};
use burn::module::Param;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;
use safetensors::SafeTensors;
use tokenizers::Tokenizer;

const SENTENCES: usize = 1000;
const BATCH_TOKENS: usize = 1024;
const PADDED_TOKENS: usize = 512;
const ROUNDS: usize = 5;

fn main() {
    let model = std::env::var_os("AKIN_MODEL_DIR")
        .map(PathBuf::from)
        .unwrap_or_else(|| hub::locate(DEFAULT_MODEL).expect("a model"));
    let texts: Vec<String> = (0..SENTENCES).map(sentence).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let options = EncoderOptions { executor: Executor::Burn, ..Default::default() };
    let encoder = SentenceEncoder::load_with(&model, &options).expect("the model loads");

    let device = Device::flex();
    let random = Plain::new(&device);
    let trained = Plain::new(&device).with_weights_of(&model, &device);
    let batches = batches(&model, &texts, &device);
    let pass = |plain: &Plain| {
        seconds(|| {
            batches.par_iter().with_max_len(1).for_each(|ids| drop(plain.forward(ids.clone()).into_data()));
        })
    };
    let mut rounds: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        rounds[0].push(pass(&random));
        rounds[1].push(pass(&trained));
        rounds[2].push(seconds(|| drop(encoder.encode(&texts).expect("the texts are encoded"))));
    }
    let [random, trained, ours] = rounds.map(|seconds| SENTENCES as f64 / median(seconds));
    println!("plain forward pass, random weights   {random:8.1} sentences/s");
    println!("plain forward pass, model's weights  {trained:8.1} sentences/s");
    println!("the burn executor                    {ours:8.1} sentences/s");
    println!("ratio to the pass it computes        {:8.3}  (to reach: 0.9)", ours / trained);
    println!("ratio to the pass of random weights  {:8.3}", ours / random);
}

/// Some 16 tokens, each sentence another.
fn sentence(number: usize) -> String {
    const WORDS: [&str; 12] =
        ["a", "small", "green", "boat", "near", "the", "old", "harbor", "waits", "for", "its", "crew"];
    let words = 6 + number % 18;
    (0..words).map(|word| WORDS[(number / 7 + word * 5) % WORDS.len()]).collect::<Vec<_>>().join(" ")
}

fn batches(model: &Path, texts: &[&str], device: &Device) -> Vec<Tensor<2, Int>> {
    let mut tokenizer = Tokenizer::from_file(model.join("tokenizer.json")).expect("the tokenizer loads");
    tokenizer.with_padding(None);
    let encode = |text: &&str| tokenizer.encode_fast(*text, true).expect("a text").get_ids().to_vec();
    let mut sentences: Vec<Vec<u32>> = texts.iter().map(encode).collect();
    sentences.sort_by_key(|ids| std::cmp::Reverse(ids.len()));
    let mut batches = Vec::new();
    let mut rest = &sentences[..];
    while let Some(longest) = rest.first().map(Vec::len) {
        let full = (BATCH_TOKENS / longest).clamp(1, rest.len());
        let alike = rest.iter().take_while(|ids| ids.len() == longest).count();
        let (batch, after) = rest.split_at(full.min(alike.max(PADDED_TOKENS.div_ceil(longest))));
        let mut ids = vec![0i64; batch.len() * longest];
        for (row, sentence) in ids.chunks_exact_mut(longest).zip(batch) {
            row.iter_mut().zip(sentence).for_each(|(to, id)| *to = i64::from(*id));
        }
        batches.push(Tensor::from_data(TensorData::new(ids, [batch.len(), longest]), device));
        rest = after;
    }
    batches
}

/// The network of all-MiniLM-L6-v2.
struct Plain {
    words: Embedding,
    positions: Embedding,
    types: Embedding,
    norm: LayerNorm,
    layers: Vec<PlainLayer>,
}

struct PlainLayer {
    /// Query, key, value and output.
    attention: [Linear; 4],
    inner: Linear,
    outer: Linear,
    norms: [LayerNorm; 2],
}

impl Plain {
    fn new(device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let norm = || LayerNormConfig::new(384).with_epsilon(1e-12).init(device);
        let table = |rows| EmbeddingConfig::new(rows, 384).init(device);
        let layer = |_| PlainLayer {
            attention: std::array::from_fn(|_| linear(384, 384)),
            inner: linear(384, 1536),
            outer: linear(1536, 384),
            norms: [norm(), norm()],
        };
        Self {
            words: table(30522),
            positions: table(512),
            types: table(2),
            norm: norm(),
            layers: (0..6).map(layer).collect(),
        }
    }

    fn with_weights_of(mut self, model: &Path, device: &Device) -> Self {
        let file = std::fs::read(model.join("model.safetensors")).expect("the weights are there");
        let weights =
            Checkpoint { tensors: SafeTensors::deserialize(&file).expect("the weights are whole"), device };
        weights.embedding(&mut self.words, "embeddings.word_embeddings");
        weights.embedding(&mut self.positions, "embeddings.position_embeddings");
        weights.embedding(&mut self.types, "embeddings.token_type_embeddings");
        weights.norm(&mut self.norm, "embeddings.LayerNorm");
        for (number, layer) in self.layers.iter_mut().enumerate() {
            let name = |part: &str| format!("encoder.layer.{number}.{part}");
            let parts = ["self.query", "self.key", "self.value", "output.dense"];
            for (linear, part) in layer.attention.iter_mut().zip(parts) {
                weights.linear(linear, &name(&format!("attention.{part}")));
            }
            weights.linear(&mut layer.inner, &name("intermediate.dense"));
            weights.linear(&mut layer.outer, &name("output.dense"));
            for (norm, part) in layer.norms.iter_mut().zip(["attention.output", "output"]) {
                weights.norm(norm, &name(&format!("{part}.LayerNorm")));
            }
        }
        self
    }

    fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [rows, longest] = ids.dims();
        let positions = Tensor::arange(0..longest as i64, &ids.device()).unsqueeze();
        let types = self.types.weight.val().narrow(0, 0, 1).unsqueeze();
        let embedded = self.norm.forward(self.words.forward(ids) + self.positions.forward(positions) + types);
        self.layers.iter().fold(embedded, |hidden, layer| {
            let by_head = |linear: &Linear| {
                linear.forward(hidden.clone()).reshape([rows, longest, 12, 32]).swap_dims(1, 2)
            };
            let [query, key, value, output] = &layer.attention;
            let attended =
                attention(by_head(query), by_head(key), by_head(value), None, None, Default::default());
            let attended = output.forward(attended.swap_dims(1, 2).reshape([rows, longest, 384]));
            let hidden = layer.norms[0].forward(attended + hidden);
            let inner = gelu(layer.inner.forward(hidden.clone()));
            layer.norms[1].forward(layer.outer.forward(inner) + hidden)
        })
    }
}

/// The tensors of `model.safetensors`, in f32.
struct Checkpoint<'a> {
    tensors: SafeTensors<'a>,
    device: &'a Device,
}

impl Checkpoint<'_> {
    fn tensor<const D: usize>(&self, name: &str, part: &str) -> Param<Tensor<D>> {
        let view = self.tensors.tensor(&format!("{name}.{part}")).expect("the tensor is there");
        let (words, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, view.shape().to_vec()), self.device))
    }

    fn embedding(&self, embedding: &mut Embedding, name: &str) {
        embedding.weight = self.tensor(name, "weight");
    }

    fn norm(&self, norm: &mut LayerNorm, name: &str) {
        norm.gamma = self.tensor(name, "weight");
        norm.beta = Some(self.tensor(name, "bias"));
    }

    /// The file has `[out, in]`, and burn multiplies by `[in, out]`.
    fn linear(&self, linear: &mut Linear, name: &str) {
        let weight: Tensor<2> = self.tensor(name, "weight").val().transpose();
        let data = weight.into_data();
        linear.weight = Param::from_tensor(Tensor::from_data(data, self.device));
        linear.bias = Some(self.tensor(name, "bias"));
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

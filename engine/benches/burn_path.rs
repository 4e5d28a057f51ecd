//! How much of a plain burn forward pass does the burn executor keep?
//!
//! `AKIN_MODEL_DIR=DIR cargo bench -p akin-engine --bench burn_path`. The plain pass is written here with
//! nothing but burn's layers, on the batches that the encoder makes, tokens ready; its weights are random,
//! for a product takes as long whatever it multiplies. The encoder tokenises, pads, pools and normalises
//! besides. Prints sentences/s of both, and their ratio: median of five rounds in turn.

use std::path::PathBuf;
use std::time::Instant;

use akin_engine::SentenceEncoder;
use akin_engine::encoder::{DEFAULT_MODEL, EncoderOptions, Executor, hub};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;
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

    let device = Device::default();
    let plain = Plain::new(&device);
    let batches = batches(&model, &texts, &device);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(seconds(|| {
            batches.par_iter().with_max_len(1).for_each(|ids| drop(plain.forward(ids.clone()).into_data()));
        }));
        ours.push(seconds(|| drop(encoder.encode(&texts).expect("the texts are encoded"))));
    }
    let (ours, theirs) = (SENTENCES as f64 / median(ours), SENTENCES as f64 / median(theirs));
    println!("plain burn forward pass  {theirs:8.1} sentences/s");
    println!("the burn executor        {ours:8.1} sentences/s");
    println!("ratio                    {:8.3}  (to reach: 0.9)", ours / theirs);
}

/// Some 16 tokens, each sentence another.
fn sentence(number: usize) -> String {
    const WORDS: [&str; 12] =
        ["a", "small", "green", "boat", "near", "the", "old", "harbor", "waits", "for", "its", "crew"];
    let words = 6 + number % 18;
    (0..words).map(|word| WORDS[(number / 7 + word * 5) % WORDS.len()]).collect::<Vec<_>>().join(" ")
}

fn batches(model: &std::path::Path, texts: &[&str], device: &Device) -> Vec<Tensor<2, Int>> {
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
        let norm = || LayerNormConfig::new(384).init(device);
        let layer = |_| PlainLayer {
            attention: std::array::from_fn(|_| linear(384, 384)),
            inner: linear(384, 1536),
            outer: linear(1536, 384),
            norms: [norm(), norm()],
        };
        Self {
            words: EmbeddingConfig::new(30522, 384).init(device),
            norm: norm(),
            layers: (0..6).map(layer).collect(),
        }
    }

    fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [rows, longest] = ids.dims();
        let embedded = self.norm.forward(self.words.forward(ids));
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

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

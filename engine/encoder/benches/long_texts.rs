//! What does a long text cost, in time and memory?
//!
//! `cargo bench -p akin-encoder --bench long_texts`. A random network of the shape of all-MiniLM-L6-v2 with 8,192
//! positions, or the model in `AKIN_MODEL_DIR`, encodes texts of 512, 2,048 and 8,192 tokens, or of `AKIN_TOKENS`, as
//! many as `AKIN_TEXTS` says, or 2. Prints the fastest of `AKIN_ROUNDS` rounds, or 3, for each text; the processor time
//! of all rounds for each text, which other programs on the machine change less; and the most memory that was resident
//! meanwhile, the model's included.

use std::path::PathBuf;
use std::time::Instant;

use akin_encoder::SentenceEncoder;
use akin_fixtures::Random;
use akin_fixtures::models::{ModelCopy, Tensors};

const WIDTH: usize = 384;
const INNER: usize = 1536;
const LAYERS: usize = 6;
const POSITIONS: usize = 8192;
const WORDS: usize = 1200;

fn main() {
    let number = |name: &str, default: usize| {
        std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
    };
    let (texts, rounds) = (number("AKIN_TEXTS", 2), number("AKIN_ROUNDS", 3));
    let lengths = match number("AKIN_TOKENS", 0) {
        0 => vec![512, 2048, POSITIONS],
        tokens => vec![tokens],
    };
    let named = std::env::var_os("AKIN_MODEL_DIR").map(PathBuf::from);
    let drawn = if named.is_none() { Some(random()) } else { None };
    let model = named.unwrap_or_else(|| drawn.as_ref().expect("one or the other").path().to_owned());
    forget_peak();
    let (start, before) = (Instant::now(), processor_seconds());
    let encoder = SentenceEncoder::load(&model).expect("a model");
    encoder.encode(&["a"]).expect("an embedding");
    println!(
        "to the first embedding: {:5.1} ms, {:5.0} ms of processor time, {:.0} MB at most",
        1e3 * start.elapsed().as_secs_f64(),
        1e3 * (processor_seconds() - before),
        peak_megabytes()
    );
    for tokens in lengths {
        // Two tokens more begin and end each text.
        let text = "a ".repeat(tokens - 2);
        let texts = vec![text.trim_end(); texts];
        let read = encoder.count_tokens(&texts[..1]).expect("tokens")[0];
        assert_eq!(read, tokens, "the model reads texts that long, and has a token for a");
        forget_peak();
        let (mut fastest, before) = (f64::MAX, processor_seconds());
        for _ in 0..rounds {
            let start = Instant::now();
            encoder.encode(&texts).expect("embeddings");
            fastest = fastest.min(start.elapsed().as_secs_f64());
        }
        let (count, all) = (texts.len() as f64, (texts.len() * rounds) as f64);
        println!(
            "{tokens:5} tokens: {:9.1} ms a text, {:9.1} ms of processor time, {:.0} MB at most",
            1e3 * fastest / count,
            1e3 * (processor_seconds() - before) / all,
            peak_megabytes()
        );
    }
}

/// Has the system count the most resident memory anew.
fn forget_peak() {
    // Where it cannot, peaks are those since the program began.
    drop(std::fs::write("/proc/self/clear_refs", "5"));
}

/// The most memory that was resident.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// What this process has used of processors, in and outside the kernel.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn random() -> ModelCopy {
    let config = format!(
        r#"{{"model_type": "bert", "vocab_size": {WORDS}, "hidden_size": {WIDTH}, "num_hidden_layers": {LAYERS},
        "num_attention_heads": 12, "intermediate_size": {INNER}, "max_position_embeddings": {POSITIONS},
        "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu", "pad_token_id": 0}}"#
    );
    ModelCopy::tiny("bert")
        .edited("1_Pooling/config.json", |json| json["word_embedding_dimension"] = WIDTH.into())
        .edited("sentence_bert_config.json", |json| json["max_seq_length"] = POSITIONS.into())
        .with_file("config.json", config)
        .with_tensors("f32", |tensors| *tensors = drawn())
}

fn drawn() -> Tensors {
    let mut random = Random::new(1);
    let mut tensors = Tensors::new();
    let mut put = |name: String, shape: &[usize], spread: f32, middle: f32| {
        let values = random.vector(shape.iter().product());
        tensors.insert(name, (shape.to_vec(), values.iter().map(|x| x * spread + middle).collect()));
    };
    for (part, rows) in [("word", WORDS), ("position", POSITIONS), ("token_type", 2)] {
        put(format!("embeddings.{part}_embeddings.weight"), &[rows, WIDTH], 0.05, 0.0);
    }
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        for (part, rows, columns) in [
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", INNER, WIDTH),
            ("output.dense", WIDTH, INNER),
        ] {
            put(name(&format!("{part}.weight")), &[rows, columns], 2.0 / (columns as f32).sqrt(), 0.0);
            put(name(&format!("{part}.bias")), &[rows], 0.1, 0.0);
        }
        norms.extend(["attention.output.LayerNorm", "output.LayerNorm"].map(name));
    }
    for norm in norms {
        put(format!("{norm}.weight"), &[WIDTH], 0.1, 1.0);
        put(format!("{norm}.bias"), &[WIDTH], 0.1, 0.0);
    }
    tensors
}

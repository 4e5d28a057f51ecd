//! The executor against the reference, on small networks of chance.

use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::reference::{self, Tensors};
use super::*;
use crate::config::Architecture;
use crate::families::{BiasForm, Form, LayerForm};
use akin_kernels::gemm::PackedLinear;
use safetensors::SafeTensors;

/// Numbers of chance between -1 and 1.
fn chance(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed | 1;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
    }
}

fn config(layers: usize, heads: usize, head_dim: usize, intermediate: usize, offset: usize) -> BertConfig {
    BertConfig {
        architecture: if offset == 0 { Architecture::Bert } else { Architecture::Roberta },
        vocab_size: 23,
        hidden_size: heads * head_dim,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        intermediate_size: intermediate,
        max_position_embeddings: 40 + offset,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        position_offset: offset,
        form: Form::bert(heads * head_dim, heads),
        beside: String::new(),
    }
}

fn load(
    packing: Packing,
    config: &BertConfig,
    tensors: &SafeTensors<'_>,
    prefix: &str,
) -> std::result::Result<CpuBert, String> {
    CpuBert::load_for(packing, config, &config.layout(&|_| false), TensorReader { tensors, prefix }, None)
}

fn tensors(config: &BertConfig, seed: u64) -> Tensors {
    let mut next = chance(seed);
    let mut tensors = Tensors::new();
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let mut put = |name: String, shape: &[usize], size: f32, around: f32| {
        let values = (0..shape.iter().product()).map(|_| next() * size + around).collect();
        tensors.insert(name, (shape.to_vec(), values));
    };
    let embedding = |part: &str| format!("embeddings.{part}_embeddings.weight");
    put(embedding("word"), &[config.vocab_size, hidden], 1.0, 0.0);
    put(embedding("position"), &[config.max_position_embeddings, hidden], 0.5, 0.0);
    put(embedding("token_type"), &[config.type_vocab_size, hidden], 0.5, 0.0);
    put("embeddings.LayerNorm.weight".into(), &[hidden], 0.2, 1.0);
    put("embeddings.LayerNorm.bias".into(), &[hidden], 0.2, 0.0);
    for i in 0..config.num_hidden_layers {
        for (part, columns, width) in [
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", inner, hidden),
            ("output.dense", hidden, inner),
        ] {
            let size = 2.0 / (width as f32).sqrt();
            put(format!("encoder.layer.{i}.{part}.weight"), &[columns, width], size, 0.0);
            put(format!("encoder.layer.{i}.{part}.bias"), &[columns], 0.2, 0.0);
        }
        for part in ["attention.output.LayerNorm", "output.LayerNorm"] {
            put(format!("encoder.layer.{i}.{part}.weight"), &[hidden], 0.2, 1.0);
            put(format!("encoder.layer.{i}.{part}.bias"), &[hidden], 0.2, 0.0);
        }
    }
    tensors
}

fn file(tensors: &Tensors, prefix: &str) -> Vec<u8> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (format!("{prefix}{name}"), shape.clone(), bytes)
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("whole tensors"))
    });
    safetensors::serialize(views, None).expect("tensors serialise")
}

fn sentences(lengths: &[usize], seed: u64) -> (Vec<u32>, Vec<usize>) {
    let mut next = chance(seed);
    let mut offsets = vec![0];
    offsets.extend(lengths.iter().scan(0, |sum, n| {
        *sum += n;
        Some(*sum)
    }));
    let tokens = offsets[offsets.len() - 1];
    ((0..tokens).map(|_| ((next() + 1.0) * 11.4) as u32).collect(), offsets)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn hidden_states_are_those_of_the_reference(
        layers in 1usize..3,
        heads in 1usize..4,
        // A layer norm over two or three features divides by next to nothing, and any error is large.
        head_dim in prop::sample::select(vec![6usize, 8, 16, 20, 32]),
        intermediate in prop::sample::select(vec![1usize, 40, 390, 800]),
        offset in prop::sample::select(vec![0usize, 2]),
        lengths in prop::collection::vec(0usize..40, 0..6),
        seed in any::<u64>(),
    ) {
        let config = config(layers, heads, head_dim, intermediate, offset);
        let tensors = tensors(&config, seed);
        let bytes = file(&tensors, "bert.");
        let checkpoint = SafeTensors::deserialize(&bytes).expect("a checkpoint");
        let (ids, offsets) = sentences(&lengths, seed ^ 1);
        // Each second case has tokens of two types.
        let types: Vec<u32> = ids.iter().map(|id| if seed % 2 == 1 { id % 2 } else { 0 }).collect();
        let tokens = Tokens { ids: &ids, types: if seed % 2 == 1 { &types } else { &[] } };
        let exact: Vec<f64> = offsets
            .windows(2)
            .filter(|o| o[0] < o[1])
            .flat_map(|o| reference::forward(&config, &tensors, &ids[o[0]..o[1]], &types[o[0]..o[1]]))
            .flatten()
            .collect();
        for isa in Isa::available() {
            let bert = load(Packing { isa, precision: Precision::F32 }, &config, &checkpoint, "bert.").expect("it loads");
            let hidden = bert.forward(tokens, &offsets).expect("it runs");
            prop_assert_eq!(hidden.len(), exact.len());
            for (got, exact) in hidden.iter().zip(&exact) {
                prop_assert!((f64::from(*got) - exact).abs() < 2e-4, "{:?}: {} is not {}", isa, got, exact);
            }
            let sums = |hidden: &[f32], out: &mut [f32]| {
                for row in hidden.chunks_exact(out.len()) {
                    out.iter_mut().zip(row).for_each(|(o, x)| *o += x);
                }
            };
            let pooled = bert.embed(tokens, &offsets, config.hidden_size, &sums).expect("it runs");
            let width = config.hidden_size;
            if offsets.windows(2).all(|sentence| sentence[0] < sentence[1]) {
                let first = bert.first_tokens(tokens, &offsets).expect("it runs");
                prop_assert_eq!(first.len(), (offsets.len() - 1) * width);
                for (row, sentence) in first.chunks(width).zip(&offsets) {
                    for (got, exact) in row.iter().zip(&exact[sentence * width..]) {
                        prop_assert!((f64::from(*got) - exact).abs() < 2e-4, "{:?}: {} is not {}", isa, got, exact);
                    }
                }
            }
            for (sentence, pooled) in offsets.windows(2).zip(pooled.chunks(width)) {
                let mut expected = vec![0.0; width];
                sums(&hidden[sentence[0] * width..sentence[1] * width], &mut expected);
                prop_assert_eq!(pooled, &expected[..]);
            }
        }
    }

    #[test]
    fn groups_cover_every_sentence_once_and_hold_no_more_tokens_than_asked(
        lengths in prop::collection::vec(0usize..50, 0..200),
        most in 1usize..300,
        threads in 1usize..9,
    ) {
        let (_, offsets) = sentences(&lengths, 7);
        let groups = groups(&offsets, most, threads);
        let mut next = 0;
        for group in &groups {
            prop_assert_eq!(group.start, next);
            prop_assert!(group.end > group.start);
            let tokens = offsets[group.end] - offsets[group.start];
            prop_assert!(tokens <= most || group.len() == 1);
            next = group.end;
        }
        prop_assert_eq!(next, lengths.len());
    }
}

/// As many bert as there are instruction sets and precisions, all of one network.
fn each_bert(config: &BertConfig, seed: u64) -> Vec<CpuBert> {
    let bytes = file(&tensors(config, seed), "");
    let checkpoint = SafeTensors::deserialize(&bytes).expect("a checkpoint");
    let precisions = [Precision::F32, Precision::Bf16, Precision::Int8];
    Isa::available()
        .flat_map(|isa| precisions.map(|precision| (isa, precision)))
        .map(|(isa, precision)| load(Packing { isa, precision }, config, &checkpoint, "").expect("it loads"))
        .collect()
}

fn pool_of(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}

#[test]
fn a_team_gives_what_one_thread_gives_whatever_its_size() {
    // Two parts of heads, three of the feed-forward network.
    let config = config(3, 4, 16, 900, 0);
    for bert in each_bert(&config, 11) {
        let alone = pool_of(1);
        for length in [1, 2, 17, 40] {
            let (ids, offsets) = sentences(&[length], 5);
            let expected = alone.install(|| bert.forward(&ids[..], &offsets)).expect("it runs");
            for threads in [2, 3, 8] {
                let got = pool_of(threads).install(|| bert.forward(&ids[..], &offsets)).expect("it runs");
                for (got, expected) in got.iter().zip(&expected) {
                    // A rounding error may make a coarse number the next one.
                    let bound = match bert.precision {
                        Precision::F32 => 1e-4,
                        Precision::Bf16 => 0.05,
                        Precision::Int8 => 0.1,
                    };
                    assert!((got - expected).abs() < bound, "{:?}: {got} is not {expected}", bert.precision);
                }
            }
        }
    }
}

#[test]
fn many_teams_at_once_wait_for_nobody_who_cannot_come() {
    let config = config(2, 2, 16, 800, 0);
    let bert = each_bert(&config, 12).remove(0);
    let (ids, offsets) = sentences(&[9], 5);
    let expected = bert.forward(&ids[..], &offsets).expect("it runs");
    // More questions than threads, from within the pool and from outside.
    let pool = pool_of(2);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let all =
                    || (0..40).into_par_iter().map(|_| bert.forward(&ids[..], &offsets).expect("it runs"));
                for got in pool.install(|| all().collect::<Vec<_>>()) {
                    let close = got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4);
                    assert!(close, "the answers of teams that meet are those of one");
                }
            });
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn coarser_numbers_stay_near_the_reference(
        heads in 2usize..5,
        intermediate in prop::sample::select(vec![100usize, 390]),
        lengths in prop::collection::vec(0usize..40, 1..6),
        seed in any::<u64>(),
    ) {
        let config = config(2, heads, 32, intermediate, 0);
        let (ids, offsets) = sentences(&lengths, seed ^ 1);
        let berts = each_bert(&config, seed);
        let exact = berts[0].forward(&ids[..], &offsets).expect("it runs");
        for bert in &berts[1..] {
            let hidden = bert.forward(&ids[..], &offsets).expect("it runs");
            let width = config.hidden_size;
            for (got, exact) in hidden.chunks(width).zip(exact.chunks(width)) {
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
                let cosine = dot(got, exact) / (dot(got, got) * dot(exact, exact)).sqrt();
                let least = match bert.precision {
                    Precision::F32 => 0.999_999,
                    Precision::Bf16 => 0.9995,
                    Precision::Int8 => 0.995,
                };
                prop_assert!(cosine >= least, "{:?} {:?}: {}", bert.isa, bert.precision, cosine);
            }
        }
    }
}

#[test]
fn bad_input_is_refused_with_a_reason() {
    let config = config(1, 2, 8, 16, 2);
    let bytes = file(&tensors(&config, 3), "");
    let checkpoint = SafeTensors::deserialize(&bytes).expect("a checkpoint");
    let packing = Packing { isa: akin_kernels::cpu::isa(), precision: Precision::F32 };
    let bert = load(packing, &config, &checkpoint, "").expect("it loads");
    for (ids, offsets) in [
        (vec![23], vec![0, 1]),
        (vec![1; 41], vec![0, 41]),
        (vec![1; 4], vec![0, 3]),
        (vec![1; 4], vec![0, 3, 2, 4]),
        (vec![], vec![]),
    ] {
        assert!(matches!(bert.forward(&ids[..], &offsets), Err(Error::Invalid(_))));
    }
    for types in [&[0, 2][..], &[0], &[0, 1, 1]] {
        let tokens = Tokens { ids: &[1, 2], types };
        assert!(matches!(bert.forward(tokens, &[0, 2]), Err(Error::Invalid(_))));
    }
    assert!(bert.forward(&[][..], &[0]).expect("no sentences are no error").is_empty());

    let missing = load(packing, &config, &checkpoint, "bert.").err().expect("no such tensors");
    assert!(missing.contains("bert."), "{missing}");
    let other = BertConfig { intermediate_size: 17, ..config };
    let shape = load(packing, &other, &checkpoint, "").err().expect("another shape");
    assert!(shape.contains("intermediate.dense.weight") && shape.contains("17"), "{shape}");
}

/// Networks whose attention adds something to scores, with the tensors that each needs.
fn networks_with_biases(positions: usize) -> Vec<(&'static str, BertConfig, Tensors)> {
    let bert = config(1, 4, 8, 16, 0);
    let bert = BertConfig { max_position_embeddings: positions, ..bert };
    let with = |change: &dyn Fn(&mut BertConfig)| {
        let mut config = bert.clone();
        change(&mut config);
        let mut tensors = tensors(&config, 5);
        for part in ["query", "key", "value"] {
            for kind in ["weight", "bias"] {
                let name = |part: &str| format!("encoder.layer.0.attention.self.{part}.{kind}");
                let same = tensors[&name(part)].clone();
                tensors.insert(name(&format!("{part}_proj")), same);
            }
        }
        let rows = config.form.bias.relative_rows();
        let mut next = chance(6);
        let values = (0..rows * config.hidden_size).map(|_| next()).collect();
        tensors.insert("encoder.rel_embeddings.weight".into(), (vec![rows, config.hidden_size], values));
        (config, tensors)
    };
    let window = LayerForm { rotary: None, window: Some(8) };
    let disentangled =
        BiasForm::Disentangled { buckets: Some(16), farthest: 64, of_queries: true, of_keys: true };
    let (deberta, of_deberta) = with(&|config| {
        config.architecture = Architecture::DebertaV2;
        config.form.bias = disentangled;
        config.form.relative_shared = true;
    });
    let (slopes, of_slopes) = with(&|config| config.form.bias = BiasForm::Slopes);
    let (near, of_near) = with(&|config| config.form.layers = vec![window]);
    vec![
        ("distances that tokens speak of", deberta, of_deberta),
        ("slopes", slopes, of_slopes),
        ("a window", near, of_near),
    ]
}

#[test]
fn memory_grows_with_the_length_of_a_text_and_not_with_its_square() {
    for (name, config, tensors) in networks_with_biases(2048) {
        let bytes = file(&tensors, "");
        let checkpoint = SafeTensors::deserialize(&bytes).expect("a checkpoint");
        let packing = Packing { isa: akin_kernels::cpu::isa(), precision: Precision::F32 };
        let numbers = |tokens: usize| {
            let bert = load(packing, &config, &checkpoint, "").expect("it loads");
            let (ids, offsets) = sentences(&[tokens], 3);
            pool_of(1).install(|| bert.forward(&ids[..], &offsets)).expect("it runs");
            bert.idle_groups.lock().expect("no thread panics")[0].numbers()
        };
        let (short, long) = (numbers(512), numbers(2048));
        assert!(10 * long <= 41 * short, "{name}: {short} numbers for 512 tokens, {long} for 2048");
        // Of each token: its hidden state and the sum (32 each), queries, keys and values of half the heads (48), their
        // context (16), keys and values laid out anew and a tile of scores (at most 40), and what it says to 32 buckets
        // as a query and as a key (64), with the buckets of two distances.
        assert!(long <= 2048 * (32 + 32 + 48 + 16 + 40 + 64 + 2), "{name}: {long} numbers for 2048 tokens");
    }
}

/// Packed weights are kept on disks, and read again by programs that think of them as these sums do.
#[test]
fn kept_weights_lie_as_the_number_of_their_format_says() {
    let numbers = (crate::weights::PACKED_FORMAT, PackedLinear::FORMAT);
    assert_eq!(numbers, ("akin packed 1\n", 1), "then the sums below are those of another format");
    let config = config(2, 2, 8, 40, 0);
    let bytes = file(&tensors(&config, 2020), "");
    let checkpoint = SafeTensors::deserialize(&bytes).expect("a checkpoint");
    let isa = Isa::named("portable").expect("every processor has it");
    let expected = [
        (Precision::F32, 0x4605_af57_b7bf_437f_u64),
        (Precision::Bf16, 0x4a01_6a3a_188b_c40d),
        (Precision::Int8, 0x7cc3_0b43_1a0c_50de),
    ];
    let found = expected.map(|(precision, _)| {
        let bert = load(Packing { isa, precision }, &config, &checkpoint, "").expect("it loads");
        (precision, sum_of_sections(&Kept::sections(&bert)))
    });
    // The factors of int8 are powers, whose last bit another C library may round otherwise.
    let has_same_powers = cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"));
    let compared = if has_same_powers { 3 } else { 2 };
    assert_eq!(
        found[..compared],
        expected[..compared],
        "kept weights lie otherwise: raise a number of the format, or files that are there are read wrong"
    );
}

/// FNV-1a over all parts, each after its length.
fn sum_of_sections(sections: &[Vec<&[u8]>]) -> u64 {
    let mut bytes = Vec::new();
    for section in sections {
        bytes.extend((section.len() as u64).to_le_bytes());
        for part in section {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    let add = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

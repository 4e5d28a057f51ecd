//! How fast are sentences encoded, beside what a user would pick instead, and beside what the processor can do?
//!
//! `make peers` once, then `cargo bench --bench encode -- [--only throughput,long,latency,load,roofline,quality]
//! [--peers NAME,…|none] [--rounds N] [--sts FILE.tsv]`. Texts are glosses of WordNet (`make wordnet`). We and the
//! peers take turns within a run, so that a ratio holds whatever else the machine does; every figure is a
//! median of the rounds. Text goes in and vectors of length 1 come out, on both sides.

mod contender;
mod peers;
#[path = "../../engine/kernels/benches/peak/product.rs"]
mod product;
mod quality;
#[path = "../../engine/kernels/benches/peak/registers.rs"]
mod registers;
mod roofline;
mod speed;
mod texts;

use std::path::PathBuf;

use akin_encoder::{DEFAULT_MODEL, hub};
use anyhow::Context;
use clap::{Parser, ValueEnum};

use contender::{Contender, Ours};
use peers::Peers;
use texts::Texts;

#[derive(Parser)]
struct Arguments {
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    only: Vec<Part>,
    /// Peers whose names contain one of these; none for none
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Threads, ours and theirs
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    threads: usize,
    /// Scored pairs, for Spearman's correlation
    #[arg(long)]
    sts: Option<PathBuf>,
    #[arg(long)]
    model: Option<PathBuf>,
    /// One document a line, as `make wordnet` writes it
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// What cargo says to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// 4,000 sentences at once
    Throughput,
    /// Texts of 128 and of 256 tokens
    Long,
    /// One query at a time
    Latency,
    /// From the files to the first embedding
    Load,
    /// What the processor can do, and how much of it is used
    Roofline,
    /// How far the precisions are from f32
    Quality,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build_global()?;
    let model = match &arguments.model {
        Some(model) => model.clone(),
        None => hub::locate(DEFAULT_MODEL).context("`make model` fetches it")?,
    };
    let ours = Ours::load_all(&model)?;
    let texts = Texts::read(arguments.corpus.as_deref(), &ours[0].encoder)?;
    let measures = |part| arguments.only.contains(&part);

    let with_peers = [Part::Throughput, Part::Long, Part::Latency, Part::Load].into_iter().any(measures);
    let mut peers = match arguments.peers.as_slice() {
        _ if !with_peers => None,
        [none] if none == "none" => None,
        names => Some(Peers::start(&model, arguments.threads, names)?),
    };
    println!(
        "{} threads, {:?}, {} sentences of {:.1} tokens on average, medians of {} rounds\n",
        arguments.threads,
        akin_kernels::cpu::isa(),
        texts.sentences.texts.len(),
        texts.sentences.mean_length(),
        arguments.rounds
    );
    let contenders = Contender::all(&ours, peers.as_ref());
    let mut rates = None;
    if measures(Part::Throughput) {
        rates = Some(speed::throughput(&contenders, &mut peers, &texts.sentences, arguments.rounds)?);
    }
    if measures(Part::Long) {
        for set in &texts.long {
            speed::throughput(&contenders, &mut peers, set, arguments.rounds)?;
        }
    }
    if measures(Part::Latency) {
        speed::latency(&contenders, &mut peers, &texts.queries, arguments.rounds)?;
    }
    if measures(Part::Load) {
        speed::load(&model, &ours, peers.as_ref(), arguments.rounds)?;
    }
    if measures(Part::Roofline) {
        let rates = match rates {
            Some(rates) => rates,
            None => speed::throughput(
                &Contender::all(&ours, None),
                &mut None,
                &texts.sentences,
                arguments.rounds,
            )?,
        };
        roofline::print(&model, &ours, &texts.sentences, &rates, arguments.threads)?;
    }
    if measures(Part::Quality) {
        quality::print(&ours, &texts, arguments.sts.as_deref())?;
    }
    Ok(())
}

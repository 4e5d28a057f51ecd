//! `akin negatives`: finds hard negatives for pairs, to train with.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufWriter, Write};

use akin_encoder::{Embeddings, Role, SentenceEncoder};
use akin_mining::negatives::{NegativeSettings, Negatives, hard_negatives};
use akin_query::Mode;
use akin_trainer::anchors::{Anchored, read_anchored};
use anyhow::Context;
use serde_json::json;

use crate::commands::cli::NegativesArguments;
use crate::commands::compared::{Source, default_model, find_index, stored, unit};
use crate::commands::model;
use crate::commands::output::OutputFile;
use crate::commands::terminal::{Terminal, counted};

/// Texts that are encoded together.
const CHUNK: usize = 1024;

/// The texts that may be negatives, different ones once, and the model that made their embeddings.
struct Candidates {
    encoder: Encoder,
    texts: Vec<String>,
    embeddings: Embeddings,
}

/// The model, alone or with the index that it was opened for.
enum Encoder {
    Alone(Box<SentenceEncoder>),
    OfIndex(Box<akin_query::Searcher>),
}

impl Encoder {
    fn get(&self) -> &SentenceEncoder {
        match self {
            Self::Alone(encoder) => encoder,
            Self::OfIndex(searcher) => searcher.encoder().expect("a search by meaning has a model"),
        }
    }
}

/// Encodes the pairs, finds the negatives of each, and writes them.
pub fn run(arguments: &NegativesArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let pairs = read_anchored(&arguments.pairs)?;
    let candidates = candidates(arguments, &pairs, terminal)?;
    let encoder = candidates.encoder.get();
    let texts = |text: fn(&Anchored) -> &str| pairs.iter().map(text).collect::<Vec<_>>();
    let anchors = encode(encoder, Role::Query, &texts(|pair| &pair.anchor), terminal)?;
    let positives = encode(encoder, Role::Document, &texts(|pair| &pair.positive), terminal)?;
    let settings = NegativeSettings {
        count: arguments.count.get(),
        skip: arguments.skip,
        depth: arguments.depth.get(),
        least: arguments.least,
        most: arguments.most,
        margin: arguments.margin,
        share: arguments.share,
    };
    let belong = belong(&pairs, &candidates.texts);
    let found = hard_negatives(&anchors, &positives, &candidates.embeddings, &belong, &settings);
    match &arguments.output {
        Some(path) => {
            let is_table = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
            let mut output = OutputFile::create(path)?;
            write(&mut output, &pairs, &found, &candidates.texts, is_table)
                .with_context(|| format!("cannot write {}", path.display()))?;
            output.finish()?;
        }
        None => write(BufWriter::new(io::stdout().lock()), &pairs, &found, &candidates.texts, false)
            .context("cannot write to stdout")?,
    }
    tell(&found, terminal);
    Ok(())
}

/// Reads and encodes what may be a negative.
fn candidates(
    arguments: &NegativesArguments,
    pairs: &[Anchored],
    terminal: &Terminal,
) -> anyhow::Result<Candidates> {
    let options = arguments.compute.options();
    let (encoder, texts, embeddings) = if arguments.paths.is_empty() {
        let named = arguments.model.clone().unwrap_or_else(default_model);
        let encoder = model::load(&named, &options)?;
        let texts: Vec<String> = pairs.iter().map(|pair| pair.positive.clone()).collect();
        let embeddings = encode(&encoder, Role::Document, &borrowed(&texts), terminal)?;
        (Encoder::Alone(Box::new(encoder)), texts, embeddings)
    } else {
        let compared = arguments.compared();
        // Refuses what makes no sense beside an index.
        let source = Source::open(&compared)?;
        let (encoder, found) = match (find_index(&arguments.paths)?, source) {
            (Some((path, _)), _) => {
                let searcher =
                    model::open_searcher(path, arguments.model.as_deref(), &options, Some(Mode::Semantic))?;
                let found = stored(&searcher.snapshot(), terminal)?;
                (Encoder::OfIndex(Box::new(searcher)), found)
            }
            (None, source) => {
                let named = arguments.model.clone().unwrap_or_else(default_model);
                (Encoder::Alone(Box::new(model::load(&named, &options)?)), source.read(terminal)?)
            }
        };
        let texts = found.documents.into_iter().map(|document| document.text).collect();
        (encoder, texts, found.sentences.into_embeddings())
    };
    let (texts, embeddings) = distinct(texts, &embeddings);
    Ok(Candidates { encoder, texts, embeddings })
}

/// Different texts once, without those that say nothing.
fn distinct(texts: Vec<String>, embeddings: &Embeddings) -> (Vec<String>, Embeddings) {
    let mut seen = HashSet::new();
    let mut rows = Embeddings::empty(embeddings.dimension());
    let mut kept = Vec::new();
    for (text, row) in texts.into_iter().zip(embeddings.iter()) {
        if !text.trim().is_empty() && seen.insert(text.trim().to_owned()) {
            rows.push(row);
            kept.push(text);
        }
    }
    (kept, rows)
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// The embedding of each text, of length one. Equal texts are encoded once.
fn encode(
    encoder: &SentenceEncoder,
    role: Role,
    texts: &[&str],
    terminal: &Terminal,
) -> anyhow::Result<Embeddings> {
    let mut rows_of: HashMap<&str, usize> = HashMap::new();
    let mut different = Vec::new();
    for text in texts {
        rows_of.entry(text).or_insert_with(|| {
            different.push(*text);
            different.len() - 1
        });
    }
    let bar = terminal.documents_bar(different.len());
    let mut rows = Embeddings::empty(encoder.dimension());
    for chunk in different.chunks(CHUNK) {
        encoder.encode_as(role, chunk)?.embeddings.iter().for_each(|row| rows.push(&unit(row)));
        bar.set_position(rows.rows() as u64);
    }
    bar.finish_and_clear();
    let mut all = Embeddings::empty(encoder.dimension());
    texts.iter().for_each(|text| all.push(rows.row(rows_of[text])));
    Ok(all)
}

/// For each pair, the candidates that equal its anchor or any positive of that anchor.
fn belong(pairs: &[Anchored], candidates: &[String]) -> Vec<HashSet<usize>> {
    let number_of: HashMap<&str, usize> =
        candidates.iter().enumerate().map(|(number, text)| (text.trim(), number)).collect();
    let mut by_anchor: HashMap<&str, HashSet<usize>> = HashMap::new();
    for pair in pairs {
        let own = by_anchor.entry(pair.anchor.trim()).or_default();
        own.extend([&pair.anchor, &pair.positive].into_iter().filter_map(|text| number_of.get(text.trim())));
    }
    pairs.iter().map(|pair| by_anchor[pair.anchor.trim()].clone()).collect()
}

fn write(
    mut output: impl Write,
    pairs: &[Anchored],
    found: &[Negatives],
    candidates: &[String],
    is_table: bool,
) -> io::Result<()> {
    // A table has no quoting.
    let field = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if is_table {
        writeln!(output, "anchor\tpositive\tnegative")?;
    }
    for (pair, negatives) in pairs.iter().zip(found) {
        let negatives = negatives.found.iter().map(|(number, _)| candidates[*number].as_str());
        if is_table {
            let (anchor, positive) = (field(&pair.anchor), field(&pair.positive));
            for negative in negatives {
                writeln!(output, "{anchor}\t{positive}\t{}", field(negative))?;
            }
            continue;
        }
        let line = json!({
            "anchor": pair.anchor,
            "positive": pair.positive,
            "negatives": negatives.collect::<Vec<_>>(),
        });
        writeln!(output, "{line}")?;
    }
    output.flush()
}

/// Says how many there are and how hard they are.
fn tell(found: &[Negatives], terminal: &Terminal) {
    let negatives: Vec<f32> = found.iter().flat_map(|pair| &pair.found).map(|(_, score)| *score).collect();
    let mean = |scores: &mut dyn Iterator<Item = f32>| {
        let (sum, count) = scores.fold((0.0, 0), |(sum, count), score| (sum + f64::from(score), count + 1));
        sum / f64::from(count.max(1))
    };
    let without = found.iter().filter(|pair| pair.found.is_empty()).count();
    terminal.note(format_args!(
        "{} for {}, of mean similarity {:.3} to the anchor; the positives have {:.3}",
        counted(negatives.len(), "negative"),
        counted(found.len(), "pair"),
        mean(&mut negatives.iter().copied()),
        mean(&mut found.iter().map(|pair| pair.positive)),
    ));
    if without > 0 {
        terminal.note(format_args!("{} without a negative", counted(without, "pair")));
    }
}

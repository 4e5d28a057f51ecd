//! Arguments of `akin negatives`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{ComparedArguments, ComputeArguments, FormatArguments, parse_count};

#[derive(Debug, Args)]
#[command(after_help = "\
PAIRS is a file as `akin train --objective ranking` reads it: anchor and positive, under these or other usual names, in \
.tsv, .csv or .jsonl. Every anchor is compared with all documents of the index or corpus, or where none is named with the \
positives of all pairs. Its closest become its negatives, without its positives and texts equal to them or to it. \
Texts that answer an anchor though PAIRS does not say so are among the closest too: --margin, --most and --skip keep most of \
them out.

An output that ends in .tsv has a row for each negative (anchor, positive, negative), as --objective triplet, margin and \
ranking read it; any other has a JSON line for each pair: {\"anchor\":...,\"positive\":...,\"negatives\":[...]}. A pair \
without negatives is kept in JSON, with an empty list.

Examples:
  akin negatives questions.tsv notes --margin 0.05 --output mined.jsonl
  akin negatives questions.jsonl passages.txt --model tuned --count 3 --output mined.tsv
  akin train --objective ranking --base tuned --train mined.jsonl --output better")]
pub struct NegativesArguments {
    /// The file of pairs that belong together
    #[arg(value_name = "PAIRS")]
    pub pairs: PathBuf,
    /// The folder of an index; or files of documents [default: the positives of the pairs]
    #[arg(value_name = "INDEX|CORPUS")]
    pub paths: Vec<PathBuf>,
    /// The file to write [default: JSON lines to stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How many negatives a pair gets at most
    #[arg(long, value_name = "N", default_value = "5", value_parser = parse_count)]
    pub count: NonZeroUsize,
    /// Leave out the N closest documents of an anchor
    #[arg(long, value_name = "N", default_value = "0")]
    pub skip: usize,
    /// Look at the N closest documents after those
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_count)]
    pub depth: NonZeroUsize,
    /// By how much a negative is less similar than the positive, at least
    #[arg(long, value_name = "S", value_parser = parse_similarity)]
    pub margin: Option<f32>,
    /// The greatest share of the positive's similarity that a negative has, such as 0.95
    #[arg(long, value_name = "SHARE", value_parser = parse_similarity)]
    pub share: Option<f32>,
    /// The least similarity of a negative to the anchor, from -1 to 1
    #[arg(long, value_name = "S", default_value = "-1", allow_negative_numbers = true, value_parser = parse_similarity)]
    pub least: f32,
    /// The greatest similarity of a negative to the anchor, from -1 to 1
    #[arg(long, value_name = "S", default_value = "1", allow_negative_numbers = true, value_parser = parse_similarity)]
    pub most: f32,
    #[command(flatten)]
    pub format: FormatArguments,
    /// The field with the id of a document, in jsonl, csv and tsv
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub id_field: String,
    /// Directory or hub id of a sentence-transformers model [default: that of the index, else of AKIN_MODEL, else
    /// all-MiniLM-L6-v2]
    #[arg(long, value_name = "DIR|HUB-ID")]
    pub model: Option<String>,
    #[command(flatten)]
    pub compute: ComputeArguments,
}

fn parse_similarity(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number: &f32| (-1.0..=1.0).contains(number));
    number.ok_or_else(|| "expected a number from -1 to 1".into())
}

impl NegativesArguments {
    /// The documents to look in, as the commands that compare documents name them.
    pub fn compared(&self) -> ComparedArguments {
        ComparedArguments {
            paths: self.paths.clone(),
            format: self.format.clone(),
            id_field: self.id_field.clone(),
            model: self.model.clone(),
            compute: self.compute.clone(),
        }
    }
}

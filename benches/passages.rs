//! How long should passages be: which share of the characters of answers is in the 5 passages nearest to a question?
//!
//! `cargo bench --bench passages -- FOLDER MODEL [TOKENS…]`: the folder has `corpora/NAME.md` and `questions.jsonl`, whose
//! lines have a question, and the `start` and `end` of each of its `references`, counted in characters. A JSON line for each
//! size; the first is of fixed pieces of 256 tokens, which end wherever they end.

use std::collections::HashMap;
use std::path::Path;

use akin_encoder::{EncoderOptions, Precision, Role, SentenceEncoder};
use akin_index::PassageSize;
use akin_indexer::passages::Cutter;
use serde_json::{Value, json};

/// Passages that are looked at for each question.
const NEAREST: usize = 5;

/// Tokens of the pieces that everything else is compared with.
const FIXED: usize = 256;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let [folder, model, sizes @ ..] = &arguments[..] else {
        return Err("which folder and model? cargo bench --bench passages -- FOLDER MODEL [TOKENS…]".into());
    };
    let options = EncoderOptions { precision: Precision::Int8, ..EncoderOptions::default() };
    let encoder = SentenceEncoder::load_with(model.as_ref(), &options)?;
    let questions = Questions::read(folder.as_ref(), &encoder)?;
    let fixed = questions.corpora.iter().map(|text| fixed(&encoder, text)).collect::<Result<Vec<_>>>()?;
    let base = questions.measure(&encoder, &fixed)?;
    println!(
        "{}",
        json!({"passages": "fixed", "tokens": FIXED, "count": fixed.concat().len(), "found": base})
    );
    let sizes =
        sizes.iter().map(|size| size.parse().map(PassageSize::Tokens)).collect::<Result<Vec<_>, _>>()?;
    for size in [PassageSize::Window].into_iter().chain(sizes) {
        let cutter = Cutter::new(&encoder, size)?;
        let cut = |text: &String| -> Result<Vec<Span>> {
            Ok(cutter.cut(text)?.iter().map(|part| (part.start as usize, part.end as usize)).collect())
        };
        let cut = questions.corpora.iter().map(cut).collect::<Result<Vec<_>>>()?;
        let found = questions.measure(&encoder, &cut)?;
        println!(
            "{}",
            json!({"passages": format!("{size:?}"), "count": cut.concat().len(), "found": found, "ratio": found / base})
        );
    }
    Ok(())
}

/// A range of bytes.
type Span = (usize, usize);

/// Pieces of [`FIXED`] tokens.
fn fixed(encoder: &SentenceEncoder, text: &str) -> Result<Vec<Span>> {
    let starts = encoder.token_starts(text)?;
    let mut begins: Vec<usize> = starts.chunks(FIXED).map(|piece| piece[0]).collect();
    begins.push(text.len());
    Ok(begins.windows(2).map(|ends| (ends[0], ends[1])).collect())
}

/// Long documents, and questions about them.
struct Questions {
    corpora: Vec<String>,
    questions: Vec<Question>,
}

/// A question, and what answers it.
struct Question {
    embedding: Vec<f32>,
    /// The document of each answer, and its bytes there.
    answers: Vec<(usize, Span)>,
}

impl Questions {
    fn read(folder: &Path, encoder: &SentenceEncoder) -> Result<Self> {
        let lines = std::fs::read_to_string(folder.join("questions.jsonl"))?;
        let lines = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let (mut corpora, mut places) = (Vec::new(), HashMap::new());
        let mut questions = Vec::new();
        for line in lines {
            let name = line["corpus"].as_str().ok_or("a question without a corpus")?.to_owned();
            if !places.contains_key(&name) {
                places.insert(name.clone(), corpora.len());
                corpora.push(std::fs::read_to_string(folder.join("corpora").join(format!("{name}.md")))?);
            }
            let place = places[&name];
            let text: &String = &corpora[place];
            let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let byte = |of: &Value, key: &str| bytes[of[key].as_u64().unwrap_or(0) as usize];
            let answers = line["references"].as_array().ok_or("a question without references")?;
            let answers = answers.iter().map(|of| (place, (byte(of, "start"), byte(of, "end")))).collect();
            let question = line["question"].as_str().ok_or("a line without a question")?;
            let embedding = encoder.encode_as(Role::Query, &[question])?.embeddings.row(0).to_vec();
            questions.push(Question { embedding, answers });
        }
        Ok(Self { corpora, questions })
    }

    /// The mean share of the bytes of the answers that are in the nearest passages.
    fn measure(&self, encoder: &SentenceEncoder, cut: &[Vec<Span>]) -> Result<f64> {
        let spans: Vec<(usize, Span)> =
            (0..).zip(cut).flat_map(|(of, cut)| cut.iter().map(move |span| (of, *span))).collect();
        let texts: Vec<&str> = spans.iter().map(|(of, span)| &self.corpora[*of][span.0..span.1]).collect();
        let rows = encoder.encode_as(Role::Document, &texts)?.embeddings;
        let mut sum = 0.0;
        for Question { embedding, answers } in &self.questions {
            let mut near: Vec<(f32, usize)> =
                rows.iter().map(|row| row.iter().zip(embedding).map(|(a, b)| a * b).sum()).zip(0..).collect();
            near.sort_by(|a, b| b.0.total_cmp(&a.0));
            near.truncate(NEAREST);
            let (mut found, mut all) = (0, 0);
            for (of, (start, end)) in answers {
                all += end - start;
                found += near
                    .iter()
                    .map(|(_, at)| spans[*at])
                    .filter(|(document, _)| document == of)
                    .map(|(_, span)| span.1.min(*end).saturating_sub(span.0.max(*start)))
                    .sum::<usize>();
            }
            sum += found as f64 / all.max(1) as f64;
        }
        Ok(sum / self.questions.len().max(1) as f64)
    }
}

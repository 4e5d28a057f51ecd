//! How well a model understands the documents of an index, beside their words: what tells a search by both whom to trust.
//!
//! Passages are cut into halves, and the first half looks for the second by meaning and by words. Nobody has to judge
//! anything: a model that cannot read a language, or does not know a field's terms, finds few of them.

use akin_encoder::{Role, SentenceEncoder, Similarity};
use akin_index::{Embeddings, Snapshot};

use crate::Result;
use crate::passages::text_of;

/// Passages that are cut into halves, at most and at least.
const MOST: usize = 256;
const LEAST: usize = 64;

/// Of so many passages one is cut: the estimate takes a small part of the time that their encoding took.
const SHARE: usize = 8;

/// So many passages are read for each that is long enough, at most.
const TRIES: usize = 4;

/// Words of a half that are encoded, or twice as many characters where there are no blanks between words.
const WORDS: usize = 40;

/// A passage is long enough that has so many words, or characters.
const SHORTEST: usize = 8;

/// Characters for each blank from which on a text is one without blanks between its words.
const UNSPACED: usize = 25;

/// The logarithm of how much better halves are found by meaning than by words, from -1 to 1. None where too few passages are
/// long enough, or the index has no words.
///
/// # Errors
/// What the encoder or the index report.
pub fn estimate(snapshot: &Snapshot, encoder: &SentenceEncoder) -> Result<Option<f32>> {
    let halves = sample(snapshot)?;
    if halves.len() < LEAST {
        return Ok(None);
    }
    let (first, second): (Vec<&str>, Vec<&str>) =
        halves.iter().map(|(first, second)| (first.as_str(), second.as_str())).unzip();
    let Some(by_words) = snapshot.score_texts(&first, &second)? else { return Ok(None) };
    let first = encoder.encode_as(Role::Query, &first)?.embeddings;
    let second = encoder.encode_as(Role::Document, &second)?.embeddings;
    let by_meaning = similarities(&first, &second, snapshot.model().similarity);
    Ok(Some(trust(&by_meaning, &by_words)))
}

/// The halves of passages from all over the index, always the same ones.
fn sample(snapshot: &Snapshot) -> Result<Vec<(String, String)>> {
    let docs = snapshot.docs()?;
    let wanted = (snapshot.live_passages() / SHARE).clamp(LEAST, MOST);
    let mut halves = Vec::with_capacity(wanted);
    for at in spread(docs.len(), TRIES * wanted) {
        if halves.len() == wanted {
            break;
        }
        let text = snapshot.document(docs[at])?.text;
        let passages = snapshot.passages(docs[at])?.unwrap_or_default();
        // Of a document with several passages any one.
        let part = match passages.get(at % passages.len().max(1)) {
            Some(passage) if text.get(passage.start as usize..passage.end as usize).is_some() => {
                text_of(&text, passage)
            }
            _ => &text,
        };
        halves.extend(halve(part));
    }
    Ok(halves)
}

/// Up to `count` places among `all`: each prefix of them lies all over.
fn spread(all: usize, count: usize) -> impl Iterator<Item = usize> {
    // Steps of the golden ratio never come close to one another.
    let step = ((all as f64 * 0.618_033_988_749_895) as usize).max(1);
    let step = (step..).find(|step| greatest_common_divisor(*step, all.max(1)) == 1).unwrap_or(1);
    (0..count.min(all)).map(move |place| (place as u128 * step as u128 % all as u128) as usize)
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The beginning of a text's first half and the end of its second, if it is long enough.
fn halve(text: &str) -> Option<(String, String)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let characters: usize = words.iter().map(|word| word.chars().count()).sum();
    if characters > UNSPACED * words.len() {
        let characters: Vec<char> = words.concat().chars().collect();
        let (first, second) = ends(&characters, 2 * WORDS)?;
        return Some((first.iter().collect(), second.iter().collect()));
    }
    let (first, second) = ends(&words, WORDS)?;
    Some((first.join(" "), second.join(" ")))
}

/// The first items of the first half and the last of the second, at most `most` of each.
fn ends<T>(items: &[T], most: usize) -> Option<(&[T], &[T])> {
    if items.len() < SHORTEST {
        return None;
    }
    let (first, second) = items.split_at(items.len() / 2);
    Some((&first[..most.min(first.len())], &second[second.len() - most.min(second.len())..]))
}

/// How similar each row of `first` is to each of `second`.
fn similarities(first: &Embeddings, second: &Embeddings, similarity: Similarity) -> Vec<Vec<f32>> {
    let length = |row: &[f32]| match similarity {
        Similarity::Cosine => row.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE),
        _ => 1.0,
    };
    // The length of a row of `first` changes no rank among its similarities.
    let lengths: Vec<f32> = second.iter().map(length).collect();
    let compare =
        |a: &[f32]| second.iter().zip(&lengths).map(|(b, length)| similarity.of(a, b) / length).collect();
    first.iter().map(compare).collect()
}

/// The logarithm of the ratio of both mean reciprocal ranks.
fn trust(by_meaning: &[Vec<f32>], by_words: &[Vec<f32>]) -> f32 {
    let ratio = mean_reciprocal_rank(by_meaning) / mean_reciprocal_rank(by_words);
    (ratio.ln() as f32).clamp(-1.0, 1.0)
}

/// The mean over the rows of one over the rank of the row's own column. Ties count half a place each, so that a row of
/// zeros says nothing.
fn mean_reciprocal_rank(scores: &[Vec<f32>]) -> f64 {
    let ranks = scores.iter().enumerate().map(|(own, row)| {
        let above = row.iter().filter(|score| **score > row[own]).count() as f64;
        let equal = row.iter().filter(|score| **score == row[own]).count() as f64;
        1.0 / (1.0 + above + (equal - 1.0).max(0.0) / 2.0)
    });
    ranks.sum::<f64>() / scores.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use akin_fixtures::files::Folder;
    use akin_fixtures::models::tiny;
    use akin_index::{Document, Index, ModelIdentity};

    use super::*;

    #[test]
    fn trust_is_the_ratio_of_mean_reciprocal_ranks() {
        let meaning = [vec![0.9, 0.1, 0.2], vec![0.3, 0.2, 0.1], vec![0.1, 0.2, 0.8]];
        let words = [vec![5.0, 0.0, 0.0], vec![0.0; 3], vec![1.0, 0.0, 0.0]];
        // Ranks 1, 2, 1 and 1, 2, 2.5.
        assert!((mean_reciprocal_rank(&meaning) - 5.0 / 6.0).abs() < 1e-9);
        assert!((trust(&meaning, &words) - 0.274_437).abs() < 1e-5);
        let blind = vec![vec![0.0; 100]; 100];
        let sure: Vec<Vec<f32>> =
            (0..100).map(|row| (0..100).map(|column| f32::from(row == column)).collect()).collect();
        assert_eq!((trust(&blind, &sure), trust(&sure, &blind)), (-1.0, 1.0));
    }

    #[test]
    fn a_text_is_cut_in_the_middle_and_a_short_one_is_not_used() {
        let text = |range: std::ops::Range<usize>| range.map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(halve(&text(0..10)), Some((text(0..5), text(5..10))));
        assert_eq!(halve(&text(0..200)), Some((text(0..40), text(160..200))));
        assert_eq!(halve("only seven words are in this text"), None);
        let chinese = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳".to_owned();
        let (first, second) = halve(&chinese).unwrap();
        assert_eq!(first + &second, chinese);
    }

    #[test]
    fn places_are_different_and_lie_all_over() {
        for (all, count) in [(1, 4), (7, 7), (1000, 64), (10_000, 1024)] {
            let places: Vec<usize> = spread(all, count).collect();
            let different: HashSet<usize> = places.iter().copied().collect();
            assert_eq!(different.len(), count.min(all));
            assert!(places.iter().all(|place| *place < all));
        }
        let tenths: HashSet<usize> = spread(1000, 64).map(|place| place / 100).collect();
        assert_eq!(tenths.len(), 10);
        assert_eq!(spread(0, 9).count(), 0);
    }

    #[test]
    fn words_that_halves_share_lower_the_trust_in_a_model_that_knows_nothing() {
        let folder = Folder::new();
        let encoder = SentenceEncoder::load(&tiny("bert")).unwrap();
        let model = ModelIdentity::new(encoder.fingerprint(), "tiny", encoder.dimension());
        let mut index = Index::open_or_create(&folder.path("index"), &model).unwrap();
        let document = |n: usize| {
            let text = format!("the {n}th report of station{n} says today that station{n} is in order");
            Document { id: n.to_string(), text, ..Document::default() }
        };
        let documents: Vec<Document> = (0..80).map(document).collect();
        let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
        let embeddings = encoder.encode(&texts).unwrap().embeddings;
        index
            .upsert(
                &documents[..60],
                &Embeddings::from_values(
                    model.dimension,
                    embeddings.iter().take(60).flatten().copied().collect(),
                ),
            )
            .unwrap();
        assert_eq!(estimate(&index.snapshot(), &encoder).unwrap(), None);
        index.upsert(&documents, &embeddings).unwrap();
        let trust = estimate(&index.snapshot(), &encoder).unwrap().unwrap();
        assert!(trust < -0.5, "{trust}");
    }
}

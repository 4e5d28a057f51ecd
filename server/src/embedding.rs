//! Texts of a client become vectors, within the limits: what all interfaces for embeddings share.

use std::sync::Arc;

use akin_encoder::{Embeddings, Role};

use crate::app::{App, blocking};
use crate::error::{ApiError, Kind};
use crate::patience::Patience;
use crate::room::{Room, Texts};

/// What is done with a text that is longer than the model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLong {
    /// It is refused.
    Refuse,
    /// Its end is left out.
    CutEnd,
    /// Its beginning is left out, up to the beginning of a word.
    CutBeginning,
}

/// The vectors of a request.
pub struct Embedded {
    /// A row a text.
    pub embeddings: Embeddings,
    /// Tokens that the model read.
    pub tokens: usize,
}

/// Encodes texts in a role, or as the model encodes texts without one.
pub async fn embed(
    app: &Arc<App>,
    room: &Room,
    role: Option<Role>,
    texts: Vec<String>,
    too_long: TooLong,
    field: &'static str,
) -> Result<Embedded, ApiError> {
    let texts = measure(app, room, role, texts, too_long, field).await?;
    let tokens = texts.total();
    // Dropped with the request: then its texts are not encoded any more.
    let patience = Patience::default();
    let embeddings = room.encode(role, texts, patience.waiting())?.arrive().await?;
    Ok(Embedded { embeddings, tokens })
}

/// Counts the tokens of texts, cuts those that are too long where that is asked for, and refuses what is too much.
pub async fn measure(
    app: &App,
    room: &Room,
    role: Option<Role>,
    texts: Vec<String>,
    too_long: TooLong,
    field: &'static str,
) -> Result<Texts, ApiError> {
    check_count(app, texts.len(), field)?;
    let by = room.clone();
    let texts = blocking(move || measure_cut(&by, role, texts, too_long)).await?;
    let most = room.encoder().max_tokens();
    if too_long == TooLong::Refuse
        && let Some(at) = texts.truncated.iter().position(|is| *is)
    {
        let longer = format!("text {at} of {field} has more than the {most} tokens that the model reads");
        return Err(ApiError { kind: Kind::TooLarge, ..ApiError::field(field, longer) });
    }
    let (tokens, limit) = (texts.total(), app.limits.tokens);
    if tokens > limit {
        let error = ApiError::field(
            field,
            format!("{field} has {tokens} tokens, and {limit} are the most of a request"),
        );
        return Err(ApiError { kind: Kind::TooLarge, ..error });
    }
    Ok(texts)
}

fn measure_cut(
    room: &Room,
    role: Option<Role>,
    texts: Vec<String>,
    too_long: TooLong,
) -> Result<Texts, ApiError> {
    let measured = room.measure(texts)?;
    if too_long != TooLong::CutBeginning || !measured.truncated.contains(&true) {
        return Ok(measured);
    }
    let encoder = room.encoder();
    let kept = match role {
        Some(role) => encoder.text_tokens(role)?,
        // What every text has around it is all that an empty one has.
        None => encoder.max_tokens().saturating_sub(encoder.count_tokens(&[""])?[0]),
    };
    let texts = measured.texts.into_iter().zip(measured.truncated);
    let texts = texts.map(|(text, is_long)| match is_long {
        true => Ok(end_of(&text, &encoder.token_starts(&text)?, kept).to_owned()),
        false => Ok(text),
    });
    room.measure(texts.collect::<Result<_, ApiError>>()?)
}

/// The end of a text that begins with a word and has at most so many of its tokens; it begins within a word where there is
/// no other beginning. `starts` are the bytes at which tokens begin.
fn end_of<'a>(text: &'a str, starts: &[usize], tokens: usize) -> &'a str {
    let last = &starts[starts.len().saturating_sub(tokens)..];
    let begins_word = |start: &&usize| {
        let before = text.get(..**start).and_then(|before| before.chars().next_back());
        !before.is_some_and(char::is_alphanumeric)
    };
    let start = last.iter().find(begins_word).or(last.first());
    start.and_then(|start| text.get(*start..)).unwrap_or("")
}

/// Refuses no texts, and too many.
pub fn check_count(app: &App, count: usize, field: &str) -> Result<(), ApiError> {
    let most = app.limits.texts;
    match count {
        0 => Err(ApiError::field(field, format!("{field} is empty, and a text is expected"))),
        _ if count > most => {
            let error = ApiError::field(
                field,
                format!("{field} has {count} texts, and {most} are the most of a request"),
            );
            Err(ApiError { kind: Kind::TooLarge, ..error })
        }
        _ => Ok(()),
    }
}

/// How long the vectors of an answer are. Refuses more numbers than the model gives.
pub fn dimensions(asked: Option<usize>, room: &Room) -> Result<usize, ApiError> {
    let own = room.encoder().dimension();
    match asked {
        None => Ok(own),
        Some(asked) if (1..=own).contains(&asked) => Ok(asked),
        Some(asked) => Err(ApiError::field(
            "dimensions",
            format!("dimensions is {asked}, and the vectors of the model have from 1 to {own}"),
        )),
    }
}

/// Keeps the first numbers of each vector (Kusupati et al. 2022, Matryoshka representations), at length one again if
/// `unit`.
pub fn cut(embeddings: Embeddings, dimensions: usize, unit: bool) -> Embeddings {
    let own = embeddings.dimension();
    if dimensions == own {
        return embeddings;
    }
    let kept: Vec<f32> = embeddings.iter().flat_map(|row| &row[..dimensions.min(own)]).copied().collect();
    let mut kept = Embeddings::from_values(dimensions, kept);
    if unit {
        normalize_all(&mut kept);
    }
    kept
}

/// Brings every row to length one.
pub fn normalize_all(embeddings: &mut Embeddings) {
    let dimension = embeddings.dimension();
    embeddings.as_mut_slice().chunks_exact_mut(dimension).for_each(normalize);
}

fn normalize(row: &mut [f32]) {
    let length = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_begins_with_a_word() {
        let text = "one seven, two";
        // one se|ven , two
        let starts = [0, 4, 6, 9, 11];
        assert_eq!(end_of(text, &starts, 5), text);
        assert_eq!(end_of(text, &starts, 4), "seven, two");
        assert_eq!(end_of(text, &starts, 3), "two");
        assert_eq!(end_of(text, &starts, 0), "");
        assert_eq!(end_of("endless", &[0, 3, 5], 2), "less");
    }

    #[test]
    fn a_vector_is_cut_and_of_length_one_again() {
        let rows = || Embeddings::from_values(3, vec![3.0, 4.0, 9.0, 0.0, 0.0, 1.0]);
        assert_eq!(cut(rows(), 2, true).as_slice(), [0.6, 0.8, 0.0, 0.0]);
        assert_eq!(cut(rows(), 2, false).as_slice(), [3.0, 4.0, 0.0, 0.0]);
        assert_eq!(cut(rows(), 3, true).as_slice(), rows().as_slice());
    }
}

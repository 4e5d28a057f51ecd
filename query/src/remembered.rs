//! What an index remembers of its model beside the weights. Documents were encoded with a prompt, so queries need the one
//! that goes with it; their embeddings have a number of dimensions, and are stored for one similarity.

use std::path::Path;

use akin_encoder::{Prompts, Role, SentenceEncoder};
use akin_index::{ModelIdentity, Reader};

use crate::{Error, Result};

/// Gives `encoder` the prompts of the index that `model` is of, and its dimensions, where none were given to it.
///
/// # Errors
/// [`Error::OtherPrompt`] and [`Error::OtherDimensions`] if others were given; [`Error::OtherSimilarity`] as [`require`].
pub fn adopt(encoder: SentenceEncoder, model: &ModelIdentity) -> Result<SentenceEncoder> {
    let or_remembered = |role| encoder.prompts().of(role).or(remembered(model, role)).map(str::to_owned);
    let prompts = Prompts { query: or_remembered(Role::Query), document: or_remembered(Role::Document) };
    let encoder = encoder.with_prompts(prompts);
    let encoder = cut_as(encoder, model)?;
    require(&encoder, model)?;
    Ok(encoder)
}

/// Cuts the embeddings of `encoder` to the length of those of the index that `model` is of, unless a length was given to
/// it.
///
/// # Errors
/// [`Error::Encoder`], which a length that has been checked never gives.
pub fn cut_as(encoder: SentenceEncoder, model: &ModelIdentity) -> Result<SentenceEncoder> {
    let is_open = encoder.asked_dimensions().is_none();
    match model.dimension {
        kept if is_open && (1..encoder.dimension()).contains(&kept) => Ok(encoder.with_dimensions(kept)?),
        _ => Ok(encoder),
    }
}

/// The same for the index at `path`, if there is one that was built with the model of `encoder`.
///
/// # Errors
/// As [`cut_as`], and [`Error::OtherDimensions`] if another length was given.
pub fn cut_as_index(encoder: SentenceEncoder, path: &Path) -> Result<SentenceEncoder> {
    match Reader::open(path) {
        Ok(reader) if reader.model().fingerprint == encoder.fingerprint() => {
            let model = reader.model();
            let encoder = cut_as(encoder, &model)?;
            require_dimensions(&encoder, &model)?;
            Ok(encoder)
        }
        _ => Ok(encoder),
    }
}

fn require_dimensions(encoder: &SentenceEncoder, model: &ModelIdentity) -> Result<()> {
    match (model.dimension, encoder.dimension()) {
        (of_index, given) if of_index != given => Err(Error::OtherDimensions { of_index, given }),
        _ => Ok(()),
    }
}

/// Refuses an encoder with other prompts than those of the index that `model` is of, other dimensions or another
/// similarity.
///
/// # Errors
/// [`Error::OtherPrompt`], [`Error::OtherDimensions`], [`Error::OtherSimilarity`].
pub fn require(encoder: &SentenceEncoder, model: &ModelIdentity) -> Result<()> {
    let (of_index, of_model) = (model.similarity, encoder.similarity());
    if of_index != of_model {
        return Err(Error::OtherSimilarity { of_index, of_model });
    }
    require_dimensions(encoder, model)?;
    for role in [Role::Query, Role::Document] {
        let of_index = remembered(model, role).unwrap_or_else(|| encoder.own_prompt(role));
        if encoder.prompt(role) != of_index {
            let (of_index, given) = (of_index.to_owned(), encoder.prompt(role).to_owned());
            return Err(Error::OtherPrompt { role, of_index, given });
        }
    }
    Ok(())
}

fn remembered(model: &ModelIdentity, role: Role) -> Option<&str> {
    match role {
        Role::Query => model.query_prompt.as_deref(),
        Role::Document => model.document_prompt.as_deref(),
    }
}

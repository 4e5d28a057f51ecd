//! What an index remembers of its model beside the weights. Documents were encoded with a prompt, so queries need the one
//! that goes with it; and their embeddings are stored for one similarity.

use akin_encoder::{Prompts, Role, SentenceEncoder};
use akin_index::ModelIdentity;

use crate::{Error, Result};

/// Gives `encoder` the prompts of the index that `model` is of, where none were given to it.
///
/// # Errors
/// [`Error::OtherPrompt`] if another one was given; [`Error::OtherSimilarity`] as [`require`].
pub fn adopt(encoder: SentenceEncoder, model: &ModelIdentity) -> Result<SentenceEncoder> {
    let or_remembered = |role| encoder.prompts().of(role).or(remembered(model, role)).map(str::to_owned);
    let prompts = Prompts { query: or_remembered(Role::Query), document: or_remembered(Role::Document) };
    let encoder = encoder.with_prompts(prompts);
    require(&encoder, model)?;
    Ok(encoder)
}

/// Refuses an encoder with other prompts than those of the index that `model` is of, or another similarity.
///
/// # Errors
/// [`Error::OtherPrompt`], [`Error::OtherSimilarity`].
pub fn require(encoder: &SentenceEncoder, model: &ModelIdentity) -> Result<()> {
    let (of_index, of_model) = (model.similarity, encoder.similarity());
    if of_index != of_model {
        return Err(Error::OtherSimilarity { of_index, of_model });
    }
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

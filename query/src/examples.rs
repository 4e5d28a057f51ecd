//! Documents given as examples: hits should be like some and unlike others, beside a text or instead of one.

use std::collections::HashSet;

use akin_index::{DocId, Snapshot};

use crate::{AskOptions, Error, Result};

/// Example documents of a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Examples {
    docs: HashSet<DocId>,
    like: Vec<Vec<f32>>,
    unlike: Vec<Vec<f32>>,
}

impl Examples {
    /// The examples that `options` name.
    pub(crate) fn find(snapshot: &Snapshot, options: &AskOptions) -> Result<Self> {
        let mut examples = Self::default();
        for id in &options.like {
            let vector = examples.find_one(snapshot, id)?;
            examples.like.push(vector);
        }
        for id in &options.unlike {
            let vector = examples.find_one(snapshot, id)?;
            examples.unlike.push(vector);
        }
        Ok(examples)
    }

    fn find_one(&mut self, snapshot: &Snapshot, id: &str) -> Result<Vec<f32>> {
        let doc = snapshot.find(id)?.ok_or_else(|| Error::NoExample { id: id.to_owned() })?;
        self.docs.insert(doc);
        Ok(mean(&snapshot.vectors(doc)?))
    }

    /// Whether a document is one of them: it is no hit.
    pub(crate) fn contains(&self, doc: DocId) -> bool {
        self.docs.contains(&doc)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.docs.is_empty()
    }

    /// Whether they say what to look for, without a text.
    pub(crate) fn suffice(&self) -> bool {
        !self.like.is_empty()
    }

    /// What to look for, given the embedding of a text if there is one: the mean of what hits should be like, and as far
    /// again away from the mean of what they should not.
    pub(crate) fn query(&self, text: Option<&[f32]>) -> Vec<f32> {
        let like: Vec<&[f32]> = self.like.iter().map(Vec::as_slice).chain(text).collect();
        let like = mean(&like);
        if self.unlike.is_empty() {
            return like;
        }
        like.iter().zip(mean(&self.unlike)).map(|(like, unlike)| 2.0 * like - unlike).collect()
    }
}

/// The mean of some vectors of one length.
fn mean(vectors: &[impl AsRef<[f32]>]) -> Vec<f32> {
    let mut mean = vec![0.0; vectors.first().map_or(0, |first| first.as_ref().len())];
    for vector in vectors {
        mean.iter_mut().zip(vector.as_ref()).for_each(|(sum, value)| *sum += value);
    }
    mean.iter_mut().for_each(|sum| *sum /= vectors.len() as f32);
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_lies_among_what_is_liked_and_away_from_what_is_not() {
        let examples = Examples {
            like: vec![vec![1.0, 0.0]],
            unlike: vec![vec![0.0, 1.0], vec![0.0, 0.0]],
            ..Examples::default()
        };
        assert_eq!(examples.query(None), [2.0, -0.5]);
        assert_eq!(examples.query(Some(&[0.0, 1.0])), [1.0, 0.5]);
        let liked = Examples { unlike: Vec::new(), ..examples };
        assert_eq!(liked.query(None), [1.0, 0.0]);
        assert!(liked.suffice() && !Examples::default().suffice());
    }
}

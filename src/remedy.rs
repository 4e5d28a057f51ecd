//! The remedies that only the command line can name: which option to give.
//!
//! The libraries say what is wrong, and know no options.

use akin_indexer::{Error, FieldRole};

/// What to do about an error, if an option helps.
pub fn of(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let indexer = match cause.downcast_ref::<akin_query::Error>() {
            Some(akin_query::Error::Queries(error)) => Some(error),
            _ => cause.downcast_ref::<Error>(),
        };
        match indexer? {
            Error::MissingField { role: FieldRole::Id, .. } => Some("name another with --id-field"),
            Error::MissingField { role: FieldRole::Text, .. } => Some("name another with --text-field"),
            Error::Matrix { .. } => {
                Some("save one by numpy.save(path, x) with x a matrix of floats of shape (rows, dimension)")
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_has_its_option_wherever_it_was_read() {
        let missing = |role| Error::MissingField {
            file: "a.jsonl".into(),
            line: 1,
            field: "text".into(),
            role,
            present: Vec::new(),
        };
        let of_corpus = anyhow::Error::from(missing(FieldRole::Id)).context("cannot index");
        assert_eq!(of(&of_corpus), Some("name another with --id-field"));
        let of_queries = anyhow::Error::from(akin_query::Error::from(missing(FieldRole::Text)));
        assert_eq!(of(&of_queries), Some("name another with --text-field"));
        assert_eq!(of(&anyhow::anyhow!("something else")), None);
    }
}

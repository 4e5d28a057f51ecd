//! A model ranks texts for a query: what all interfaces for re-ranking share.

use std::sync::Arc;

use crate::app::{App, NamedReranker, blocking};
use crate::embedding::check_count;
use crate::error::{ApiError, Kind};
use crate::patience::Patience;

/// Pairs that are scored in one call. Between two calls it is asked whether the client still waits.
const TOGETHER: usize = 64;

/// What a score is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As the model gives it.
    Raw,
    /// From 0 to 1.
    Share,
}

/// Ranked texts.
pub struct Ranking {
    /// The place of each text in the request, and its score, best first.
    pub ranked: Vec<(usize, f32)>,
    /// Tokens that the model read.
    pub tokens: usize,
    /// The texts in the order of the request.
    pub texts: Vec<String>,
}

/// Ranks texts, best first. Of equal ones the order stays.
pub async fn rank(
    app: &Arc<App>,
    reranker: &NamedReranker,
    query: String,
    texts: Vec<String>,
    scale: Scale,
    field: &'static str,
) -> Result<Ranking, ApiError> {
    check_count(app, texts.len(), field)?;
    if query.len() > app.limits.query {
        let most = app.limits.query;
        let error =
            ApiError::field("query", format!("query has more than {most} bytes, the most of a query"));
        return Err(ApiError { kind: Kind::TooLarge, ..error });
    }
    let (model, patience) = (reranker.model.clone(), Patience::default());
    let waiting = patience.waiting();
    let ranking = blocking(move || {
        let (mut ranked, mut tokens) = (Vec::with_capacity(texts.len()), 0);
        for chunk in texts.chunks(TOGETHER) {
            if waiting.is_gone() {
                return Err(ApiError::new(Kind::Timeout, "the client is gone"));
            }
            let pairs: Vec<(&str, &str)> = chunk.iter().map(|text| (query.as_str(), text.as_str())).collect();
            let scored = model.score(&pairs)?;
            tokens += scored.tokens;
            ranked.extend((ranked.len()..).zip(scored.scores));
        }
        if scale == Scale::Share {
            ranked.iter_mut().for_each(|(_, score)| *score = model.share(*score));
        }
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(Ranking { ranked, tokens, texts })
    })
    .await;
    drop(patience);
    ranking
}

//! The page at `/`, and what it shares with the file of a map.
//!
//! Styles and scripts are files of their own here and one text in the page, so that it is a single answer without any further
//! request. The policy names their digests: nothing else is run, and nobody but this server is asked.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Draws a map.
pub const MAP_SCRIPT: &str = concat!(
    include_str!("map/points.js"),
    include_str!("map/paint.js"),
    include_str!("map/colours.js"),
    include_str!("map/plane.js"),
    include_str!("map/labels.js"),
    include_str!("map/lasso.js"),
    include_str!("map/gestures.js"),
    include_str!("map/map.js")
);
/// Colours of both pages, and the style of a map.
pub const MAP_STYLE: &str = include_str!("map.css");

const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPTS: [&str; 5] = [
    include_str!("search.js"),
    include_str!("corpus.js"),
    include_str!("index.js"),
    include_str!("review.js"),
    include_str!("page.js"),
];

/// The one style and the one script of a page.
pub struct Assets {
    /// What is in its `style` element.
    pub style: String,
    /// What is in its `script` element.
    pub script: String,
}

impl Assets {
    /// Joins styles and scripts.
    pub fn of(styles: &[&str], scripts: &[&str]) -> Self {
        Self { style: styles.concat(), script: scripts.concat() }
    }

    /// The policy of a page: its own style and script alone, and requests to `connect`.
    pub fn policy(&self, connect: &str) -> String {
        let digest = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        format!(
            "default-src 'none'; connect-src {connect}; style-src {}; script-src {}; form-action 'none'; base-uri 'none'",
            digest(&self.style),
            digest(&self.script)
        )
    }
}

/// The page, and its policy.
static PAGE: LazyLock<(String, String)> = LazyLock::new(|| {
    let scripts: Vec<&str> = std::iter::once(MAP_SCRIPT).chain(SCRIPTS).collect();
    let assets = Assets::of(&[MAP_STYLE, STYLE], &scripts);
    let page = FRAME.replace("{{style}}", &assets.style).replace("{{script}}", &assets.script);
    // A frame could hide what is clicked. A policy in the page itself could not say this.
    (page, assets.policy("'self'") + "; frame-ancestors 'none'")
});

/// The page. It holds no data, and needs no key: what it asks for does.
pub async fn page() -> Response {
    let policy = HeaderValue::from_str(&PAGE.1).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, PAGE.0.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nobody_else_and_writes_no_markup_of_others() {
        let (page, _) = &*PAGE;
        for address in ["http://", "https://", "//cdn", "@import", "url(", "{{"] {
            assert!(!page.contains(address), "{address}");
        }
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style="] {
            assert!(!page.contains(sink), "{sink}");
        }
        assert_eq!((page.matches("<script").count(), page.matches("<style").count()), (1, 1));
    }

    #[test]
    fn the_policy_names_what_is_in_the_page() {
        let (page, policy) = &*PAGE;
        for tag in ["style", "script"] {
            let (_, rest) = page.split_once(&format!("<{tag}>")).unwrap();
            let (inner, _) = rest.split_once(&format!("</{tag}>")).unwrap();
            let digest = STANDARD.encode(Sha256::digest(inner));
            assert!(policy.contains(&format!("{tag}-src 'sha256-{digest}'")), "{tag}");
        }
    }
}

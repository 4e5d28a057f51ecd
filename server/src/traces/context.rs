//! Who asked: the header `traceparent` of W3C Trace Context.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderMap;

/// The trace that a request belongs to, and the span that caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace: u128,
    /// The span; none where the request begins its trace.
    pub span: Option<u64>,
}

impl Parent {
    /// That which a request names, or the begin of a new trace; none where the caller does not record its trace.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all("traceparent").iter();
        let (first, second) = (given.next().and_then(|value| value.to_str().ok()), given.next());
        match first.filter(|_| second.is_none()).and_then(read) {
            Some((parent, is_recorded)) => is_recorded.then_some(parent),
            None => {
                let trace = u128::from(new_id()) << 64 | u128::from(new_id());
                Some(Self { trace, span: None })
            }
        }
    }
}

/// Reads a header, and whether the caller records: `00-TRACE-SPAN-FLAGS` in hex digits, or that with more behind it in a later
/// version.
fn read(header: &str) -> Option<(Parent, bool)> {
    let mut parts = header.split('-');
    let mut next = |digits: usize| {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        parts.next().filter(|part| part.len() == digits && part.bytes().all(is_digit))
    };
    let version = next(2).filter(|version| *version != "ff")?;
    let trace = u128::from_str_radix(next(32)?, 16).ok().filter(|trace| *trace != 0)?;
    let span = u64::from_str_radix(next(16)?, 16).ok().filter(|span| *span != 0)?;
    let flags = u8::from_str_radix(next(2)?, 16).ok()?;
    let is_over = version != "00" || parts.next().is_none();
    is_over.then_some((Parent { trace, span: Some(span) }, flags & 1 == 1))
}

/// A number that no other span has, as far as chance goes; never 0.
pub fn new_id() -> u64 {
    static RANDOM: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RANDOM.build_hasher();
    hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn of(headers: &[&str]) -> Option<Parent> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append("traceparent", HeaderValue::from_str(header).unwrap());
        }
        Parent::of(&map)
    }

    #[test]
    fn a_request_is_a_part_of_the_trace_that_it_names() {
        let expected =
            Parent { trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: Some(0xb7ad_6b71_6920_3331) };
        assert_eq!(of(&[HEADER]), Some(expected));
        assert_eq!(of(&[&format!("01{}-more", &HEADER[2..])]), Some(expected));
        assert_eq!(of(&[&HEADER.replace("-01", "-00")]), None);
    }

    #[test]
    fn what_is_no_parent_begins_a_trace() {
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let long = format!("{HEADER}-more");
        let upper = HEADER.to_uppercase();
        for headers in [&[][..], &[""], &["00-1-2-01"], &[zero], &[&long], &[&upper], &[HEADER, HEADER]] {
            assert_eq!(of(headers).unwrap().span, None, "{headers:?}");
        }
        assert_ne!(of(&[]), of(&[]));
    }
}

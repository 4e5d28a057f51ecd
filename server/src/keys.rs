//! The keys that clients show, and what each allows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use axum::http::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::StartError;

/// What a key allows. Each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Queries, embeddings, documents by their ids.
    Read,
    /// Adding, replacing and deleting documents.
    Write,
    /// Creating and dropping indexes.
    Admin,
}

impl Scope {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// The shortest key: nobody guesses one of so many characters.
const SHORTEST: usize = 16;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A key of the file. The key itself is not kept.
struct Known {
    scope: Scope,
    /// What the log calls it.
    name: Arc<str>,
    /// Its SHA-256.
    digest: [u8; 32],
}

/// The key that a request shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it allows.
    pub scope: Scope,
    /// What the log calls it.
    pub name: Arc<str>,
    /// Its place among the keys.
    pub place: usize,
}

/// The keys of a file. A change of the file holds from the next second on.
pub struct Keys {
    path: PathBuf,
    known: RwLock<Arc<Vec<Known>>>,
    seen: Mutex<Seen>,
}

/// The file when it was last looked at.
struct Seen {
    at: Instant,
    stamp: Option<(SystemTime, u64)>,
}

impl Keys {
    /// Reads the file: a scope, a key, and a name for it if there is one, a line.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        let stamp = stamp(path);
        let known = RwLock::new(Arc::new(read(path)?));
        Ok(Self { path: path.to_owned(), known, seen: Mutex::new(Seen { at: Instant::now(), stamp }) })
    }

    /// The key that a request shows; none if it shows no key, or one that is unknown. Of a key that is there twice the line
    /// that allows most counts.
    pub fn find(&self, headers: &HeaderMap) -> Option<Shown> {
        self.follow(LOOK);
        let shown: [u8; 32] = Sha256::digest(shown(headers)?).into();
        let known = Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner));
        // All of them are compared, whichever fits, and digests of one length: the time tells nothing of any key.
        let mut found: Option<Shown> = None;
        for (place, key) in known.iter().enumerate() {
            let fits = bool::from(key.digest.ct_eq(&shown));
            if fits && found.as_ref().is_none_or(|found| found.scope < key.scope) {
                found = Some(Shown { scope: key.scope, name: Arc::clone(&key.name), place });
            }
        }
        found
    }

    /// Reads the file again if it has changed. While it cannot be read, the keys from before hold.
    fn follow(&self, interval: Duration) {
        let Ok(mut seen) = self.seen.try_lock() else { return };
        if seen.at.elapsed() < interval {
            return;
        }
        seen.at = Instant::now();
        let stamp = stamp(&self.path);
        if stamp == seen.stamp {
            return;
        }
        match read(&self.path) {
            Ok(known) => {
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
                tracing::info!("the keys were read again");
            }
            Err(error) => tracing::warn!("the keys from before still hold: {error}"),
        }
        seen.stamp = stamp;
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

/// The key that a request shows, in any of the headers that clients use.
fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(value) = headers.get("authorization") {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        return scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii());
    }
    let named = headers.get("api-key").or_else(|| headers.get("x-api-key"))?;
    Some(named.as_bytes().trim_ascii())
}

fn read(path: &Path) -> Result<Vec<Known>, StartError> {
    let fault = |line: usize, reason: &str| StartError::Keys {
        path: path.to_owned(),
        line,
        reason: reason.to_owned(),
    };
    let text =
        fs::read_to_string(path).map_err(|error| fault(0, &format!("cannot read the keys: {error}")))?;
    let mut known = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The sentence must not quote the line, which has a key in it.
        let mut parts = line.split_whitespace();
        let scope = parts.next().and_then(Scope::parse);
        let scope =
            scope.ok_or_else(|| fault(number, "a line is read, write or admin, a space, and a key"))?;
        let (key, name) = match (parts.next(), parts.next(), parts.next()) {
            (Some(key), name, None) => (key, name.map_or_else(|| format!("line-{number}"), str::to_owned)),
            _ => {
                return Err(fault(
                    number,
                    "a line is read, write or admin, a space, a key without spaces, and perhaps a name for it",
                ));
            }
        };
        if key.len() < SHORTEST {
            return Err(fault(number, &format!("a key has {SHORTEST} characters at least")));
        }
        known.push(Known { scope, name: name.into(), digest: Sha256::digest(key).into() });
    }
    if known.is_empty() {
        return Err(fault(0, "there is no key in it: a line is read, write or admin, a space, and a key"));
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use akin_fixtures::Folder;

    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_key_has_its_scope_whatever_header_shows_it() {
        let folder = Folder::new();
        folder.write("keys", "# ours\nread aaaaaaaaaaaaaaaa\n\nadmin  bbbbbbbbbbbbbbbb\n");
        let keys = Keys::open(&folder.path("keys")).unwrap();
        let scope = |name, value: &str| keys.find(&with(name, value)).map(|key| key.scope);
        assert_eq!(scope("authorization", "Bearer aaaaaaaaaaaaaaaa"), Some(Scope::Read));
        assert_eq!(scope("authorization", "bearer bbbbbbbbbbbbbbbb"), Some(Scope::Admin));
        assert_eq!(scope("api-key", "bbbbbbbbbbbbbbbb"), Some(Scope::Admin));
        assert_eq!(scope("x-api-key", "aaaaaaaaaaaaaaaa"), Some(Scope::Read));
        for (name, value) in [
            ("authorization", "Basic aaaaaaaaaaaaaaaa"),
            ("authorization", "Bearer"),
            ("authorization", "Bearer aaaaaaaaaaaaaaa"),
            ("authorization", "Bearer aaaaaaaaaaaaaaaa b"),
            ("cookie", "aaaaaaaaaaaaaaaa"),
        ] {
            assert_eq!(scope(name, value), None, "{name}: {value}");
        }
    }

    #[test]
    fn a_key_is_called_by_its_name_or_its_line() {
        let folder = Folder::new();
        folder.write(
            "keys",
            "# ours\nread aaaaaaaaaaaaaaaa\nwrite bbbbbbbbbbbbbbbb ci\nadmin bbbbbbbbbbbbbbbb root\n",
        );
        let keys = Keys::open(&folder.path("keys")).unwrap();
        let found = |value: &str| keys.find(&with("api-key", value)).unwrap();
        assert_eq!(&*found("aaaaaaaaaaaaaaaa").name, "line-2");
        let twice = found("bbbbbbbbbbbbbbbb");
        assert_eq!((&*twice.name, twice.scope, twice.place), ("root", Scope::Admin, 2));
    }

    #[test]
    fn the_file_is_followed_and_a_broken_one_changes_nothing() {
        let folder = Folder::new();
        folder.write("keys", "read aaaaaaaaaaaaaaaa\n");
        let keys = Keys::open(&folder.path("keys")).unwrap();
        let a = with("api-key", "aaaaaaaaaaaaaaaa");
        folder.write("keys", "read short\n");
        keys.follow(Duration::ZERO);
        assert_eq!(keys.find(&a).map(|key| key.scope), Some(Scope::Read));
        folder.write("keys", "write cccccccccccccccccc\n");
        keys.follow(Duration::ZERO);
        assert_eq!(keys.find(&a), None);
        assert_eq!(
            keys.find(&with("api-key", "cccccccccccccccccc")).map(|key| key.scope),
            Some(Scope::Write)
        );
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told_without_its_key() {
        let folder = Folder::new();
        for (text, line) in [
            ("read aaaaaaaaaaaaaaaa\nroot bbbbbbbbbbbbbbbb", ":2:"),
            ("read secret", ":1:"),
            ("", "keys: there is no key"),
        ] {
            folder.write("keys", text);
            let error = Keys::open(&folder.path("keys")).err().unwrap().to_string();
            assert!(error.contains(line) && !error.contains("bbbb") && !error.contains("secret"), "{error}");
        }
    }
}

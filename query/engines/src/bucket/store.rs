//! Requests to an object store, which are made again where it is away for a moment.

use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use akin_index::CommitFiles;
use bytes::Bytes;
use futures_util::TryStreamExt;
use hyper::Uri;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    GetOptions, MultipartId, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig, UpdateVersion,
};
use tokio::runtime::{Builder, Runtime};

use super::http::{Connector, Failed, root};
use super::{BucketAddress, BucketError};
use crate::Result;

/// The object that makes a prefix an index.
const MANIFEST: &str = "manifest";

/// How long to wait before each further try.
const WAITS: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];

/// Codes of errors about who asks, and where the bucket is.
const ACCESS: [&str; 7] = [
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "PermanentRedirect",
    "SignatureDoesNotMatch",
];

/// How often a manifest is sent again that the store could not compare because another was on its way.
const PUBLISH_TRIES: usize = 3;

/// The objects below the prefix of an address.
pub(super) struct Store {
    pub(super) place: BucketAddress,
    /// The URL of the object store.
    server: String,
    client: AmazonS3,
    runtime: Runtime,
    /// Whether a request that has no answer is made again.
    is_patient: AtomicBool,
}

/// What a request failed of.
enum Failure {
    /// There is no such object, or no such upload.
    NotThere,
    /// The object is not as it was expected.
    Condition,
    /// The object has no such bytes.
    NoSuchRange,
    /// The object store does not compare before it replaces.
    NoCondition,
    /// It may go well the next time.
    Passing(String),
    Error(BucketError),
}

/// What came of publishing a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    /// It is the published one.
    Now,
    /// Another was published meanwhile.
    Overtaken,
}

impl Store {
    /// Reads the settings in the environment. Nothing is asked yet.
    pub(super) fn open(place: &BucketAddress) -> Result<Self> {
        let wrong = |reason: String| BucketError::Settings { place: place.to_string(), reason };
        let builder = AmazonS3Builder::from_env();
        let set = |key| builder.get_config_value(&key);
        let endpoint = set(AmazonS3ConfigKey::S3Endpoint).or_else(|| set(AmazonS3ConfigKey::Endpoint));
        let region = set(AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".into());
        let server = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let host =
            server.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
        let host = host.and_then(|uri| Some(uri.host()?.to_owned()));
        let host = host.ok_or_else(|| {
            wrong(format!("its endpoint {server:?} is no URL, as http://127.0.0.1:9000 would be"))
        })?;
        let builder = match is_of_this_machine(&host) {
            true => builder.with_allow_http(true),
            false => builder,
        };
        let client = builder
            .with_bucket_name(place.bucket())
            .with_http_connector(Connector)
            // Tries are made here, where they are told.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_disable_bulk_delete(true)
            .build()
            .map_err(|error| wrong(root(&error).to_string()))?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { place: place.clone(), server, client, runtime, is_patient: AtomicBool::new(true) })
    }

    /// From now on a request that has no answer fails at once: whoever asks will ask again anyway.
    pub(super) fn be_impatient(&self) {
        self.is_patient.store(false, Ordering::Relaxed);
    }

    /// The published commit, and what tells this version of its object from others.
    pub(super) fn commit(&self) -> Result<Option<(CommitFiles, String)>> {
        let most = CommitFiles::MANIFEST_LIMIT as u64;
        let Some((bytes, version)) = self.get(MANIFEST, most)? else { return Ok(None) };
        let place = self.place.to_string();
        Ok(Some((CommitFiles::of_manifest(FilePath::new(&place), bytes.to_vec())?, version)))
    }

    /// An object of so many bytes at most, and its version.
    fn get(&self, name: &str, most: u64) -> Result<Option<(Bytes, String)>> {
        let path = self.path(name)?;
        let got = self.ask(|| async {
            let got = self.client.get_opts(&path, GetOptions::default()).await?;
            let (size, version) = (got.meta.size, got.meta.e_tag.clone().unwrap_or_default());
            Ok((size, version, if size > most { Bytes::new() } else { got.bytes().await? }))
        });
        match got {
            Ok((size, ..)) if size > most => {
                Err(self.damaged(format!("{name} has {size} bytes, more than any has")).into())
            }
            Ok((_, version, bytes)) => Ok(Some((bytes, version))),
            Err(Failure::NotThere) => Ok(None),
            Err(failure) => Err(self.error(failure).into()),
        }
    }

    /// Bytes of an object that has `length` of them; none if there is no such object.
    pub(super) fn range(&self, name: &str, range: Range<u64>, length: u64) -> Result<Option<Bytes>> {
        let path = self.path(name)?;
        let got = self.ask(|| async {
            let options = GetOptions::default().with_range(Some(range.clone()));
            let got = self.client.get_opts(&path, options).await?;
            let size = got.meta.size;
            Ok((size, if size == length { got.bytes().await? } else { Bytes::new() }))
        });
        match got {
            Ok((size, _)) if size != length => {
                Err(self.damaged(format!("{name} has {size} bytes and not {length}")).into())
            }
            Ok((_, bytes)) if bytes.len() as u64 != range.end - range.start => Err(self
                .damaged(format!(
                    "{name} came with {} bytes missing",
                    range.end - range.start - bytes.len() as u64
                ))
                .into()),
            Ok((_, bytes)) => Ok(Some(bytes)),
            Err(Failure::NotThere) => Ok(None),
            Err(Failure::NoSuchRange) => {
                Err(self.damaged(format!("{name} has fewer bytes than {length}")).into())
            }
            Err(failure) => Err(self.error(failure).into()),
        }
    }

    /// The files of `segments/` and their lengths.
    pub(super) fn list(&self) -> Result<HashMap<String, u64>> {
        let folder = self.path("segments")?;
        let listed = self.ask(|| async {
            let mut listed = HashMap::new();
            let mut objects = self.client.list(Some(&folder));
            while let Some(object) = objects.try_next().await? {
                if let Some(name) = object.location.filename() {
                    listed.insert(name.to_owned(), object.size);
                }
            }
            Ok(listed)
        });
        Ok(listed.map_err(|failure| self.error(failure))?)
    }

    /// Puts a whole object.
    pub(super) fn put(&self, name: &str, bytes: &Bytes) -> Result<()> {
        let path = self.path(name)?;
        let put = self.ask(|| async { self.client.put(&path, bytes.clone().into()).await });
        put.map_err(|failure| self.error(failure))?;
        Ok(())
    }

    /// Begins an object of many parts.
    pub(super) fn begin_parts(&self, name: &str) -> Result<MultipartId> {
        let path = self.path(name)?;
        Ok(self
            .ask(|| async { self.client.create_multipart(&path).await })
            .map_err(|failure| self.error(failure))?)
    }

    /// Puts a part.
    pub(super) fn put_part(
        &self,
        name: &str,
        id: &MultipartId,
        part: usize,
        bytes: &Bytes,
    ) -> Result<PartId> {
        let path = self.path(name)?;
        Ok(self
            .ask(|| async { self.client.put_part(&path, id, part, bytes.clone().into()).await })
            .map_err(|failure| self.error(failure))?)
    }

    /// Makes an object of its parts.
    pub(super) fn finish_parts(&self, name: &str, id: &MultipartId, parts: &[PartId]) -> Result<()> {
        let path = self.path(name)?;
        match self.ask(|| async { self.client.complete_multipart(&path, id, parts.to_vec()).await }) {
            // An earlier try has made it, and its answer was lost. Whether the object is there is looked at before a manifest names it.
            Ok(_) | Err(Failure::NotThere) => Ok(()),
            Err(failure) => Err(self.error(failure).into()),
        }
    }

    /// Forgets parts. Where that fails they stay until somebody forgets them.
    pub(super) fn forget_parts(&self, name: &str, id: &MultipartId) {
        let Ok(path) = self.path(name) else { return };
        let forgotten = self.runtime.block_on(self.client.abort_multipart(&path, id));
        if let Err(error) = forgotten {
            tracing::debug!("the parts of {name} are not forgotten: {error}");
        }
    }

    /// Removes an object.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        match self.ask(|| async { self.client.delete(&path).await }) {
            Ok(()) | Err(Failure::NotThere) => Ok(()),
            Err(failure) => Err(self.error(failure).into()),
        }
    }

    /// Publishes a manifest in the place of the one whose version is `expected`, or where there is none.
    pub(super) fn publish(&self, manifest: &[u8], expected: Option<&str>) -> Result<Published> {
        let (path, bytes) = (self.path(MANIFEST)?, Bytes::copy_from_slice(manifest));
        for _ in 0..PUBLISH_TRIES {
            let put = self.ask(|| async {
                let mode = match expected {
                    None => PutMode::Create,
                    Some(version) => {
                        PutMode::Update(UpdateVersion { e_tag: Some(version.into()), version: None })
                    }
                };
                let options = PutOptions { mode, ..PutOptions::default() };
                self.client.put_opts(&path, bytes.clone().into(), options).await
            });
            match put {
                Ok(_) => return Ok(Published::Now),
                Err(Failure::Condition | Failure::NoCondition) => {}
                Err(failure) => return Err(self.error(failure).into()),
            }
            // An earlier try may have published it, and its answer was lost.
            let now = self.commit()?;
            match now {
                Some((now, _)) if now.manifest() == manifest => return Ok(Published::Now),
                now if now.as_ref().map(|(_, version)| &**version) != expected => {
                    return Ok(Published::Overtaken);
                }
                _ if matches!(put, Err(Failure::NoCondition)) => {
                    tracing::warn!(
                        "{} does not compare before it replaces: nobody else may copy to {} now",
                        self.server,
                        self.place
                    );
                    self.put(MANIFEST, &bytes)?;
                    return Ok(Published::Now);
                }
                _ => {}
            }
        }
        Ok(Published::Overtaken)
    }

    /// The URL of the object store.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// An error of what is stored.
    pub(super) fn damaged(&self, what: String) -> BucketError {
        BucketError::Damaged { place: self.place.to_string(), what }
    }

    fn path(&self, name: &str) -> Result<Path> {
        let path = Path::parse(format!("{}/{name}", self.place.prefix()));
        Ok(path.map_err(|error| BucketError::Address {
            address: self.place.to_string(),
            reason: error.to_string(),
        })?)
    }

    /// Makes a request. Where the object store is away it waits and makes it again, a few times: the request must do no harm
    /// when it is made twice.
    fn ask<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        request: impl Fn() -> F,
    ) -> Result<T, Failure> {
        let mut waits = self.waits().iter();
        loop {
            let failure = match self.runtime.block_on(request()) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.failure(&error),
            };
            let Failure::Passing(reason) = &failure else { return Err(failure) };
            let Some(wait) = waits.next() else { return Err(failure) };
            tracing::warn!("no answer from {}: {reason}; trying again in {wait:?}", self.server);
            self.runtime.block_on(async { tokio::time::sleep(*wait).await });
        }
    }

    fn waits(&self) -> &'static [Duration] {
        if self.is_patient.load(Ordering::Relaxed) { &WAITS } else { &[] }
    }

    fn failure(&self, error: &object_store::Error) -> Failure {
        use object_store::Error as StoreError;
        let text = error.to_string();
        let said = said(&text);
        let reason =
            || said.map_or_else(|| root(error).to_string(), |(code, message)| format!("{code}: {message}"));
        let (server, place) = (self.server.clone(), self.place.to_string());
        match (error, said) {
            (_, Some(("NoSuchBucket", _))) => {
                Failure::Error(BucketError::NoBucket { server, bucket: self.place.bucket().into() })
            }
            (StoreError::NotFound { .. }, _) => Failure::NotThere,
            (StoreError::Precondition { .. } | StoreError::AlreadyExists { .. }, _) => Failure::Condition,
            (StoreError::NotImplemented { .. }, _) => Failure::NoCondition,
            (StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }, _) => {
                Failure::Error(BucketError::Access { server, place, reason: reason() })
            }
            // A list is refused in another form than an object.
            (_, Some((code, _))) if ACCESS.contains(&code) => {
                Failure::Error(BucketError::Access { server, place, reason: reason() })
            }
            (_, Some(("InvalidRange", _))) => Failure::NoSuchRange,
            (_, Some(("InternalError" | "SlowDown", _))) => Failure::Passing(reason()),
            _ => match cause::<HttpError>(error) {
                // The machine's own service for credentials, which is asked where the environment has none.
                Some(_) if text.contains("/latest/api/token") || text.contains("/latest/meta-data") => {
                    Failure::Error(BucketError::NoCredentials { place, reason: reason() })
                }
                Some(http) if is_passing(http.kind()) => Failure::Passing(reason()),
                Some(http) if matches!(cause::<Failed>(http), Some(Failed::Plain)) => {
                    Failure::Error(BucketError::Settings { place, reason: reason() })
                }
                Some(_) => Failure::Error(BucketError::NoAnswer { server, tries: 1, reason: reason() }),
                None => Failure::Error(BucketError::Refused { server, place, reason: reason() }),
            },
        }
    }

    fn error(&self, failure: Failure) -> BucketError {
        let (server, place) = (self.server.clone(), self.place.to_string());
        let refused = |reason: &str| BucketError::Refused {
            server: self.server.clone(),
            place: place.clone(),
            reason: reason.into(),
        };
        match failure {
            Failure::Error(error) => error,
            Failure::Passing(reason) => {
                BucketError::NoAnswer { server, tries: 1 + self.waits().len(), reason }
            }
            Failure::NotThere => refused("it knows no such object"),
            Failure::Condition => refused("the object has changed meanwhile"),
            Failure::NoSuchRange => refused("the object has no such bytes"),
            Failure::NoCondition => refused("it does not compare before it replaces"),
        }
    }
}

fn is_passing(kind: HttpErrorKind) -> bool {
    use HttpErrorKind::{Connect, Interrupted, Request, Timeout};
    matches!(kind, Connect | Interrupted | Request | Timeout)
}

/// Whether requests to a host stay on this machine.
fn is_of_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The first of the causes of an error that is of a type.
fn cause<'a, T: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a T> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// Code and message of an error of an object store, which is XML.
fn said(text: &str) -> Option<(&str, &str)> {
    let between = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(inner, _)| inner)
    };
    Some((between("Code")?, between("Message").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_store_says_what_it_refuses() {
        let text = "status 403: <?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>";
        assert_eq!(said(text), Some(("AccessDenied", "No.")));
        assert_eq!(said("<Code>Slow"), None);
    }

    #[test]
    fn a_server_of_this_machine_needs_no_encryption() {
        assert!(["localhost", "127.0.0.1", "127.1.2.3", "[::1]"].into_iter().all(is_of_this_machine));
        assert!(
            !["10.0.0.1", "s3.amazonaws.com", "127.0.0.1.example", "[fe80::1]"]
                .into_iter()
                .any(is_of_this_machine)
        );
    }
}

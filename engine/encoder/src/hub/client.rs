//! Downloads from a hub, as `huggingface_hub` makes them: what a file is (its commit, entity tag and size) is asked for
//! without following redirects, which lead to a store that knows none of this; then its content is fetched.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

use super::Hub;
use super::cache::{CachedModel, io, is_name};
use crate::Error;

/// How often a connection that broke off is made again; the download goes on where it was.
const RETRIES: u32 = 2;

/// Redirects within the hub that are followed to a file: a model that was renamed.
const RENAMES: usize = 5;

/// Why a file was not fetched.
#[derive(Debug)]
pub(super) enum Failure {
    /// What the hub answered, which is neither the file nor a redirect.
    Status(StatusCode),
    /// No answer.
    Unreachable(String),
    /// An answer that makes no sense, or content that does not match it.
    Broken(String),
    /// The cache cannot be written.
    Disk(Error),
}

impl Failure {
    /// Whether the hub has no such file.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Status(StatusCode::NOT_FOUND))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Disk(error)
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::BadUri(_) => {
                Self::Broken(error.to_string())
            }
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

/// The files of one model at one commit, fetched into the cache.
pub(super) struct Download<'a> {
    agent: Agent,
    hub: &'a Hub,
    id: &'a str,
    cached: CachedModel,
    /// That of the first file: later ones are of the same, even if the hub's `main` moves meanwhile.
    commit: Option<String>,
}

/// What a file is.
struct Remote {
    /// Where it was found.
    url: String,
    commit: String,
    etag: String,
    /// In bytes, where the hub says it.
    size: Option<u64>,
}

impl<'a> Download<'a> {
    /// Of the model `id` as it is on the hub's `main` now.
    pub(super) fn new(hub: &'a Hub, id: &'a str) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::NativeTls)
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects_will_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .user_agent(concat!("akin/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self { agent, hub, id, cached: CachedModel::of(&hub.cache, id), commit: None }
    }

    /// Fetches `file`, and says where it is.
    pub(super) fn fetch(&mut self, file: &str) -> Result<PathBuf, Failure> {
        let remote = self.look(file)?;
        let blob = self.cached.blob(&remote.etag);
        if !blob.is_file() {
            self.fetch_blob(&remote, &blob)?;
        }
        self.commit = Some(remote.commit.clone());
        Ok(self.cached.add(&remote.commit, file, &remote.etag)?)
    }

    /// The same for a file that not every model has.
    pub(super) fn fetch_optional(&mut self, file: &str) -> Result<(), Failure> {
        match self.fetch(file) {
            Err(failure) if failure.is_absence() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Asks what `file` is.
    fn look(&self, file: &str) -> Result<Remote, Failure> {
        let endpoint = self.hub.endpoint.trim_end_matches('/');
        let revision = self.commit.as_deref().unwrap_or("main");
        let mut url = format!("{endpoint}/{}/resolve/{revision}/{file}", self.id);
        for _ in 0..=RENAMES {
            let request = self.agent.head(&url).config().max_redirects(0).build();
            let response = self.authorized(request).header("accept-encoding", "identity").call()?;
            if !response.status().is_success() && !response.status().is_redirection() {
                return Err(Failure::Status(response.status()));
            }
            // A path is a redirect within the hub, an address one to the store of large files.
            if let Some(path) = header(&response, "location").filter(|path| path.starts_with('/')) {
                url = format!("{endpoint}{path}");
                continue;
            }
            let named = |names: &[&str]| {
                let value = names.iter().find_map(|name| header(&response, name))?;
                let value = value.trim_start_matches("W/").trim_matches('"').to_owned();
                is_name(&value).then_some(value)
            };
            let (Some(commit), Some(etag)) = (named(&["x-repo-commit"]), named(&["x-linked-etag", "etag"]))
            else {
                return Err(Failure::Broken(format!("the hub does not say which version {url} is")));
            };
            let mut size = header(&response, "x-linked-size");
            if size.is_none() && response.status().is_success() {
                size = header(&response, "content-length");
            }
            return Ok(Remote { url, commit, etag, size: size.and_then(|size| size.parse().ok()) });
        }
        Err(Failure::Broken(format!("{url} is redirected again and again")))
    }

    fn authorized<S>(&self, request: ureq::RequestBuilder<S>) -> ureq::RequestBuilder<S> {
        match &self.hub.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// Fetches content. What is there of it already, from a download that broke off, is not fetched again; of two
    /// processes that want the same content the second waits for the first.
    fn fetch_blob(&self, remote: &Remote, blob: &Path) -> Result<(), Failure> {
        let folder = blob.parent().unwrap_or(blob);
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        let part = folder.join(format!("{}.incomplete", remote.etag));
        let mut file =
            File::options().create(true).read(true).append(true).open(&part).map_err(io("create", &part))?;
        file.lock().map_err(io("lock", &part))?;
        if !blob.is_file() {
            let mut tries = 0;
            while let Err(failure) = self.append(remote, &mut file, &part) {
                tries += 1;
                if tries > RETRIES || !matches!(failure, Failure::Unreachable(_)) {
                    return Err(failure);
                }
                std::thread::sleep(Duration::from_millis(300) * tries);
            }
            check(&remote.etag, &part)?;
            file.sync_all().map_err(io("write", &part))?;
            fs::rename(&part, blob).map_err(io("write", blob))?;
        }
        Ok(())
    }

    /// Appends to `file` what it lacks.
    fn append(&self, remote: &Remote, file: &mut File, part: &Path) -> Result<(), Failure> {
        let mut have = file.metadata().map_err(io("read", part))?.len();
        if remote.size.is_some_and(|size| have > size) {
            file.set_len(0).map_err(io("write", part))?;
            have = 0;
        }
        if have > 0 && remote.size == Some(have) {
            return Ok(());
        }
        let mut request = self.authorized(self.agent.get(&remote.url)).header("accept-encoding", "identity");
        if have > 0 {
            request = request.header("range", format!("bytes={have}-"));
        }
        let mut response = request.call()?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::OK => file.set_len(0).map_err(io("write", part))?,
            status => return Err(Failure::Status(status)),
        }
        let expected: Option<u64> =
            header(&response, "content-length").and_then(|length| length.parse().ok());
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        let mut received = 0;
        loop {
            let count = body.read(&mut buffer).map_err(|error| Failure::Unreachable(error.to_string()))?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).map_err(io("write", part))?;
            received += count as u64;
        }
        match expected.filter(|expected| *expected != received) {
            Some(expected) => Err(Failure::Unreachable(format!("{received} of {expected} bytes came"))),
            None => Ok(()),
        }
    }
}

fn header(response: &Response<Body>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

/// Large files have their SHA-256 as their entity tag. Content that has another is removed.
fn check(etag: &str, part: &Path) -> Result<(), Failure> {
    if etag.len() != 64 || !etag.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(());
    }
    let mut hash = Sha256::new();
    let mut file = File::open(part).map_err(io("read", part))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer).map_err(io("read", part))?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found.eq_ignore_ascii_case(etag) {
        return Ok(());
    }
    fs::remove_file(part).map_err(io("remove", part))?;
    Err(Failure::Broken(format!("what was downloaded has the SHA-256 {found}, and the hub says {etag}")))
}

//! TLS: the certificate and its key, read again when their files change.
//!
//! rustls computes with ring: it was a dependency of others already, and needs no more than a C compiler, where aws-lc-rs brings a
//! larger library to build.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, version};

use crate::error::StartError;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The files of a certificate, with those that sign it, and of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// What connections are encrypted with. A change of the files holds for connections from the next second on.
pub struct Tls {
    files: TlsFiles,
    held: Mutex<Held>,
}

struct Held {
    config: Arc<ServerConfig>,
    looked: Instant,
    stamp: Stamp,
}

type Stamp = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Reads the files.
    pub fn open(files: &TlsFiles) -> Result<Self, StartError> {
        let stamp = stamp(files);
        let config = read(files)?;
        Ok(Self { files: files.clone(), held: Mutex::new(Held { config, looked: Instant::now(), stamp }) })
    }

    /// What the next connection is encrypted with.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.follow(LOOK);
        TlsAcceptor::from(Arc::clone(&self.held.lock().unwrap_or_else(PoisonError::into_inner).config))
    }

    /// Reads the files again if they have changed. While they do not fit together those from before hold.
    fn follow(&self, interval: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.looked.elapsed() < interval {
            return;
        }
        held.looked = Instant::now();
        let stamp = stamp(&self.files);
        if stamp == held.stamp {
            return;
        }
        held.stamp = stamp;
        match read(&self.files) {
            Ok(config) => {
                held.config = config;
                tracing::info!("the certificate was read again");
            }
            Err(error) => tracing::warn!("the certificate from before still holds: {error}"),
        }
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    })
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, StartError> {
    let fault = |path: &Path, reason: String| StartError::Tls { path: path.to_owned(), reason };
    let of_certificate = |reason: String| fault(&files.certificate, reason);
    let unreadable = |error: &dyn std::fmt::Display| format!("cannot read a certificate: {error}");
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .map_err(|error| of_certificate(unreadable(&error)))?
        .collect::<Result<_, _>>()
        .map_err(|error| of_certificate(unreadable(&error)))?;
    if chain.is_empty() {
        return Err(of_certificate("there is no certificate in it: expected one in PEM".into()));
    }
    // The error of a key's file must not quote it.
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
        tokio_rustls::rustls::pki_types::pem::Error::Io(error) => {
            fault(&files.key, format!("cannot read the key: {error}"))
        }
        _ => {
            fault(&files.key, "there is no private key in it: expected one in PEM, without a password".into())
        }
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| of_certificate(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| of_certificate(format!("the certificate and the key do not fit: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

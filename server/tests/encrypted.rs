//! TLS: who has the certificate is answered, and a new one is taken without a restart.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use akin_fixtures::Folder;
use akin_server::{Server, ServerOptions, StartError, TlsFiles};
use common::Served;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Makes a certificate for `localhost` that nobody else has signed.
fn certify(folder: &Folder, name: &str) -> TlsFiles {
    let files =
        TlsFiles { certificate: folder.path(format!("{name}.pem")), key: folder.path(format!("{name}.key")) };
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&files.key)
        .arg("-out")
        .arg(&files.certificate)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    files
}

/// What a client reads that trusts a certificate; an error where it does not hold.
fn get(served: &Served, trusted: &TlsFiles) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&trusted.certificate).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(served.address)?);
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

#[test]
fn a_client_that_trusts_the_certificate_is_answered_and_a_new_one_is_taken() {
    let folder = Folder::new();
    let (first, second) = (certify(&folder, "first"), certify(&folder, "second"));
    let served = Served::with(3, |options| {
        options.tls = Some(first.clone());
        options.limits.head = Duration::from_millis(500);
    });
    assert!(get(&served, &first).unwrap().starts_with("HTTP/1.1 200"));
    assert!(get(&served, &second).is_err());
    // Who does not encrypt hears nothing that it could mistake for an answer.
    let plain = served.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(plain.status, 0, "{plain:?}");
    // One that begins and does not go on is given up.
    let mut silent = TcpStream::connect(served.address).unwrap();
    assert_eq!(silent.read(&mut [0; 10]).unwrap_or(0), 0);
    // Half of a pair changes nothing; both do.
    let copy = second.certificate.with_extension("copy");
    std::fs::copy(&first.certificate, &copy).unwrap();
    std::fs::copy(&second.certificate, &first.certificate).unwrap();
    let before = TlsFiles { certificate: copy, key: first.key.clone() };
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1200) {
        assert!(get(&served, &before).unwrap().starts_with("HTTP/1.1 200"));
    }
    std::fs::copy(&second.key, &first.key).unwrap();
    while get(&served, &second).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn files_that_are_no_certificate_and_key_are_refused() {
    let folder = Folder::new();
    let (first, second) = (certify(&folder, "first"), certify(&folder, "second"));
    folder.write("no.pem", "nothing");
    common::make_index(&folder.path("notes"), 3);
    let refused = |certificate: &std::path::Path, key: &std::path::Path| {
        let mut options = ServerOptions::new(vec![folder.path("notes")]);
        options.listen.set_port(0);
        options.tls = Some(TlsFiles { certificate: certificate.to_owned(), key: key.to_owned() });
        match Server::start(&options) {
            Err(error @ StartError::Tls { .. }) => error.to_string(),
            other => panic!("{:?}", other.err()),
        }
    };
    let no = folder.path("no.pem");
    assert!(refused(&no, &first.key).contains("no.pem: there is no certificate"));
    assert!(refused(&first.certificate, &no).contains("no.pem: there is no private key"));
    assert!(refused(&first.certificate, &folder.path("none")).contains("cannot read the key"));
    assert!(refused(&folder.path("none"), &first.key).contains("cannot read a certificate"));
    let other = refused(&first.certificate, &second.key);
    assert!(other.contains("do not fit"), "{other}");
}

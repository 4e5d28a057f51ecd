//! Encrypted connections to PostgreSQL and Milvus. The servers of the tests cannot encrypt, so that something stands before them that does.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use akin_engines::milvus::{self, MilvusEngine};
use akin_engines::postgres::{Address, PostgresEngine};
use akin_engines::{Engine, Error, Source};
use akin_fixtures::certify;
use akin_index::{Document, Embeddings, ModelIdentity};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a client of PostgreSQL says that would like to encrypt.
const ASKS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What stands before a server.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Postgres,
    /// Its clients encrypt at once, and say that they speak HTTP/2.
    Milvus,
}

/// Encrypts what goes to a server, and counts connections. Gives its port.
fn encrypting(before: Before, server: SocketAddr, files: (PathBuf, PathBuf), met: Arc<AtomicUsize>) -> u16 {
    let certificate = CertificateDer::from_pem_file(&files.0).unwrap();
    let key = PrivateKeyDer::from_pem_file(&files.1).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    if before == Before::Milvus {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((mut client, _)) = listener.accept().await {
                let (acceptor, met) = (acceptor.clone(), Arc::clone(&met));
                tokio::spawn(async move {
                    if before == Before::Postgres {
                        let mut asked = [0; 8];
                        client.read_exact(&mut asked).await?;
                        assert_eq!(asked, ASKS);
                        client.write_all(b"S").await?;
                    }
                    let mut client = acceptor.accept(client).await?;
                    met.fetch_add(1, Ordering::Relaxed);
                    let mut server = TcpStream::connect(server).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
    });
    port
}

#[test]
fn a_connection_is_encrypted_and_asks_who_answers_as_its_address_says() {
    let Some(address) = akin_fixtures::postgres() else { return };
    let (login, rest) = address.rsplit_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (certify(folder.path(), "right"), certify(folder.path(), "wrong"));
    let roots = |files: &(PathBuf, PathBuf)| files.0.to_str().unwrap().replace('/', "%2F");
    let met = Arc::new(AtomicUsize::new(0));
    let port = encrypting(Before::Postgres, server.parse().unwrap(), right.clone(), Arc::clone(&met));
    let table = format!("encrypted_{}", std::process::id());
    let open = |host: &str, options: &str| {
        let text = format!("{login}@{host}:{port}/{database}/{table}?{options}");
        PostgresEngine::open_or_create(Address::parse(&text).unwrap(), &ModelIdentity::unknown(2))
    };

    let verified = format!("sslmode=verify-full&sslrootcert={}", roots(&right));
    let mut engine = open("localhost", &verified).unwrap();
    let document = Document { id: "a".into(), text: "A cat.".into(), ..Document::default() };
    engine.upsert(&[document], None, &Embeddings::from_values(2, vec![1.0, 0.0])).unwrap();
    assert_eq!(engine.figures().unwrap().documents, 1);
    let signed = format!("sslmode=verify-ca&sslrootcert={}", roots(&right));
    for (host, options) in
        [("localhost", "sslmode=require"), ("localhost", "sslmode=prefer"), ("127.0.0.1", &signed)]
    {
        assert!(open(host, options).is_ok(), "{options}");
    }
    assert_eq!(met.load(Ordering::Relaxed), 4, "all were encrypted");

    let stranger = format!("sslmode=verify-full&sslrootcert={}", roots(&wrong));
    for (host, options) in
        [("localhost", &*stranger), ("127.0.0.1", &verified), ("localhost", "sslmode=verify-ca")]
    {
        let error = open(host, options).err().unwrap();
        assert!(matches!(&error, Error::Encryption { .. }), "{options}: {error}");
    }
    // A server that cannot encrypt is refused where that is asked for, and is taken where it is not.
    let plain = |options: &str| {
        let text = format!("{address}/{table}?{options}");
        PostgresEngine::open(Address::parse(&text).unwrap()).map(drop)
    };
    assert!(matches!(plain("sslmode=require"), Err(Error::Encryption { .. })));
    plain("sslmode=prefer").unwrap();
}

#[test]
fn an_encrypted_connection_to_milvus_asks_who_answers_and_a_wrong_one_is_refused_in_one_sentence() {
    let Some(address) = akin_fixtures::milvus() else { return };
    let server = address.rsplit(['/', '@']).next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (certify(folder.path(), "right"), certify(folder.path(), "wrong"));
    let roots = |files: &(PathBuf, PathBuf)| files.0.to_str().unwrap().replace('/', "%2F");
    let met = Arc::new(AtomicUsize::new(0));
    let port = encrypting(Before::Milvus, server.parse().unwrap(), right.clone(), Arc::clone(&met));
    let collection = format!("encrypted_{}", std::process::id());
    let open = |server: &str, options: &str| {
        let text = format!("milvus://{server}/{collection}?{options}");
        MilvusEngine::open_or_create(milvus::Address::parse(&text).unwrap(), &ModelIdentity::unknown(2))
    };

    let trusted = format!("tls=true&roots={}", roots(&right));
    let mut engine = open(&format!("localhost:{port}"), &trusted).unwrap();
    let document = Document { id: "a".into(), text: "A cat.".into(), ..Document::default() };
    engine.upsert(&[document], None, &Embeddings::from_values(2, vec![1.0, 0.0])).unwrap();
    assert_eq!(engine.figures().unwrap().documents, 1);
    assert!(met.load(Ordering::Relaxed) > 0, "it was encrypted");

    let encrypted = format!("localhost:{port}");
    for (server, options) in [
        // Nobody else has signed its certificate, or it is of another name.
        (&*encrypted, "tls=true"),
        (&*encrypted, &*format!("tls=true&roots={}", roots(&wrong))),
        (&*format!("127.0.0.1:{port}"), &*trusted),
        // It does not encrypt.
        (server, "tls=true"),
    ] {
        let error = open(server, options).err().unwrap();
        assert!(matches!(&error, Error::Encryption { .. }), "{options}: {error:?}");
        let sentence = error.to_string();
        assert!(sentence.contains(server) && !sentence.contains('\n'), "{sentence}");
    }
}

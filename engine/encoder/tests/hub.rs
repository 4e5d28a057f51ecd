//! Models by their id: found on the disk, downloaded from a hub, or an error that says what to do.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use akin_encoder::hub::Hub;
use akin_encoder::{CrossEncoder, DEFAULT_MODEL, Error, Precision, SentenceEncoder};
use akin_fixtures::models::ModelCopy;
use tempfile::TempDir;

const ID: &str = "tests/tiny-bert";

/// A hub that serves one model as `tests/tiny-bert`, as far as a client that downloads files sees.
struct Server {
    endpoint: String,
    requested: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(model: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requested = Arc::new(Mutex::new(Vec::new()));
        let (model, log) = (model.to_owned(), requested.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &model, &log);
            }
        });
        Self { endpoint, requested }
    }
}

fn serve(mut stream: TcpStream, model: &Path, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = request.split(' ').nth(1).unwrap_or_default().to_string();
    log.lock().unwrap().push(path.clone());
    // `main` or a commit, then the file.
    let file = path.strip_prefix(&format!("/{ID}/resolve/")).and_then(|rest| rest.split_once('/'));
    let file = file.map(|(_, file)| model.join(file));
    let Some(content) = file.and_then(|file| std::fs::read(file).ok()) else {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    };
    let range =
        headers.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_string));
    let (from, to) = range.as_deref().and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
    let from: usize = from.parse().unwrap();
    let to = to.parse().map_or(content.len(), |to: usize| (to + 1).min(content.len()));
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nETag: \"{:x}-{}\"\r\nX-Repo-Commit: {:040}\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        path.len(),
        content.len(),
        1,
        to.saturating_sub(1),
        content.len(),
        to - from,
    );
    let body = if request.starts_with("HEAD ") { &[][..] } else { &content[from..to] };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// Empty places, and a hub that nobody answers at.
fn places(folder: &TempDir) -> Hub {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Hub {
        models: folder.path().join("models"),
        cache: folder.path().join("cache"),
        endpoint: format!("http://{unused}"),
        token: None,
        offline: false,
    }
}

#[test]
fn a_directory_is_itself() {
    let folder = TempDir::new().unwrap();
    let model = folder.path().to_str().unwrap();
    assert_eq!(places(&folder).locate(model).unwrap(), folder.path());
}

#[test]
fn a_model_in_akins_own_folder_needs_no_hub() {
    let folder = TempDir::new().unwrap();
    let hub = places(&folder);
    let model = hub.models.join(ID);
    std::fs::create_dir_all(&model).unwrap();
    assert_eq!(hub.installed(ID), None);
    std::fs::write(model.join("modules.json"), "[]").unwrap();
    assert_eq!(hub.installed(ID), Some(model.clone()));
    assert_eq!(hub.locate(ID).unwrap(), model);
}

#[test]
fn a_model_is_downloaded_once_and_then_found_offline() {
    let tiny = ModelCopy::tiny("bert");
    let server = Server::start(tiny.path());
    let folder = TempDir::new().unwrap();
    let mut hub = Hub { endpoint: server.endpoint.clone(), ..places(&folder) };
    let downloaded = hub.locate(ID).unwrap();
    let encode = |path: &Path| SentenceEncoder::load(path).unwrap().encode(&["some text"]).unwrap();
    assert_eq!(encode(&downloaded), encode(tiny.path()));
    let count = server.requested.lock().unwrap().len();
    hub.offline = true;
    assert_eq!(hub.locate(ID).unwrap(), downloaded);
    assert_eq!(server.requested.lock().unwrap().len(), count);
}

#[test]
fn a_cross_encoder_is_downloaded_without_modules_and_then_found_offline() {
    let tiny = ModelCopy::cross_encoder("bert");
    let server = Server::start(tiny.path());
    let folder = TempDir::new().unwrap();
    let mut hub = Hub { endpoint: server.endpoint.clone(), ..places(&folder) };
    let downloaded = hub.locate_cross_encoder(ID).unwrap();
    let score = |path: &Path| {
        CrossEncoder::load(path, Precision::F32).unwrap().score(&[("some text", "another")]).unwrap()
    };
    assert_eq!(score(&downloaded), score(tiny.path()));
    let count = server.requested.lock().unwrap().len();
    hub.offline = true;
    assert_eq!(hub.locate_cross_encoder(ID).unwrap(), downloaded);
    assert_eq!(server.requested.lock().unwrap().len(), count);
}

#[test]
fn an_encoder_is_no_cross_encoder_wherever_it_is_found() {
    let tiny = ModelCopy::tiny("bert");
    let server = Server::start(tiny.path());
    let folder = TempDir::new().unwrap();
    let hub = Hub { endpoint: server.endpoint.clone(), ..places(&folder) };
    let is_refused = |model: &str| {
        let error = hub.locate_cross_encoder(model).unwrap_err();
        assert!(matches!(error, Error::NoCrossEncoder { .. }), "{error}");
    };
    is_refused(ID);
    let weights = |path: &String| path.ends_with("model.safetensors");
    assert!(!server.requested.lock().unwrap().iter().any(weights), "weights of no use are downloaded");
    hub.locate(ID).unwrap();
    is_refused(ID);
    let own = hub.models.join("sentence-transformers/tiny");
    std::fs::create_dir_all(&own).unwrap();
    for file in ["modules.json", "config.json"] {
        std::fs::copy(tiny.path().join(file), own.join(file)).unwrap();
    }
    is_refused("tiny");
}

#[test]
fn a_download_that_broke_off_is_not_taken_for_a_model() {
    let tiny = ModelCopy::tiny("bert");
    let broken = ModelCopy::tiny("bert").without("model.safetensors");
    let folder = TempDir::new().unwrap();
    let server = Server::start(broken.path());
    let error = Hub { endpoint: server.endpoint, ..places(&folder) }.locate(ID).unwrap_err().to_string();
    assert!(error.contains(ID), "{error}");
    let offline = Hub { offline: true, ..places(&folder) }.locate(ID).unwrap_err().to_string();
    assert!(offline.contains("HF_HUB_OFFLINE"), "{offline}");
    let server = Server::start(tiny.path());
    let model = Hub { endpoint: server.endpoint, ..places(&folder) }.locate(ID).unwrap();
    assert!(SentenceEncoder::load(&model).is_ok());
}

#[test]
fn a_model_that_the_hub_does_not_have_is_named() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let error =
        Hub { endpoint: server.endpoint, ..places(&folder) }.locate("tests/unknown").unwrap_err().to_string();
    assert!(error.contains("tests/unknown") && error.contains("no such model"), "{error}");
}

#[test]
fn without_a_network_the_error_names_the_model_and_the_hub() {
    let folder = TempDir::new().unwrap();
    let hub = places(&folder);
    let error = hub.locate("all-MiniLM-L6-v2").unwrap_err();
    assert!(matches!(&error, Error::ModelNotFound { model, .. } if model == DEFAULT_MODEL), "{error:?}");
    let error = error.to_string();
    assert!(error.contains(&hub.endpoint) && error.contains("out of reach"), "{error}");
    assert!(!error.contains('\n') && !error.contains("--"), "{error}");
}

#[test]
fn the_cache_has_the_layout_of_hugging_face() {
    let tiny = ModelCopy::tiny("bert");
    let server = Server::start(tiny.path());
    let folder = TempDir::new().unwrap();
    let hub = Hub { endpoint: server.endpoint, ..places(&folder) };
    let snapshot = hub.locate(ID).unwrap();
    let model = hub.cache.join("models--tests--tiny-bert");
    let commit = std::fs::read_to_string(model.join("refs/main")).unwrap();
    assert_eq!(snapshot, model.join("snapshots").join(commit));
    for file in ["modules.json", "1_Pooling/config.json"] {
        let blob = snapshot.join(file).canonicalize().unwrap();
        assert_eq!(blob.parent().unwrap(), model.join("blobs").canonicalize().unwrap());
    }
    let left = std::fs::read_dir(model.join("blobs")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().ends_with(".incomplete")));
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let tiny = ModelCopy::tiny("bert");
    let folder = TempDir::new().unwrap();
    let server = Server::start(tiny.path());
    let hub = Hub { endpoint: server.endpoint, ..places(&folder) };
    let whole = hub.locate(ID).unwrap();
    let blob = whole.join("tokenizer.json").canonicalize().unwrap();
    let content = std::fs::read(&blob).unwrap();
    let part = blob.with_file_name(format!("{}.incomplete", blob.file_name().unwrap().to_string_lossy()));
    std::fs::write(&part, &content[..content.len() / 2]).unwrap();
    std::fs::remove_file(&blob).unwrap();
    assert_eq!(hub.locate(ID).unwrap(), whole);
    assert_eq!(std::fs::read(&blob).unwrap(), content);
    assert!(!part.exists());
}

//! The packages that people use, from PyPI, ask a server.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::path::PathBuf;
use std::process::Command;

use akin_fixtures::Folder;
use akin_fixtures::models::ModelCopy;
use common::{Served, make_index};

/// `python3 -m venv DIR; DIR/bin/pip install openai cohere ollama mcp qdrant-client langchain-openai langchain-qdrant
/// haystack-ai`, and `AKIN_CLIENTS=DIR`.
#[test]
fn the_clients_of_others_are_answered() {
    let Some(python) =
        std::env::var_os("AKIN_CLIENTS").map(|folder| PathBuf::from(folder).join("bin/python"))
    else {
        eprintln!(
            "not run: AKIN_CLIENTS names no virtual environment with the packages openai, cohere, ollama, mcp, qdrant-client, \
             langchain-openai, langchain-qdrant and haystack-ai"
        );
        return;
    };
    let (folder, reranker, key) = (Folder::new(), ModelCopy::cross_encoder("bert"), "k".repeat(20));
    make_index(&folder.path("notes"), 30);
    let admin = "a".repeat(20);
    folder.write("keys", format!("read {key}\nadmin {admin}\n"));
    let (keys, path) = (folder.path("keys"), reranker.path().to_str().unwrap().to_owned());
    let created = folder.path("created");
    let served = Served::start(folder, |options| {
        (options.keys, options.reranker) = (Some(keys), Some(path));
        (options.writable, options.created) = (true, Some(created));
    });
    let name = reranker.path().file_name().unwrap().to_str().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients.py");
    let url = format!("http://{}", served.address);
    let run =
        Command::new(python).args([script, &url, "tiny-bert", name, "notes", &key, &admin]).output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert_eq!((run.status.code(), said.trim()), (Some(0), "ok"), "{failed}");
}

/// schemathesis sends what fits the description of the interfaces and what does not: nothing breaks the server, and its
/// answers are as described. `DIR/bin/pip install schemathesis`, and `AKIN_CLIENTS=DIR`.
#[test]
fn every_interface_keeps_to_its_description() {
    let program =
        std::env::var_os("AKIN_CLIENTS").map(|folder| PathBuf::from(folder).join("bin/schemathesis"));
    let Some(program) = program.filter(|program| program.exists()) else {
        eprintln!("not run: AKIN_CLIENTS names no virtual environment with the package schemathesis");
        return;
    };
    let (folder, reranker) = (Folder::new(), ModelCopy::cross_encoder("bert"));
    make_index(&folder.path("notes"), 30);
    let (path, created) = (reranker.path().to_str().unwrap().to_owned(), folder.path("created"));
    let served = Served::start(folder, |options| {
        (options.reranker, options.writable, options.created) = (Some(path), true, Some(created));
    });
    let description = format!("http://{}/openapi.json", served.address);
    let checks =
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let run = Command::new(program)
        .args(["run", &description, "--checks", checks, "--max-examples", "15", "--seed", "1", "--no-color"])
        .args(["--phases", "examples,coverage,fuzzing"])
        // It keeps notes where it runs.
        .current_dir(served.folder.root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&run.stderr));
}

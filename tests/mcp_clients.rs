//! Clients of the Model Context Protocol that others wrote, in Node: the official SDK for TypeScript and the inspector.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::process::Command;

use common::server::Server;
use common::{AKIN, Run, Workplace, sentences};

/// `npm install --prefix DIR @modelcontextprotocol/sdk @modelcontextprotocol/inspector`, and
/// `AKIN_NODE_MODULES=DIR/node_modules`.
#[test]
fn the_typescript_sdk_and_the_inspector_are_answered() {
    let Some(modules) = std::env::var_os("AKIN_NODE_MODULES") else {
        eprintln!(
            "not run: AKIN_NODE_MODULES names no node_modules with @modelcontextprotocol/sdk and \
             @modelcontextprotocol/inspector"
        );
        return;
    };
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(30).join("\n"));
    for folder in ["own", "served"] {
        workplace.akin(&["index", &format!("{folder}/notes"), "notes.txt"]).succeeded();
    }
    let server = Server::start(&workplace, &["served/notes", "--writable"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/server/tests/mcp/typescript.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(modules).args([AKIN, "own/notes", &format!("http://{}", server.address)]);
    let run = Run::of(workplace.settle(&mut node)).succeeded();
    assert_eq!(run.stdout, "ok\n", "{run:?}");
    server.stop("-TERM");
}

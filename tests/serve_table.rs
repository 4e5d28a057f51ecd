//! `akin serve` of a table of PostgreSQL. Left out where no server can be started.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use common::server::Server;
use common::{Workplace, sentences};
use serde_json::{Value, json};

#[test]
fn a_table_is_served_beside_an_index_and_what_it_cannot_is_said() {
    let Some(database) = akin_fixtures::postgres() else { return };
    let table = format!("{database}/served_{}", std::process::id());
    let name = table.rsplit('/').next().unwrap().to_owned();
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(40).join("\n"));
    workplace.akin(&["index", &table, "notes.txt"]).succeeded();
    workplace.akin(&["index", "notes", "notes.txt"]).succeeded();
    let server = Server::start(&workplace, &["notes", &table, "--writable"]);
    let path = |rest: &str| format!("/v1/indexes/{name}{rest}");
    let text = &sentences(40)[3];
    for (options, request) in [
        (&[][..], json!({ "text": text })),
        (&["--mode", "keyword", "-k", "3"], json!({ "text": text, "mode": "keyword", "k": 3 })),
        (
            &["--mode", "semantic", "--offset", "2", "--exact"],
            json!({ "text": text, "mode": "semantic", "offset": 2, "exact": true }),
        ),
    ] {
        let line = workplace.akin(&[&["query", &table, text, "--json"], options].concat()).succeeded().stdout;
        assert_eq!(server.post(&path("/query"), &request), (200, line));
    }
    let parsed =
        |(status, body): (u16, String)| -> (u16, Value) { (status, serde_json::from_str(&body).unwrap()) };
    let document = json!({ "id": "new", "text": "zebras of the steppe", "metadata": { "year": 7 } });
    let write = json!({ "documents": [document] });
    assert_eq!(parsed(server.post(&path("/documents"), &write)).1["added"], 1);
    assert_eq!(parsed(server.post(&path("/documents"), &write)).1["unchanged"], 1);
    assert_eq!(parsed(server.get(&path("/documents/new"))), (200, document));
    let asked = json!({ "text": "zebras", "filter": "year = 7" });
    assert_eq!(parsed(server.post(&path("/query"), &asked)).1["hits"][0]["id"], "new");
    let stat = parsed(server.get(&path("/stat"))).1;
    assert_eq!((&stat["documents"], &stat["text_config"]), (&json!(41), &json!("simple")));
    let listed = parsed(server.get("/v1/indexes")).1;
    assert_eq!(listed["indexes"].as_array().unwrap().len(), 2, "{listed}");
    assert!(!listed.to_string().contains("secret") && !stat.to_string().contains("secret"));

    for (request, said) in [
        (json!({ "text": "x", "like": "new" }), "like or unlike a document"),
        (json!({ "text": "x", "facet": "year" }), "how often"),
        (json!({ "text": "x", "highlight": 3 }), "highlight"),
        (json!({ "text": "x", "within": "set" }), "sets of documents"),
    ] {
        let (status, error) = server.post(&path("/query"), &request);
        assert!(status == 501 && error.contains(said) && !error.contains("secret"), "{status} {error}");
    }
    for refused in ["/state", "/documents", "/map"] {
        assert_eq!(server.get(&path(refused)).0, 501, "{refused}");
    }
    let (status, error) =
        server.post(&path("/query"), &json!({ "text": "x", "filter": "a.b.c.d.e.f.g = 1" }));
    assert!(status == 400 && error.contains("the filter cannot be asked of"), "{status} {error}");
    assert_eq!(server.get(&path("/documents/nobody")).0, 404);
    server.stop("-TERM");

    let server = Server::start(&workplace, &[&table]);
    assert_eq!(server.post(&path("/documents"), &write).0, 403);
    server.stop("-TERM");
    workplace.akin(&["delete", &table, "new"]).succeeded();
    let twice = workplace.akin(&["serve", &table, &table]).refused();
    assert!(twice.contains("is named") && !twice.contains("secret"), "{twice}");
    let agent = workplace.akin(&["mcp", &table]).refused();
    assert!(agent.contains("folders alone"), "{agent}");
}

//! `akin mcp --install` with a home folder of its own for each client.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::fs;
use std::path::PathBuf;

use common::{AKIN, Run, Workplace};
use serde_json::{Value, json};

/// A place with a folder `notes` for an index, and where the clients of the home `home` have their files.
struct Home(Workplace);

impl Home {
    fn new() -> Self {
        let place = Workplace::new();
        fs::create_dir_all(place.path("home")).unwrap();
        fs::create_dir_all(place.path("my notes")).unwrap();
        Self(place)
    }

    fn install(&self, arguments: &[&str]) -> Run {
        self.install_index("my notes", arguments)
    }

    fn install_index(&self, index: &str, arguments: &[&str]) -> Run {
        let home = self.0.path("home");
        let mut command = self.0.command(&["mcp", index, "--install"]);
        command.args(arguments).env("HOME", &home).env_remove("CODEX_HOME");
        Run::of(command.env("XDG_CONFIG_HOME", home.join(".config")))
    }

    fn file(&self, client: &str) -> PathBuf {
        let applications = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
        let name = match client {
            "claude-code" => ".claude.json".to_owned(),
            "claude-desktop" => format!("{applications}/Claude/claude_desktop_config.json"),
            "codex" => ".codex/config.toml".to_owned(),
            "cursor" => ".cursor/mcp.json".to_owned(),
            _ => format!("{applications}/Code/User/mcp.json"),
        };
        self.0.path("home").join(name)
    }

    fn write(&self, client: &str, text: &str) {
        fs::create_dir_all(self.file(client).parent().unwrap()).unwrap();
        fs::write(self.file(client), text).unwrap();
    }

    fn read(&self, client: &str) -> String {
        fs::read_to_string(self.file(client)).unwrap()
    }

    /// The arguments that start the server.
    fn arguments(&self, more: &[&str]) -> Value {
        let index = fs::canonicalize(self.0.path("my notes")).unwrap();
        let mut all = vec!["mcp", index.to_str().unwrap()];
        all.extend(more);
        json!(all)
    }
}

#[test]
fn each_client_has_its_file_written() {
    for (client, field) in [
        ("claude-code", "mcpServers"),
        ("claude-desktop", "mcpServers"),
        ("cursor", "mcpServers"),
        ("vscode", "servers"),
    ] {
        let home = Home::new();
        home.write(client, &json!({ "theme": "dark", field: { "other": { "command": "x" } } }).to_string());
        let run = home.install(&[client, "--yes", "--writable", "--precision", "int8"]).succeeded();
        assert!(run.stdout.contains("+ ") && run.stdout.contains("my-notes"), "{run:?}");
        let found: Value = serde_json::from_str(&home.read(client)).unwrap();
        assert_eq!((&found["theme"], &found[field]["other"]["command"]), (&json!("dark"), &json!("x")));
        let own = &found[field]["my-notes"];
        assert_eq!(own["args"], home.arguments(&["--precision", "int8", "--writable"]), "{client}");
        assert_eq!(
            fs::canonicalize(own["command"].as_str().unwrap()).unwrap(),
            fs::canonicalize(AKIN).unwrap()
        );
        let again = home.install(&[client, "--yes", "--writable", "--precision", "int8"]).succeeded();
        assert!(again.stdout.contains("has it already"), "{again:?}");
    }
    let home = Home::new();
    home.install(&["cursor", "--yes", "--device", "cuda"]).succeeded();
    let found: Value = serde_json::from_str(&home.read("cursor")).unwrap();
    assert_eq!(found["mcpServers"]["my-notes"]["args"], home.arguments(&["--device", "cuda:0"]));
    let home = Home::new();
    home.write("codex", "# mine\nmodel = \"x\"\n");
    home.install(&["codex", "--yes", "--name", "n"]).succeeded();
    let found = home.read("codex");
    assert!(found.starts_with("# mine\nmodel = \"x\"\n") && found.contains("[mcp_servers.n]"), "{found}");
}

#[test]
fn an_index_in_a_bucket_is_started_by_its_address() {
    let home = Home::new();
    home.install_index("s3://search/notes", &["cursor", "--yes"]).succeeded();
    let found: Value = serde_json::from_str(&home.read("cursor")).unwrap();
    assert_eq!(found["mcpServers"]["notes"]["args"], json!(["mcp", "s3://search/notes"]));
    let sentence = home.install_index("s3://search/notes", &["codex", "--yes", "--writable"]).refused();
    assert!(sentence.contains("nothing is changed in place") && !home.file("codex").exists(), "{sentence}");
}

#[test]
fn nothing_is_written_that_was_not_asked_for() {
    let home = Home::new();
    let run = home.install(&["cursor", "--print"]).succeeded();
    assert!(run.stdout.contains("+     \"my-notes\": {"), "{run:?}");
    assert!(!home.file("cursor").exists());
    // There is no terminal to ask at.
    let run = home.install(&["cursor"]);
    assert!(run.code == Some(2) && run.stderr.contains("--yes writes it"), "{run:?}");
    assert!(!home.file("cursor").exists());
}

#[test]
fn a_file_with_comments_is_left_as_it_is() {
    let home = Home::new();
    let old = "{\n  // mine\n  \"servers\": {}\n}\n";
    home.write("vscode", old);
    let sentence = home.install(&["vscode", "--yes"]).refused();
    assert!(sentence.contains("comments would be lost") && sentence.contains("mcp.json"), "{sentence}");
    assert_eq!(home.read("vscode"), old);
    home.write("codex", "a = ");
    assert!(home.install(&["codex", "--yes"]).refused().contains("not TOML"));
    home.install(&["emacs", "--yes"]);
    assert_eq!(home.install(&["emacs", "--yes"]).code, Some(2));
}

#[test]
fn an_index_that_is_not_there_is_told() {
    let home = Home::new();
    let mut command = home.0.command(&["mcp", "none", "--install", "cursor", "--yes"]);
    let sentence = Run::of(command.env("HOME", home.0.path("home"))).refused();
    assert!(sentence.contains("cannot find the index none"), "{sentence}");
}

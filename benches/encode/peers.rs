//! The peers: a Python program that is asked, and answers, a line of JSON at a time.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::texts::Set;

/// A peer that runs on this machine.
#[derive(Deserialize, Clone)]
pub struct Peer {
    pub name: String,
    pub precision: String,
    /// From its files to its first embedding.
    pub seconds: f64,
}

/// The program, running for as long as this lives.
pub struct Peers {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub all: Vec<Peer>,
}

impl Peers {
    /// Starts those whose names contain one of `names`, or all.
    pub fn start(model: &Path, threads: usize, names: &[String]) -> anyhow::Result<Self> {
        let root = match std::env::var_os("AKIN_PEERS") {
            Some(root) => PathBuf::from(root),
            None => {
                let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
                let home = std::env::home_dir().context("no home folder")?;
                cache.unwrap_or_else(|| home.join(".cache")).join("akin-peers")
            }
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/serve.py");
        let mut child = Command::new(root.join("venv/bin/python"))
            .arg(script)
            .args([model, &root.join("onnx")])
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("no peers in {}: `make peers` installs them", root.display()))?;
        let requests = child.stdin.take().context("a pipe to the peers")?;
        let answers = BufReader::new(child.stdout.take().context("a pipe from the peers")?);
        let mut peers = Self { child, requests, answers, all: Vec::new() };
        let answer = peers.ask(&json!({ "do": "peers", "only": names }))?;
        peers.all = serde_json::from_value(answer["peers"].clone())?;
        for (name, why) in answer["absent"].as_object().into_iter().flatten() {
            println!("{name} does not run here: {}", why.as_str().unwrap_or_default());
        }
        Ok(peers)
    }

    /// Hands over texts, to be encoded under the name of the set.
    pub fn give(&mut self, set: &Set) -> anyhow::Result<()> {
        self.ask(&json!({ "do": "texts", "set": set.name, "texts": set.texts })).map(drop)
    }

    /// Seconds for all texts of a set.
    pub fn encode(&mut self, peer: &str, set: &Set) -> anyhow::Result<f64> {
        let answer = self.ask(&json!({ "do": "encode", "peer": peer, "set": set.name }))?;
        answer["seconds"].as_f64().context("a peer's seconds")
    }

    /// Seconds for each text of a set, one at a time.
    pub fn latency(&mut self, peer: &str, set: &Set) -> anyhow::Result<Vec<f64>> {
        let answer = self.ask(&json!({ "do": "latency", "peer": peer, "set": set.name }))?;
        Ok(serde_json::from_value(answer["seconds"].clone())?)
    }

    /// The embeddings of a set.
    pub fn vectors(&mut self, peer: &str, set: &Set) -> anyhow::Result<Vec<Vec<f32>>> {
        let answer = self.ask(&json!({ "do": "vectors", "peer": peer, "set": set.name }))?;
        Ok(serde_json::from_value(answer["vectors"].clone())?)
    }

    fn ask(&mut self, request: &Value) -> anyhow::Result<Value> {
        writeln!(self.requests, "{request}").context("the peers have stopped")?;
        self.requests.flush()?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the peers stopped at {}", request["do"]);
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // It ends by itself when there is nothing more to read; nobody waits for a bench that failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

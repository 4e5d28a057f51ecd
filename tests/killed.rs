//! `kill -9` at any moment of `akin index`: nothing acknowledged is lost, and the same command
//! finishes the job.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use akin_fixtures::Random;
use common::{Workplace, ids, sentences};

/// As `make torture` has it, and as a test among others.
const ROUNDS: [usize; 2] = [500, 60];
const DOCUMENTS: usize = 3000;

/// When to kill: so long after so many commits of this run.
#[derive(Debug, Clone, Copy)]
struct Moment {
    commits: usize,
    after: Duration,
}

/// How a run of `akin index` ended.
struct Round {
    /// Documents that it said were committed.
    committed: usize,
    /// When it said so, since it began.
    commits: Vec<Duration>,
    /// Whether it ended by itself.
    finished: bool,
}

/// Runs `akin index`, and kills it at `moment`, or never.
fn index_and_kill(workplace: &Workplace, index: &str, moment: Option<Moment>) -> Round {
    let mut child = workplace
        .command(&["index", index, "notes.tsv", "--verbose"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (sender, lines) = channel();
    let reader =
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let started = Instant::now();
    let mut round = Round { committed: 0, commits: Vec::new(), finished: false };
    let mut last_words = String::new();
    let mut read = |line: String, round: &mut Round| {
        // `committed 2048 documents`: all of this run so far. Death may cut the last line short.
        let said = line.strip_prefix("committed ").and_then(|said| said.strip_suffix(" documents"));
        if let Some(count) = said {
            round.committed = count.parse().unwrap();
            round.commits.push(started.elapsed());
        }
        last_words = line;
    };
    loop {
        let end = moment.filter(|moment| round.commits.len() >= moment.commits).map(|moment| {
            let since = moment.commits.checked_sub(1).map_or(Duration::ZERO, |last| round.commits[last]);
            (since + moment.after).saturating_sub(started.elapsed())
        });
        match lines.recv_timeout(end.unwrap_or(Duration::MAX)) {
            Ok(line) => read(line, &mut round),
            Err(RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                break;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait().unwrap();
    // What it had said before it died counts.
    lines.iter().for_each(|line| read(line, &mut round));
    reader.join().unwrap().ok();
    assert!(status.success() || status.code().is_none(), "it failed by itself: {status}: {last_words}");
    round.finished = status.success();
    round
}

fn corpus(texts: &[String], generation: usize) -> String {
    let mut corpus = String::from("id\ttext\n");
    for (n, text) in texts.iter().enumerate() {
        corpus += &format!("d{n}\t{text} in year {generation}\n");
    }
    corpus
}

#[test]
fn an_index_survives_any_kill_and_the_same_command_finishes_it() {
    let workplace = Workplace::new();
    let texts = sentences(DOCUMENTS);
    let seed: u64 = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
    println!("seed {seed}");
    let mut random = Random::new(seed);

    // One run to the end tells how long it takes to the first commit, from one to the next, and from the
    // last to the end: each is a place to die in.
    workplace.write("notes.tsv", corpus(&texts, 0));
    let started = Instant::now();
    let commits = index_and_kill(&workplace, "rehearsal", None).commits;
    let whole = started.elapsed();
    let (first, last) = (commits[0], commits[commits.len() - 1]);
    let between = (last - first) / (commits.len() - 1) as u32;
    let batch = DOCUMENTS.div_ceil(commits.len());

    // Generation 0 adds the documents; each later one changes all of them.
    let mut generation = 0;
    let mut documents = 0;
    let mut current = 0; // documents that are of this generation for certain
    let mut kills = 0;
    let mut kills_after_a_commit = 0;
    let mut round = 0;
    let rounds = ROUNDS[usize::from(std::env::var_os("AKIN_TORTURE").is_none())];
    while kills < rounds {
        round += 1;
        assert!(round < 20 * rounds, "only {kills} of {round} runs could be killed");
        let left = (DOCUMENTS - current).div_ceil(batch);
        // With all of them committed only the graph is wanting: that run ends, one time out of two.
        let moment = (left > 0 || random.below(2) == 0).then(|| {
            let commits = random.below(left as u64 + 1) as usize;
            let stage = match commits {
                0 => first,
                some if some == left => whole - last,
                _ => between,
            };
            Moment {
                commits,
                after: Duration::from_micros(random.below(stage.as_micros() as u64 * 5 / 4 + 1)),
            }
        });
        let outcome = index_and_kill(&workplace, "notes", moment);
        current += outcome.committed;
        if outcome.finished {
            current = DOCUMENTS;
        } else {
            kills += 1;
            kills_after_a_commit += usize::from(outcome.committed > 0);
        }
        if !workplace.path("notes/manifest").exists() {
            assert_eq!(current, 0, "an acknowledged document is gone with its index");
            continue;
        }

        let context = format!("round {round}, generation {generation}, {moment:?}");
        let verified = workplace.akin(&["verify", "notes"]);
        assert_eq!(verified.code, Some(0), "{context}: {verified:#?}");
        let found = workplace.figures("notes")["documents"].as_u64().unwrap() as usize;
        assert!(found >= documents.max(current), "{context}: {found} documents, {current} acknowledged");
        assert!(found <= DOCUMENTS, "{context}: {found} documents");
        assert!(
            generation == 0 || found == DOCUMENTS,
            "{context}: a replaced document is gone, {found} are left"
        );
        documents = found;
        if current > 0 {
            // The corpus is committed in its order, so these are the oldest and the newest.
            for n in [0, current - 1] {
                let text = format!("{} in year {generation}", texts[n]);
                let query = ["query", "notes", &text, "--exact", "-k", "1", "--json"];
                let answer = workplace.akin(&query).succeeded().json();
                assert_eq!(answer["hits"][0]["text"], text.as_str(), "{context}: {answer}");
                assert_eq!(ids(&answer), [format!("d{n}")], "{context}");
            }
        }
        if outcome.finished {
            generation += 1;
            current = 0;
            workplace.write("notes.tsv", corpus(&texts, generation));
        }
    }
    println!(
        "{kills} kills in {round} runs, {kills_after_a_commit} after a commit, {generation} generations"
    );
    assert!(kills_after_a_commit >= kills / 4, "too few kills came between a commit and the end");

    workplace.akin(&["index", "notes", "notes.tsv"]).succeeded();
    let verified = workplace.akin(&["verify", "notes"]).succeeded().stdout;
    assert!(verified.starts_with(&format!("ok: {} documents", common_grouped(DOCUMENTS))), "{verified}");
    workplace.write(
        "all.txt",
        texts.iter().map(|text| format!("{text} in year {generation}\n")).collect::<String>(),
    );
    let answers =
        workplace.akin(&["batch", "notes", "all.txt", "-k", "1", "--exact"]).succeeded().json_lines();
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer["hits"][0]["text"], answer["query"], "document {n}");
    }
    assert_eq!(answers.len(), DOCUMENTS);
}

/// `3,000`, as `verify` prints it.
fn common_grouped(number: usize) -> String {
    format!("{},{:03}", number / 1000, number % 1000)
}

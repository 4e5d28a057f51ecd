//! `akin mcp --install`: tells a client of agents, in its configuration file, how to start `akin mcp`.
//!
//! The file keeps everything else that is in it, and is replaced as a whole or not at all. One that cannot be written again
//! without loss, such as JSON with comments, is left as it is.

use std::env;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value, json};
use toml_edit::{Array, DocumentMut, Item, Table, value};

use crate::commands::bucket;
use crate::commands::cli::{McpArguments, McpClient};
use crate::commands::output::cannot_write;

/// How a client starts this server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    command: String,
    arguments: Vec<String>,
}

/// Shows what changes in the file of a client, and writes it when that is wanted.
pub fn run(client: McpClient, arguments: &McpArguments) -> anyhow::Result<()> {
    let path = file_of(client, &home()?);
    let entry = Entry::of(arguments)?;
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let new = changed(client, &old, &entry).with_context(|| path.display().to_string())?;
    let mut output = io::stdout().lock();
    if new == old {
        writeln!(output, "{} has it already", path.display())?;
        return Ok(());
    }
    writeln!(output, "{}:\n{}", path.display(), difference(&old, &new))?;
    if arguments.print || !(arguments.yes || is_wanted(&mut output)?) {
        return Ok(());
    }
    write(&path, &new)?;
    writeln!(output, "written: start {} anew, and it has the tools of {}", client.title(), entry.name)?;
    Ok(())
}

impl Entry {
    fn of(arguments: &McpArguments) -> anyhow::Result<Self> {
        let place = |path: &PathBuf| {
            if let Some(address) = bucket::address(path)? {
                return Ok(address.to_string());
            }
            let whole = fs::canonicalize(path);
            let whole = whole.with_context(|| format!("cannot find the index {}", path.display()))?;
            let name = whole.to_str().map(str::to_owned);
            name.with_context(|| format!("{}: the name of the folder is not UTF-8", path.display()))
        };
        let indexes: Vec<String> = arguments.indexes.iter().map(place).collect::<anyhow::Result<_>>()?;
        let first = indexes.first().and_then(|path| Path::new(path).file_name()?.to_str());
        let name = arguments.name.clone().or_else(|| Some(as_name(first?)));
        let program = env::current_exe().context("cannot tell where this program is")?;
        let program = program.to_str().context("the path of this program is not UTF-8")?;
        let mut all = vec!["mcp".to_owned()];
        all.extend(indexes);
        all.extend(arguments.flags());
        Ok(Self { name: name.unwrap_or_else(|| "akin".into()), command: program.to_owned(), arguments: all })
    }
}

/// A name as all clients take it: letters, digits, hyphens and underscores.
fn as_name(folder: &str) -> String {
    let sign = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '-' };
    folder.chars().map(sign).collect()
}

fn home() -> anyhow::Result<PathBuf> {
    env::home_dir().filter(|home| !home.as_os_str().is_empty()).context("there is no home folder: set HOME")
}

/// The file of a client for all projects of a user.
fn file_of(client: McpClient, home: &Path) -> PathBuf {
    let applications = || {
        if cfg!(target_os = "macos") {
            home.join("Library/Application Support")
        } else if cfg!(windows) {
            env::var_os("APPDATA").map_or_else(|| home.join("AppData/Roaming"), PathBuf::from)
        } else {
            env::var_os("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from)
        }
    };
    match client {
        McpClient::ClaudeCode => home.join(".claude.json"),
        McpClient::ClaudeDesktop => applications().join("Claude/claude_desktop_config.json"),
        McpClient::Codex => {
            env::var_os("CODEX_HOME").map_or_else(|| home.join(".codex"), PathBuf::from).join("config.toml")
        }
        McpClient::Cursor => home.join(".cursor/mcp.json"),
        McpClient::Vscode => applications().join("Code/User/mcp.json"),
    }
}

/// The text of a configuration with the entry in it.
fn changed(client: McpClient, old: &str, entry: &Entry) -> anyhow::Result<String> {
    match client {
        McpClient::Codex => changed_toml(old, entry),
        McpClient::Vscode => changed_json(old, "servers", true, entry),
        McpClient::ClaudeCode => changed_json(old, "mcpServers", true, entry),
        McpClient::ClaudeDesktop | McpClient::Cursor => changed_json(old, "mcpServers", false, entry),
    }
}

fn changed_json(old: &str, field: &str, typed: bool, entry: &Entry) -> anyhow::Result<String> {
    let mut all: Map<String, Value> = match old.trim().is_empty() {
        true => Map::new(),
        false => serde_json::from_str(old).context(
            "it is not plain JSON (comments would be lost): add the server by hand, as --print shows for an empty file",
        )?,
    };
    if written(&all, old)?.trim_end() != old.trim_end() && !survives(&all, old) {
        bail!("it has numbers or repeated fields that would be lost: add the server by hand");
    }
    let servers = all.entry(field).or_insert_with(|| json!({}));
    let Some(servers) = servers.as_object_mut() else { bail!("its field {field:?} is not an object") };
    let mut own = Map::new();
    if typed {
        own.insert("type".into(), "stdio".into());
    }
    own.insert("command".into(), entry.command.clone().into());
    own.insert("args".into(), entry.arguments.clone().into());
    match servers.get_mut(&entry.name) {
        // Settings that the user added to the entry stay.
        Some(Value::Object(present)) => {
            own.into_iter().for_each(|(key, value)| drop(present.insert(key, value)))
        }
        _ => drop(servers.insert(entry.name.clone(), own.into())),
    }
    written(&all, old)
}

/// Whether nothing but white space and the writing of signs changes when a text is read and written: a field that comes
/// twice is lost, and so are the digits of a number that is too long.
fn survives(all: &Map<String, Value>, old: &str) -> bool {
    // Colons, commas and digits outside of texts are as many before as after.
    let outside = |text: &str| {
        let (mut counts, mut within, mut escaped) = ([0usize; 3], false, false);
        for sign in text.chars() {
            match sign {
                _ if escaped => escaped = false,
                '\\' if within => escaped = true,
                '"' => within = !within,
                _ if within => {}
                ':' => counts[0] += 1,
                ',' => counts[1] += 1,
                '0'..='9' => counts[2] += 1,
                _ => {}
            }
        }
        counts
    };
    serde_json::to_string(all).is_ok_and(|new| outside(&new) == outside(old))
}

/// JSON with the indentation that the text before had.
fn written(all: &Map<String, Value>, old: &str) -> anyhow::Result<String> {
    let first = old.lines().find_map(|line| {
        let indent = &line[..line.len() - line.trim_start().len()];
        (!indent.is_empty() && !line.trim().is_empty()).then_some(indent)
    });
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(first.unwrap_or("  ").as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    serde::Serialize::serialize(all, &mut serializer)?;
    bytes.push(b'\n');
    Ok(String::from_utf8(bytes)?)
}

fn changed_toml(old: &str, entry: &Entry) -> anyhow::Result<String> {
    let mut all: DocumentMut = old.parse().map_err(|error: toml_edit::TomlError| {
        let before = old.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
        let line = before.lines().count().max(1);
        let reason = error.message().replace('\n', ", ");
        anyhow!("line {line} is not TOML ({reason}): mend it first")
    })?;
    let mut parent = Table::new();
    // Only the tables within it have headings.
    parent.set_implicit(true);
    let servers = all.entry("mcp_servers").or_insert(Item::Table(parent));
    let servers = servers.as_table_like_mut().context("its mcp_servers is not a table")?;
    let own = servers.entry(&entry.name).or_insert(Item::Table(Table::new()));
    let own = own.as_table_like_mut().context("its server of this name is not a table")?;
    own.insert("command", value(entry.command.as_str()));
    own.insert("args", value(entry.arguments.iter().map(String::as_str).collect::<Array>()));
    Ok(all.to_string())
}

/// The lines that change, as `-` and `+`, with one line around them.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - before;
    let after = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let around = |line: Option<&&str>| line.map(|line| format!("  {line}"));
    let first = around(before.checked_sub(1).and_then(|at| new.get(at)));
    let removed = old[before..old.len() - after].iter().map(|line| format!("- {line}"));
    let added = new[before..new.len() - after].iter().map(|line| format!("+ {line}"));
    let last = around(new.get(new.len() - after));
    first.into_iter().chain(removed).chain(added).chain(last).collect::<Vec<_>>().join("\n")
}

/// Asks whether the file is to be written.
fn is_wanted(output: &mut dyn Write) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask whether to write it: --yes writes it, --print only shows it");
    }
    write!(output, "Write it? [y/N] ")?;
    output.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Replaces a file as a whole. A link is followed, and the permissions stay: such a file may hold secrets.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let said = || cannot_write(&path);
    let folder = path.parent().with_context(said)?;
    fs::create_dir_all(folder).with_context(said)?;
    let mut file = tempfile::Builder::new().prefix(".akin-").tempfile_in(folder).with_context(said)?;
    if let Ok(old) = fs::metadata(&path) {
        file.as_file().set_permissions(old.permissions()).with_context(said)?;
    }
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).with_context(said)?;
    file.persist(&path).map_err(|error| error.error).with_context(said)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            name: "notes".into(),
            command: "/bin/akin".into(),
            arguments: vec!["mcp".into(), "/n".into()],
        }
    }

    fn json_of(client: McpClient, old: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&changed(client, old, &entry())?)?)
    }

    #[test]
    fn each_client_has_the_server_where_it_looks_for_it() {
        let plain = json!({ "command": "/bin/akin", "args": ["mcp", "/n"] });
        let typed = json!({ "type": "stdio", "command": "/bin/akin", "args": ["mcp", "/n"] });
        for (client, field, expected) in [
            (McpClient::ClaudeCode, "mcpServers", &typed),
            (McpClient::ClaudeDesktop, "mcpServers", &plain),
            (McpClient::Cursor, "mcpServers", &plain),
            (McpClient::Vscode, "servers", &typed),
        ] {
            assert_eq!(json_of(client, "").unwrap(), json!({ field: { "notes": expected } }));
        }
        let toml = changed(McpClient::Codex, "", &entry()).unwrap();
        assert_eq!(toml, "[mcp_servers.notes]\ncommand = \"/bin/akin\"\nargs = [\"mcp\", \"/n\"]\n");
    }

    #[test]
    fn everything_else_in_the_file_stays() {
        let old = "{\n    \"z\": 1.5,\n    \"mcpServers\": {\n        \"other\": {\"url\": \"http:\\/\\/x\"},\n        \"notes\": {\"env\": {\"A\": \"b\"}, \"command\": \"old\"}\n    },\n    \"a\": [1, 2]\n}\n";
        let new = changed(McpClient::Cursor, old, &entry()).unwrap();
        assert!(new.contains("\n    \"z\": 1.5,\n"), "{new}");
        let expected = json!({
            "z": 1.5,
            "mcpServers": {
                "other": { "url": "http://x" },
                "notes": { "env": { "A": "b" }, "command": "/bin/akin", "args": ["mcp", "/n"] },
            },
            "a": [1, 2],
        });
        assert_eq!(serde_json::from_str::<Value>(&new).unwrap(), expected);
        assert_eq!(changed(McpClient::Cursor, &new, &entry()).unwrap(), new, "a second time changes nothing");
        let old = "# mine\nmodel = \"x\" # this one\n\n[mcp_servers.other]\ncommand = 'y'\n";
        let new = changed(McpClient::Codex, old, &entry()).unwrap();
        assert!(new.starts_with(old) && new.contains("[mcp_servers.notes]"), "{new}");
    }

    #[test]
    fn a_file_that_would_lose_something_is_refused() {
        for old in [
            "{ // a comment\n \"a\": 1 }",
            "{\"a\": 1,}",
            "[]",
            "{\"a\": 1, \"a\": 2}",
            "{\"a\": 123456789012345678901234567890}",
            "{\"mcpServers\": []}",
        ] {
            assert!(changed(McpClient::Cursor, old, &entry()).is_err(), "{old}");
        }
        let error = changed(McpClient::Codex, "a = 1\nb = ", &entry()).unwrap_err().to_string();
        assert!(error.starts_with("line 2 is not TOML") && !error.contains('\n'), "{error}");
        assert!(changed(McpClient::Codex, "mcp_servers = 3", &entry()).is_err());
    }

    #[test]
    fn a_file_is_replaced_with_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/mcp.json");
        write(&path, "one").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let link = folder.path().join("link.json");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            std::os::unix::fs::symlink(&path, &link).unwrap();
            write(&link, "two").unwrap();
            assert!(link.is_symlink());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
            assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_changes_is_shown_with_the_line_around_it() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\ny\nc\n"), "  a\n- b\n+ x\n+ y\n  c");
        assert_eq!(difference("", "a\n"), "+ a");
        assert_eq!(difference("a\na\n", "a\na\na\n"), "  a\n+ a");
    }

    #[test]
    fn a_folder_gives_a_name_that_every_client_takes() {
        assert_eq!(as_name("my notes.2"), "my-notes-2");
    }
}

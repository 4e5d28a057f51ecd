//! What `akin serve` is told by a file and by the environment. Both become arguments, where the command line has none of that
//! name: it comes first, then the environment, then the file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory};
use toml::de::{DeTable, DeValue};

use crate::commands::cli::Cli;

/// The command that has settings.
const COMMAND: &str = "serve";

/// What the environment calls a setting begins so.
const PREFIX: &str = "AKIN_SERVE_";

/// The option that names the file, which cannot be in it.
const FILE: &str = "config";

/// What the file and the environment call the indexes, which have no option.
const INDEXES: &str = "indexes";

/// A setting: its name, what to call it in an error, and its arguments.
struct Setting {
    name: String,
    place: String,
    arguments: Vec<OsString>,
}

/// Adds the settings of a file and of the environment to the arguments of `akin serve`.
pub fn complete(arguments: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    let Some(place) = arguments.iter().position(|argument| argument == COMMAND) else { return Ok(arguments) };
    let mut command = Cli::command();
    command.build();
    // What is wrong with the arguments is said when they are parsed with the settings.
    let Ok(matches) = command.clone().ignore_errors(true).try_get_matches_from(&arguments) else {
        return Ok(arguments);
    };
    let Some((COMMAND, matches)) = matches.subcommand() else { return Ok(arguments) };
    let Some(serve) = command.find_subcommand(COMMAND) else { return Ok(arguments) };
    let named = matches.try_get_one::<PathBuf>(FILE).ok().flatten().cloned();
    let file = named.or_else(|| variable(FILE).map(PathBuf::from));
    let from_file = file.map_or_else(|| Ok(Vec::new()), |path| of_file(&path, serve))?;
    let mut added = Vec::new();
    for argument in settable(serve) {
        let name = name_of(argument);
        if matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine) {
            continue;
        }
        let of_environment = of_environment(argument)?;
        let other_variable = of_another_variable(matches, argument);
        let of_file = from_file.iter().find(|setting| setting.name == name && !other_variable);
        if let Some(setting) = of_environment.as_ref().or(of_file) {
            check(&command, setting)?;
            added.extend(setting.arguments.clone());
        }
    }
    let mut completed = arguments;
    completed.splice(place + 1..place + 1, added);
    Ok(completed)
}

/// Whether a variable of an older name has the setting.
fn of_another_variable(matches: &ArgMatches, argument: &Arg) -> bool {
    matches.value_source(argument.get_id().as_str()) == Some(ValueSource::EnvVariable)
}

/// The arguments that are settings.
fn settable(serve: &Command) -> impl Iterator<Item = &Arg> {
    serve.get_arguments().filter(|argument| {
        let other = [FILE, "help", "version"];
        !other.contains(&argument.get_id().as_str())
            && !matches!(argument.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong)
    })
}

/// What a setting is called: as its option is.
fn name_of(argument: &Arg) -> &str {
    argument.get_long().unwrap_or(INDEXES)
}

/// A variable that is set, and not to nothing.
fn variable(name: &str) -> Option<OsString> {
    let name = format!("{PREFIX}{}", name.to_uppercase().replace('-', "_"));
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn of_environment(argument: &Arg) -> anyhow::Result<Option<Setting>> {
    let name = name_of(argument);
    let Some(value) = variable(name) else { return Ok(None) };
    let place = format!("{PREFIX}{}", name.to_uppercase().replace('-', "_"));
    let Some(text) = value.to_str() else { bail!("{place} is not UTF-8") };
    let values = match argument.get_action() {
        ArgAction::SetTrue => match text.to_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => vec![None],
            "0" | "false" | "no" | "off" => Vec::new(),
            _ => bail!("{place} is true or false, and not {text:?}"),
        },
        ArgAction::Append => text.split(',').map(|part| Some(part.trim().to_owned())).collect(),
        _ => vec![Some(text.to_owned())],
    };
    Ok(Some(Setting { name: name.to_owned(), place, arguments: arguments_of(argument, values) }))
}

/// The settings of a file of TOML.
fn of_file(path: &Path, serve: &Command) -> anyhow::Result<Vec<Setting>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    let place = |at: usize| format!("{}:{}", path.display(), line(at));
    let table = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        anyhow::anyhow!("{}: {}", place(at), error.message())
    })?;
    let mut settings = Vec::new();
    for (key, value) in table.get_ref() {
        let (name, place) = (key.get_ref().as_ref(), place(key.span().start));
        let Some(argument) = settable(serve).find(|argument| name_of(argument) == name) else {
            bail!("{place}: there is no setting {name:?}{}", meant(name, serve));
        };
        let arguments = arguments_of(argument, values(argument, value.get_ref(), &place)?);
        settings.push(Setting { name: name.to_owned(), place, arguments });
    }
    Ok(settings)
}

/// The values of a setting in a file; none of an option that is off, and one without text of an option that is on.
fn values(argument: &Arg, value: &DeValue<'_>, place: &str) -> anyhow::Result<Vec<Option<String>>> {
    let name = name_of(argument);
    match (argument.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(true)) => Ok(vec![None]),
        (ArgAction::SetTrue, DeValue::Boolean(false)) => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => bail!("{place}: {name} is true or false"),
        (ArgAction::Append, DeValue::Array(elements)) => {
            elements.iter().map(|element| text_of(name, element.get_ref(), place).map(Some)).collect()
        }
        (_, value) => Ok(vec![Some(text_of(name, value, place)?)]),
    }
}

fn text_of(name: &str, value: &DeValue<'_>, place: &str) -> anyhow::Result<String> {
    match value {
        DeValue::String(text) => Ok(text.as_ref().to_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        _ => bail!("{place}: {name} is a text or a number, and not {}", value.type_str()),
    }
}

fn arguments_of(argument: &Arg, values: Vec<Option<String>>) -> Vec<OsString> {
    let written = |value: Option<String>| match (argument.get_long(), value) {
        (Some(long), Some(value)) => format!("--{long}={value}"),
        (Some(long), None) => format!("--{long}"),
        // A folder, and no option, whatever its name begins with.
        (None, Some(value)) if value.starts_with('-') => format!("./{value}"),
        (None, value) => value.unwrap_or_default(),
    };
    values.into_iter().map(|value| written(value).into()).collect()
}

/// The name that was likely meant, in a sentence.
fn meant(name: &str, serve: &Command) -> String {
    let names = settable(serve).map(name_of);
    let spelled = name.to_lowercase().replace('_', "-");
    let near = names.map(|known| (strsim::osa_distance(&spelled, known), known)).min();
    match near {
        Some((distance, known)) if distance <= 2 => format!(": did you mean {known}?"),
        _ => ": `akin serve --help` lists them".to_owned(),
    }
}

/// Refuses a value that its option does not take, with the place where it is.
fn check(command: &Command, setting: &Setting) -> anyhow::Result<()> {
    use clap::error::ErrorKind;
    let begin = [OsString::from("akin"), OsString::from(COMMAND)];
    let arguments = begin.into_iter().chain(setting.arguments.iter().cloned());
    match command.clone().try_get_matches_from(arguments) {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) => {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let possible = text.lines().map(str::trim).find(|line| line.starts_with("[possible values"));
            bail!("{}: {reason}{}", setting.place, possible.map(|of| format!(" {of}")).unwrap_or_default())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::commands::cli::Command as Parsed;

    fn completed(arguments: &[&str], file: &str) -> anyhow::Result<Vec<String>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("akin.toml");
        std::fs::write(&path, file)?;
        let mut arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        arguments.extend(["--config".into(), path.clone().into_os_string()]);
        let completed = complete(arguments);
        let name = path.display().to_string();
        let completed =
            completed.map_err(|error| anyhow::anyhow!(format!("{error:#}").replace(&name, "akin.toml")))?;
        Ok(completed[..completed.len() - 2].iter().map(|text| text.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn the_command_line_comes_before_the_file() {
        let file = "# a comment\nindexes = ['a', '-b']\nlisten = \"127.0.0.1:1\"\nwritable = true\n\
                    insecure = false\nmax-texts = 7\ntimeout = 1.5\nallow-host = ['x', 'y']\nthreads = 2\n";
        assert_eq!(
            completed(&["akin", "serve", "--listen", "127.0.0.1:2", "--allow-host", "z"], file).unwrap(),
            [
                "akin",
                "serve",
                "a",
                "./-b",
                "--writable",
                "--max-texts=7",
                "--timeout=1.5",
                "--threads=2",
                "--listen",
                "127.0.0.1:2",
                "--allow-host",
                "z",
            ]
        );
        assert_eq!(completed(&["akin", "serve", "c"], "indexes = 'a'").unwrap(), ["akin", "serve", "c"]);
        // Nothing of it is for another command.
        assert_eq!(complete(vec!["akin".into(), "stat".into(), "serve".into()]).unwrap().len(), 3);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_line() {
        for (file, sentence) in [
            ("\nlisten = 'here'", "akin.toml:2: invalid value 'here' for '--listen"),
            ("a = 1", "akin.toml:1: there is no setting \"a\""),
            ("\n\nmax_texts = 1", "akin.toml:3: there is no setting \"max_texts\": did you mean max-texts?"),
            ("config = 'x'", "akin.toml:1: there is no setting \"config\""),
            ("writable = 1", "akin.toml:1: writable is true or false"),
            ("max-texts = [1]", "akin.toml:1: max-texts is a text or a number, and not array"),
            ("max-texts = 0", "akin.toml:1: invalid value '0' for '--max-texts"),
            ("precision = 'int4'", "[possible values: f32"),
            ("[listen]\na = 1", "akin.toml:1: listen is a text or a number, and not table"),
            ("listen = ", "akin.toml:1: "),
            ("listen = '127.0.0.1:1'\nlisten = '127.0.0.1:2'", "akin.toml:2: "),
        ] {
            let error = completed(&["akin", "serve"], file).unwrap_err().to_string();
            assert!(error.contains(sentence), "{file}: {error}");
        }
        let missing = complete(["akin", "serve", "--config", "/nowhere/akin.toml"].map(Into::into).to_vec());
        assert!(format!("{:#}", missing.unwrap_err()).contains("cannot read /nowhere/akin.toml"));
    }

    #[test]
    fn every_option_has_a_setting_that_it_takes() {
        let mut command = Cli::command();
        command.build();
        let serve = command.find_subcommand(COMMAND).unwrap();
        assert!(settable(serve).count() > 15);
        for argument in settable(serve) {
            assert!(argument.get_long().is_some() || argument.get_id() == INDEXES, "{argument}");
            assert!(
                matches!(argument.get_action(), ArgAction::Set | ArgAction::SetTrue | ArgAction::Append),
                "{argument}"
            );
        }
        let all = completed(&["akin", "serve"], "indexes = ['a']\nrerank = 'b'").unwrap();
        assert!(matches!(Cli::parse_from(all).command, Parsed::Serve(_)));
    }
}

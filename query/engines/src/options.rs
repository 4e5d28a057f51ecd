//! What may be chosen of a table or collection.

use std::fmt;
use std::ops::RangeInclusive;

use crate::{Error, Result};

/// What may be chosen of a table or collection when it is begun; what is not chosen is the engine's own choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineOptions {
    /// How words are kept; `none` for no words.
    pub text_config: Option<String>,
    /// How many neighbors a point of the graph has.
    pub m: Option<usize>,
    /// From how many candidates they are chosen.
    pub ef_construction: Option<usize>,
    /// In how many parts a collection of Milvus takes rows.
    pub shards: Option<usize>,
}

impl EngineOptions {
    /// The names of all options.
    pub const NAMES: [&str; 4] = ["text_config", "m", "ef_construction", "shards"];

    /// Reads options with their values.
    ///
    /// # Errors
    /// [`Error::Option`] for a name that none has, or a value that is no number where one is needed.
    pub fn read<'a>(options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut read = Self::default();
        for (name, value) in options {
            let number = || {
                let refused =
                    |_| Error::Option { name: name.into(), reason: format!("{value:?} is no number") };
                value.parse().map(Some).map_err(refused)
            };
            match name {
                "text_config" => read.text_config = Some(value.into()),
                "m" => read.m = number()?,
                "ef_construction" => read.ef_construction = number()?,
                "shards" => read.shards = number()?,
                _ => {
                    let reason = format!("there is no such option: {} are", Self::NAMES.join(", "));
                    return Err(Error::Option { name: name.into(), reason });
                }
            }
        }
        Ok(read)
    }

    /// The choice of how words are kept alone.
    pub fn with_text_config(config: &str) -> Self {
        Self { text_config: Some(config.into()), ..Self::default() }
    }
}

/// How the graph over the vectors is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GraphSettings {
    /// How many neighbors a point has.
    pub(crate) m: usize,
    /// From how many candidates they are chosen.
    pub(crate) ef_construction: usize,
}

impl GraphSettings {
    /// These, but for what is chosen otherwise, if it is in the ranges that the engine takes.
    pub(crate) fn chosen(
        self,
        options: &EngineOptions,
        m: RangeInclusive<usize>,
        ef_construction: RangeInclusive<usize>,
    ) -> Result<Self> {
        let within =
            |name: &str, chosen: Option<usize>, own: usize, range: RangeInclusive<usize>| match chosen {
                Some(value) if !range.contains(&value) => Err(Error::Option {
                    name: name.into(),
                    reason: format!("it is {} to {} there, and not {value}", range.start(), range.end()),
                }),
                chosen => Ok(chosen.unwrap_or(own)),
            };
        Ok(Self {
            m: within("m", options.m, self.m, m)?,
            ef_construction: within(
                "ef_construction",
                options.ef_construction,
                self.ef_construction,
                ef_construction,
            )?,
        })
    }

    /// What an account of a table has of them, or `own` where it has nothing.
    pub(crate) fn of_account(account: &serde_json::Value, own: Self) -> Self {
        let number = |name: &str| account[name].as_u64().and_then(|number| usize::try_from(number).ok());
        Self {
            m: number("m").unwrap_or(own.m),
            ef_construction: number("ef_construction").unwrap_or(own.ef_construction),
        }
    }

    /// Adds them to an account.
    pub(crate) fn tell(self, account: &mut serde_json::Value) {
        account["m"] = self.m.into();
        account["ef_construction"] = self.ef_construction.into();
    }

    /// Them as options.
    pub(crate) fn named(self) -> [(&'static str, String); 2] {
        [("m", self.m.to_string()), ("ef_construction", self.ef_construction.to_string())]
    }
}

impl fmt::Display for GraphSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m = {} and ef_construction = {}", self.m, self.ef_construction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_what_is_none_is_refused_by_its_name() {
        let options = EngineOptions::read([("m", "24"), ("text_config", "english")]).unwrap();
        assert_eq!(options, EngineOptions { m: Some(24), ..EngineOptions::with_text_config("english") });
        for (name, value, said) in [
            ("M", "24", "no such option: text_config, m,"),
            ("m", "-1", "\"-1\" is no number"),
            ("shards", "", "no number"),
        ] {
            let refused = EngineOptions::read([(name, value)]).unwrap_err().to_string();
            assert!(refused.contains(name) && refused.contains(said), "{refused}");
        }
        let own = GraphSettings { m: 16, ef_construction: 128 };
        assert_eq!(own.chosen(&options, 2..=100, 4..=1000).unwrap(), GraphSettings { m: 24, ..own });
        assert!(own.chosen(&options, 2..=20, 4..=1000).is_err());
        let mut account = serde_json::json!({});
        assert_eq!(GraphSettings::of_account(&account, own), own);
        GraphSettings { m: 3, ..own }.tell(&mut account);
        assert_eq!(GraphSettings::of_account(&account, own).m, 3);
    }
}

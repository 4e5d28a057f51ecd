//! Filters of Qdrant, as selections of a snapshot.
//!
//! What asks for values of the payload becomes one expression of ours; ids are looked up. What has no like here is refused
//! by its name.

use akin_index::{Filter, Selection, Snapshot};
use serde_json::{Map, Value};

use super::points::ids_of;
use crate::error::ApiError;
use crate::routes::vector_stores::{literal, quoted};

/// How deep filters may be nested.
const DEPTH: usize = 24;

/// Conditions of a filter, at most.
const CONDITIONS: usize = 1000;

/// What a filter asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// An expression of ours about the payload.
    Payload(String),
    /// These documents.
    Ids(Vec<String>),
    /// All but those of the condition.
    Not(Box<Condition>),
    /// Those of all conditions: every document where there are none.
    All(Vec<Condition>),
    /// Those of any.
    Any(Vec<Condition>),
}

impl Condition {
    /// Reads a filter.
    pub fn read(filter: &Value) -> Result<Self, ApiError> {
        Reader { left: CONDITIONS }.filter(filter, DEPTH)
    }

    /// The documents of a snapshot that fit.
    pub fn select(&self, snapshot: &Snapshot) -> Result<Selection, ApiError> {
        if let Some(expression) = self.expression() {
            return Ok(snapshot.select(&Filter::parse(&expression)?)?);
        }
        type Combine<'a> = &'a dyn Fn(Selection, Selection) -> akin_index::Result<Selection>;
        let combined = |all: &[Self], combine: Combine<'_>| -> Result<Selection, ApiError> {
            let mut selections = all.iter().map(|one| one.select(snapshot));
            let first = selections.next().unwrap_or_else(|| Ok(snapshot.select_all()?))?;
            selections.try_fold(first, |selected, next| Ok(combine(selected, next?)?))
        };
        match self {
            Self::Payload(expression) => Ok(snapshot.select(&Filter::parse(expression)?)?),
            Self::Ids(ids) => Ok(snapshot.select_ids(ids)?),
            Self::Not(inner) => Ok(snapshot.but_not(&snapshot.select_all()?, &inner.select(snapshot)?)?),
            Self::All(all) => combined(all, &|one, other| snapshot.both(&one, &other)),
            Self::Any(all) => combined(all, &|one, other| snapshot.either(&one, &other)),
        }
    }

    /// The same as one expression, where it asks for the payload alone: then the columns are gone through once.
    fn expression(&self) -> Option<String> {
        let joined = |all: &[Self], word: &str| {
            let parts: Vec<String> = all.iter().map(Self::expression).collect::<Option<_>>()?;
            (!parts.is_empty()).then(|| format!("({})", parts.join(word)))
        };
        match self {
            Self::Payload(expression) => Some(expression.clone()),
            Self::Ids(_) => None,
            Self::Not(inner) => Some(format!("not {}", inner.expression()?)),
            Self::All(all) => joined(all, " and "),
            Self::Any(all) => joined(all, " or "),
        }
    }
}

struct Reader {
    /// Conditions that may still come.
    left: usize,
}

impl Reader {
    fn filter(&mut self, filter: &Value, depth: usize) -> Result<Condition, ApiError> {
        let Some(parts) = filter.as_object().filter(|_| depth > 0) else {
            return Err(wrong(&format!("a filter is an object, nested at most {DEPTH} deep")));
        };
        let mut all = Vec::new();
        for (name, value) in parts.iter().filter(|(_, value)| !value.is_null()) {
            let conditions = match (name.as_str(), value) {
                ("must" | "should" | "must_not", Value::Array(conditions)) => conditions.as_slice(),
                ("must" | "should" | "must_not", condition) => std::slice::from_ref(condition),
                _ => return Err(unknown(name, "must, should and must_not")),
            };
            let read = conditions.iter().map(|condition| self.condition(condition, depth - 1));
            let read: Vec<Condition> = read.collect::<Result<_, _>>()?;
            match name.as_str() {
                "should" if read.is_empty() => {}
                "should" => all.push(Condition::Any(read)),
                "must" => all.extend(read),
                _ => all.extend(read.into_iter().map(|one| Condition::Not(Box::new(one)))),
            }
        }
        Ok(Condition::All(all))
    }

    fn condition(&mut self, condition: &Value, depth: usize) -> Result<Condition, ApiError> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| wrong(&format!("it has more than {CONDITIONS} conditions")))?;
        let Some(fields) = condition.as_object() else { return Err(wrong("a condition is an object")) };
        let is = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
        if is("key") {
            return about_field(fields);
        }
        if ["must", "should", "must_not"].into_iter().any(is) {
            return self.filter(condition, depth);
        }
        let mut named = fields.iter().filter(|(_, value)| !value.is_null());
        match (named.next(), named.next()) {
            (Some((name, value)), None) => match name.as_str() {
                "has_id" => {
                    let ids = value.as_array().ok_or_else(|| wrong("has_id is a list of ids"))?;
                    Ok(Condition::Ids(ids_of(ids)?))
                }
                "is_empty" => {
                    let key = value.get("key").and_then(Value::as_str);
                    let key = key.ok_or_else(|| wrong("is_empty has a key"))?;
                    Ok(Condition::Not(Box::new(exists(key))))
                }
                other => Err(unknown(other, "a key, has_id, is_empty, must, should and must_not")),
            },
            (None, _) => Ok(Condition::All(Vec::new())),
            _ => Err(wrong("a condition asks for one thing, or for a key with match or range")),
        }
    }
}

fn about_field(fields: &Map<String, Value>) -> Result<Condition, ApiError> {
    let key = fields.get("key").and_then(Value::as_str).ok_or_else(|| wrong("key is a text"))?;
    let mut all = Vec::new();
    for (name, value) in fields.iter().filter(|(name, value)| *name != "key" && !value.is_null()) {
        all.push(match name.as_str() {
            "match" => matching(key, value)?,
            "range" => within(key, value)?,
            "is_empty" => match value.as_bool() {
                Some(true) => Condition::Not(Box::new(exists(key))),
                Some(false) => exists(key),
                None => return Err(wrong("is_empty is true or false")),
            },
            other => return Err(unknown(other, "match, range and is_empty")),
        });
    }
    match all.len() {
        0 => Err(wrong("a key comes with match or range")),
        1 => Ok(all.remove(0)),
        _ => Ok(Condition::All(all)),
    }
}

/// The name of a field in our expressions. A list is gone through element by element anyway.
fn field(key: &str) -> String {
    quoted(&key.replace("[]", ""))
}

/// That a field has a value: every text is at least the empty one.
fn exists(key: &str) -> Condition {
    Condition::Payload(format!("{} >= \"\"", field(key)))
}

fn matching(key: &str, value: &Value) -> Result<Condition, ApiError> {
    let asked = value.as_object().ok_or_else(|| wrong("match is an object"))?;
    let mut asked = asked.iter().filter(|(_, value)| !value.is_null());
    let (Some((kind, value)), None) = (asked.next(), asked.next()) else {
        return Err(wrong("match has one of value, any and except"));
    };
    let scalar = |value: &Value| {
        literal(value).ok_or_else(|| wrong("a value to match is a text, a number, true or false"))
    };
    let list = || -> Result<String, ApiError> {
        let values = value.as_array().ok_or_else(|| wrong("any and except have a list of values"))?;
        Ok(values.iter().map(scalar).collect::<Result<Vec<_>, _>>()?.join(", "))
    };
    let field = field(key);
    match kind.as_str() {
        "value" => Ok(Condition::Payload(format!("{field} = {}", scalar(value)?))),
        "any" => Ok(match list()? {
            // No value is among none.
            none if none.is_empty() => Condition::Not(Box::new(Condition::All(Vec::new()))),
            values => Condition::Payload(format!("{field} in ({values})")),
        }),
        "except" => Ok(match list()? {
            none if none.is_empty() => exists(key),
            values => {
                Condition::All(vec![exists(key), Condition::Payload(format!("{field} not in ({values})"))])
            }
        }),
        other => Err(unknown(other, "match with value, any and except")),
    }
}

fn within(key: &str, value: &Value) -> Result<Condition, ApiError> {
    let bounds = value.as_object().ok_or_else(|| wrong("range is an object"))?;
    let mut all = Vec::new();
    for (name, bound) in bounds.iter().filter(|(_, bound)| !bound.is_null()) {
        let sign = match name.as_str() {
            "lt" => "<",
            "lte" => "<=",
            "gt" => ">",
            "gte" => ">=",
            other => return Err(unknown(other, "range with lt, lte, gt and gte")),
        };
        let bound = match bound {
            Value::Number(number) => number.to_string(),
            Value::String(date) => {
                time_of(date).ok_or_else(|| wrong("a bound of range is a number or a date"))?
            }
            _ => return Err(wrong("a bound of range is a number or a date")),
        };
        all.push(Condition::Payload(format!("{} {sign} {bound}", field(key))));
    }
    Ok(if all.is_empty() { exists(key) } else { Condition::All(all) })
}

/// A date as an expression has it, without quotes: in quotes it were a text.
fn time_of(date: &str) -> Option<String> {
    let date = date.trim().replacen(' ', "T", 1);
    let is_of_date = |letter: char| letter.is_ascii_digit() || "-:.+TtZz".contains(letter);
    (date.starts_with(|first: char| first.is_ascii_digit()) && date.chars().all(is_of_date)).then_some(date)
}

fn wrong(reason: &str) -> ApiError {
    ApiError::field("filter", format!("filter: {reason}"))
}

fn unknown(name: &str, known: &str) -> ApiError {
    wrong(&format!("{} is not known here: there are {known}", crate::app::quoted(name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expression(filter: Value) -> String {
        Condition::read(&filter).unwrap().expression().unwrap()
    }

    #[test]
    fn conditions_about_the_payload_become_one_expression() {
        let filter = json!({
            "must": [
                { "key": "color", "match": { "value": "red" } },
                { "key": "a[].n", "range": { "gte": 2, "lt": 3.5, "gt": null } },
            ],
            "should": [{ "key": "k", "match": { "any": [1, "x"] } }, { "is_empty": { "key": "k" } }],
            "must_not": { "key": "done", "match": { "value": true } },
            "min_should": null,
        });
        let text = expression(filter);
        let expected = "(\"color\" = \"red\" and (\"a.n\" >= 2 and \"a.n\" < 3.5) and \
                        (\"k\" in (1, \"x\") or not \"k\" >= \"\") and not \"done\" = true)";
        assert_eq!(text, expected);
        let filter = Filter::parse(&text).unwrap();
        let fits = |metadata: Value| filter.matches(metadata.as_object().unwrap());
        assert!(fits(json!({ "color": "red", "a": [{ "n": 1 }, { "n": 3 }] })));
        assert!(!fits(json!({ "color": "red", "a": [{ "n": 3 }], "k": 2 })));
        assert!(!fits(json!({ "color": "red", "a": [{ "n": 3 }], "done": true })));
    }

    #[test]
    fn what_is_there_is_told_from_what_is_not() {
        let fits = |filter: Value, metadata: Value| {
            let filter = Filter::parse(&expression(json!({ "must": [filter] }))).unwrap();
            filter.matches(metadata.as_object().unwrap())
        };
        let except = || json!({ "key": "a", "match": { "except": ["x"] } });
        assert!(fits(except(), json!({ "a": "y" })));
        assert!(!fits(except(), json!({ "a": "x" })) && !fits(except(), json!({})));
        let since = || json!({ "key": "a", "range": { "gte": "2024-05-01 10:00:00Z" } });
        assert!(fits(since(), json!({ "a": "2024-05-01T10:00:01Z" })));
        assert!(!fits(since(), json!({ "a": "2024-05-01T09:00:00Z" })));
    }

    #[test]
    fn what_has_no_like_here_is_refused_by_its_name() {
        for (condition, name) in [
            (json!({ "key": "a", "match": { "text": "x" } }), "text"),
            (json!({ "key": "a", "geo_radius": {} }), "geo_radius"),
            (json!({ "key": "a", "values_count": { "gt": 1 } }), "values_count"),
            (json!({ "key": "a", "range": { "above": 1 } }), "above"),
            (json!({ "nested": { "key": "a" } }), "nested"),
            (json!({ "is_null": { "key": "a" } }), "is_null"),
            (json!({ "has_vector": "a" }), "has_vector"),
        ] {
            let error = Condition::read(&json!({ "must": [condition] })).unwrap_err();
            assert!(error.message.contains(&format!("\"{name}\"")), "{error}");
            assert_eq!(error.field.as_deref(), Some("filter"));
        }
        assert!(Condition::read(&json!({ "min_should": {} })).unwrap_err().message.contains("min_should"));
        for wrong in [
            json!(3),
            json!({ "must": [3] }),
            json!({ "must": [{ "key": "a" }] }),
            json!({ "must": [{ "has_id": 3 }] }),
            json!({ "must": [{ "has_id": [1.5] }] }),
            json!({ "must": [{ "key": "a", "match": { "value": [1] } }] }),
            json!({ "must": [{ "key": "a", "range": { "lt": "x or y" } }] }),
        ] {
            assert!(Condition::read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_filter_has_an_end() {
        let mut deep = json!({ "must": [] });
        for _ in 0..DEPTH {
            deep = json!({ "must": [deep] });
        }
        assert!(Condition::read(&deep).is_err());
        let inner = deep["must"][0].take();
        let text = Condition::read(&inner).unwrap();
        assert!(text.expression().is_none_or(|text| Filter::parse(&text).is_ok()));
        let many = vec![json!({ "key": "a", "match": { "value": 1 } }); CONDITIONS + 1];
        assert!(Condition::read(&json!({ "should": many })).is_err());
    }
}

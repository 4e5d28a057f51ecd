//! A value as it stands in a filter, and how values of documents are ordered to it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use super::date::Date;
use super::{Asked, Word, write_quoted};

/// A value as it stands in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Literal {
    text: String,
    /// Whether it is a number: not where it was quoted.
    is_number: bool,
    /// The time that it names: none where it was quoted.
    date: Option<Date>,
}

/// The text that a filter compares of a value: none of null, lists and objects.
pub fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::String(text) => text.into(),
        Value::Number(number) => number.to_string().into(),
        Value::Bool(true) => "true".into(),
        Value::Bool(false) => "false".into(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    })
}

/// The number that the text of a value reads as, where a filter compares it with one.
pub fn number_of(text: &str) -> Option<f64> {
    Number::of(text).map(Number::real)
}

/// The time that the text of a value names, where a filter compares it with one: first and end, in microseconds since 1970.
pub fn time_of(text: &str) -> Option<(i64, i64)> {
    Date::of(text).map(Date::bounds)
}

impl Literal {
    pub(super) fn quoted(text: String) -> Self {
        Self { text, is_number: false, date: None }
    }

    pub(super) fn word(text: String) -> Self {
        let date = Date::of(&text).or_else(|| Date::year(&text));
        Self { is_number: Number::of(&text).is_some(), date, text }
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { text: &self.text, is_number: self.is_number, time: self.date.map(Date::bounds) }
    }

    /// How `value` is ordered to this. Null, lists and objects are not.
    pub(super) fn order(&self, value: &Value) -> Option<Ordering> {
        self.order_text(&text_of(value)?)
    }

    /// The same of a value's text.
    pub(super) fn order_text(&self, text: &str) -> Option<Ordering> {
        let numbers = || Some((Number::of(text)?, Number::of(&self.text)?));
        if self.is_number
            && let Some((value, own)) = numbers()
        {
            return value.partial_cmp(&own);
        }
        if let (Some(asked), Some(value)) = (self.date, self.date.and_then(|_| Date::of(text))) {
            return Some(value.order(asked));
        }
        // A text that is no number, as "n/a" or an empty cell, is neither less nor more than one.
        (!self.is_number).then(|| text.cmp(&self.text))
    }
}

/// A number that a text reads as. Whole ones are exact: ids are longer than the digits of a float.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    fn of(text: &str) -> Option<Self> {
        // Neither "nan" nor "infinity", which are words.
        if !text.ends_with(|last: char| last.is_ascii_digit() || last == '.') {
            return None;
        }
        match text.parse() {
            Ok(whole) => Some(Self::Whole(whole)),
            Err(_) => text.parse().ok().filter(|real: &f64| real.is_finite()).map(Self::Real),
        }
    }

    fn real(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Some(one.cmp(other)),
            (one, other) => one.real().partial_cmp(&other.real()),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_number {
            true => f.write_str(&self.text),
            false if Self::word(self.text.clone()) != *self => write_quoted(f, &self.text),
            false => Word(&self.text).fmt(f),
        }
    }
}

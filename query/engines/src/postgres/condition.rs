//! A filter as a condition of SQL. Names and values are parameters, never parts of a statement.

use akin_index::Filter;
use akin_index::filter::{Asked, Tree};
use postgres::types::ToSql;

use super::address::Address;
use super::schema::ORDER;
use crate::{Error, Result};

/// The most dots of a field: each may be a part of a name, or lead into an object.
const MOST_DOTS: usize = 4;

/// The most parameters of a statement, of which some are kept for the rest of it.
const MOST_PARAMETERS: usize = 60_000;

/// A condition with its parameters.
pub(super) struct Condition {
    pub(super) sql: String,
    pub(super) parameters: Vec<Box<dyn ToSql + Sync>>,
}

impl Condition {
    /// That of a filter, whose first parameter has the number `next`.
    pub(super) fn of(filter: &Filter, address: &Address, next: usize) -> Result<Self> {
        let refused = |reason: String| Error::Filter { place: address.place(), reason };
        let mut writing = Writing { order: address.named(ORDER), next, parameters: Vec::new(), aliases: 0 };
        let sql = writing.tree(&filter.tree()).map_err(refused)?;
        if writing.parameters.len() > MOST_PARAMETERS {
            return Err(refused("it has too many values".into()));
        }
        Ok(Self { sql, parameters: writing.parameters })
    }
}

struct Writing {
    order: String,
    next: usize,
    parameters: Vec<Box<dyn ToSql + Sync>>,
    aliases: usize,
}

impl Writing {
    fn parameter(&mut self, value: impl ToSql + Sync + 'static, cast: &str) -> String {
        self.parameters.push(Box::new(value));
        self.next += 1;
        format!("${}::{cast}", self.next - 1)
    }

    fn text(&mut self, text: &str) -> Result<String, String> {
        match text.contains('\0') {
            true => Err("it has a NUL character, which PostgreSQL does not store".into()),
            false => Ok(self.parameter(text.to_owned(), "text")),
        }
    }

    fn tree(&mut self, tree: &Tree<'_>) -> Result<String, String> {
        Ok(match tree {
            Tree::Compare { field, sign: "!=", asked } => {
                let equal = self.order("=", asked)?;
                format!("NOT {}", self.any(field, &equal)?)
            }
            Tree::Compare { field, sign, asked } => {
                let fits = self.order(sign, asked)?;
                self.any(field, &fits)?
            }
            Tree::In { field, asked } => {
                let fits: Vec<String> =
                    asked.iter().map(|one| self.order("=", one)).collect::<Result<_, _>>()?;
                let fits = if fits.is_empty() { "false".into() } else { fits.join(" OR ") };
                self.any(field, &fits)?
            }
            Tree::Not(inner) => format!("NOT ({})", self.tree(inner)?),
            Tree::And(all) => self.joined(all, " AND ")?,
            Tree::Or(all) => self.joined(all, " OR ")?,
        })
    }

    fn joined(&mut self, all: &[Tree<'_>], between: &str) -> Result<String, String> {
        let all: Vec<String> = all.iter().map(|one| self.tree(one)).collect::<Result<_, _>>()?;
        Ok(format!("({})", all.join(between)))
    }

    /// Whether a value, which is called `v`, is so ordered to one that is asked for.
    fn order(&mut self, sign: &str, asked: &Asked<'_>) -> Result<String, String> {
        let text = self.text(asked.text)?;
        let number = if asked.is_number { "true" } else { "false" };
        let (starts, ends) = match asked.time {
            Some((starts, ends)) => (starts.to_string(), ends.to_string()),
            None => ("NULL".into(), "NULL".into()),
        };
        if !asked.is_number && asked.time.is_none() {
            return Ok(format!("(v #>> '{{}}') COLLATE \"C\" {sign} {text}"));
        }
        Ok(format!("{}(v #>> '{{}}', {text}, {number}, {starts}, {ends}) {sign} 0", self.order))
    }

    /// Whether a value of a field, called `v`, fits.
    fn any(&mut self, field: &str, fits: &str) -> Result<String, String> {
        if field.matches('.').count() > MOST_DOTS {
            return Err(format!("the field {field:?} has more than {MOST_DOTS} dots"));
        }
        let values = self.values("metadata", field)?;
        Ok(format!(
            "EXISTS (SELECT FROM ({values}) found WHERE jsonb_typeof(v) IN ('string', 'number', 'boolean') AND ({fits}))"
        ))
    }

    /// A query for the values `v` of a field of an object: those of a list one by one. A field of that very name comes first; else
    /// the name leads into objects, and into those of lists.
    fn values(&mut self, object: &str, field: &str) -> Result<String, String> {
        let name = self.text(field)?;
        self.aliases += 1;
        let element = format!("e{}", self.aliases);
        let mut sql = format!(
            "SELECT {element}.v FROM jsonb_array_elements(CASE jsonb_typeof({object} -> {name}) WHEN 'array' \
             THEN {object} -> {name} ELSE jsonb_build_array({object} -> {name}) END) {element}(v) WHERE {object} ? {name}"
        );
        for (dot, _) in field.match_indices('.') {
            let (first, rest) = (&field[..dot], &field[dot + 1..]);
            let first = self.text(first)?;
            self.aliases += 1;
            let inner = format!("o{}", self.aliases);
            let values = self.values(&format!("{inner}.x"), rest)?;
            sql = format!(
                "{sql} UNION ALL SELECT w{inner}.v FROM jsonb_array_elements(CASE jsonb_typeof({object} -> {first}) \
                 WHEN 'array' THEN {object} -> {first} WHEN 'object' THEN jsonb_build_array({object} -> {first}) \
                 ELSE '[]' END) {inner}(x), LATERAL ({values}) w{inner}(v) \
                 WHERE NOT {object} ? {name} AND jsonb_typeof({inner}.x) = 'object'"
            );
        }
        Ok(sql)
    }
}

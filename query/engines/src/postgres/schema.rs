//! The table, and what belongs to it: a graph, a full account of its model in the comment, and functions that compare as filters do.

use akin_index::{ModelIdentity, PassageSize, Similarity};
use postgres::{GenericClient, Transaction};
use serde_json::{Value, json};

use super::address::Address;
use super::connect::Connection;
use crate::options::GraphSettings;
use crate::{Error, Result};

/// The version of what is kept.
const VERSION: u64 = 1;

/// The field of the comment that names the text configuration of the words.
const TEXT_CONFIG: &str = "text_config";

/// The oldest pgvector that goes on with a search until enough documents fit.
const LEAST_PGVECTOR: (u32, u32) = (0, 8);

/// The longest vectors of 16 bits that pgvector makes a graph of.
pub(super) const DIMENSION_LIMIT: usize = 4000;

/// A lock that commands hold while they create something: two tables may share the functions.
const CREATION_LOCK: i64 = 0x616b_696e;

/// The function that tells how a text is ordered to a value of a filter: below 0, 0, above 0, or null where they have no order.
pub(super) const ORDER: &str = "akin_order_1";

/// The function that reads a date.
const SPAN: &str = "akin_span_1";

/// How many neighbors a point of the graph has, and how many candidates it is chosen from.
pub(super) const GRAPH: GraphSettings = GraphSettings { m: 16, ef_construction: 128 };

/// Refuses a server without vectors. Where it could have them and `create` says so, it gets them.
pub(super) fn require_vectors(connection: &mut Connection, create: bool) -> Result<()> {
    let place = connection.address.server();
    let version = "SELECT extversion FROM pg_extension WHERE extname = 'vector'";
    let mut found = connection.run(&mut |client| client.query_opt(version, &[]))?;
    if found.is_none() && create {
        // Commands that come at once take turns: the second finds it created.
        let created = connection.run(&mut |client| {
            let mut transaction = client.transaction()?;
            transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&CREATION_LOCK])?;
            transaction.batch_execute("CREATE EXTENSION IF NOT EXISTS vector")?;
            transaction.commit()
        });
        created.map_err(|error| Error::NoVectors {
            place: place.clone(),
            reason: format!("it has no extension vector, and it cannot be created: {error}"),
        })?;
        found = connection.run(&mut |client| client.query_opt(version, &[]))?;
    }
    let lacks = |reason: String| Error::NoVectors { place, reason };
    let Some(row) = found else { return Err(lacks("it has no extension vector".into())) };
    let version: String = row.get(0);
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match found < LEAST_PGVECTOR {
        true => Err(lacks(format!("its pgvector is {version}, and 0.8 is needed"))),
        false => Ok(()),
    }
}

/// What the comment of a table says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Account {
    pub(super) model: ModelIdentity,
    /// The text configuration of its words, if anybody has chosen one.
    pub(super) text_config: Option<String>,
    pub(super) graph: GraphSettings,
}

/// The account of the table; none where there is no table.
pub(super) fn account_of(connection: &mut Connection) -> Result<Option<Account>> {
    let (table, place) = (connection.address.table(), connection.address.place());
    let find = "SELECT c.relkind::text, obj_description(c.oid, 'pg_class') FROM pg_class c WHERE c.oid = to_regclass($1)";
    let found = connection.run(&mut |client| client.query_opt(find, &[&table]))?;
    let Some(row) = found else { return Ok(None) };
    let not_ours = |reason: &str| Error::NotOurs { place: place.clone(), reason: reason.into() };
    let comment: Option<String> = row.get(1);
    let comment = comment.ok_or_else(|| not_ours("its comment says nothing of a model"))?;
    let value: Value = serde_json::from_str(&comment).unwrap_or_default();
    match value["akin"].as_u64() {
        None => return Err(not_ours("its comment says nothing of a model")),
        Some(VERSION) => {}
        Some(other) => {
            return Err(not_ours(&format!("its form is {other}, and this release reads form {VERSION}")));
        }
    }
    let model = model_from(&value).ok_or_else(|| not_ours("its comment has been changed"))?;
    match value[TEXT_CONFIG].as_str() {
        Some(config) if !is_config(config) => Err(not_ours("its comment has been changed")),
        config => {
            let (text_config, graph) = (config.map(str::to_owned), GraphSettings::of_account(&value, GRAPH));
            Ok(Some(Account { model, text_config, graph }))
        }
    }
}

/// Whether a text may name a text configuration: it becomes a part of statements.
pub(super) fn is_config(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(fits)
}

/// The comment of a table beside that of the documents; nothing where there is no such table.
pub(super) fn comment_on(connection: &mut Connection, table: &str) -> Result<Option<Option<String>>> {
    let find = "SELECT obj_description(c.oid, 'pg_class') FROM pg_class c WHERE c.oid = to_regclass($1)";
    let found = connection.run(&mut |client| client.query_opt(find, &[&table]))?;
    Ok(found.map(|row| row.get(0)))
}

/// The comment of the table.
fn comment_of(transaction: &mut Transaction<'_>, address: &Address) -> Result<Value, postgres::Error> {
    let find = "SELECT obj_description(to_regclass($1), 'pg_class')";
    let comment: Option<String> = transaction.query_one(find, &[&address.table()])?.get(0);
    Ok(serde_json::from_str(&comment.unwrap_or_default()).unwrap_or_default())
}

/// The text configuration of the words, if anybody has chosen one.
pub(super) fn text_config(
    transaction: &mut Transaction<'_>,
    address: &Address,
) -> Result<Option<String>, postgres::Error> {
    Ok(comment_of(transaction, address)?[TEXT_CONFIG].as_str().map(str::to_owned))
}

/// Has the table remember the text configuration of its words.
pub(super) fn remember_text_config(
    transaction: &mut Transaction<'_>,
    address: &Address,
    config: &str,
) -> Result<(), postgres::Error> {
    remember(transaction, address, &mut |comment| comment[TEXT_CONFIG] = config.into())
}

/// Has the table remember how its graph is to be built.
pub(super) fn remember_graph(
    transaction: &mut Transaction<'_>,
    address: &Address,
    graph: GraphSettings,
) -> Result<(), postgres::Error> {
    remember(transaction, address, &mut |comment| graph.tell(comment))
}

/// Changes the comment of a table.
fn remember(
    transaction: &mut Transaction<'_>,
    address: &Address,
    change: &mut dyn FnMut(&mut Value),
) -> Result<(), postgres::Error> {
    let mut comment = comment_of(transaction, address)?;
    if comment.is_object() {
        change(&mut comment);
        let comment = comment.to_string().replace('\'', "''");
        transaction.batch_execute(&format!("COMMENT ON TABLE {} IS '{comment}'", address.table()))?;
    }
    Ok(())
}

/// Creates the table for vectors of a model, unless it is there.
pub(super) fn create(connection: &mut Connection, model: &ModelIdentity) -> Result<()> {
    if !(1..=DIMENSION_LIMIT).contains(&model.dimension) {
        return Err(Error::NoVectors {
            place: connection.address.place(),
            reason: format!(
                "vectors have 1 to {DIMENSION_LIMIT} dimensions there, and not {}",
                model.dimension
            ),
        });
    }
    let statements = statements(&connection.address, model);
    connection.run(&mut |client| {
        let mut transaction = client.transaction()?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&CREATION_LOCK])?;
        transaction.batch_execute(&statements)?;
        transaction.commit()
    })
}

fn statements(address: &Address, model: &ModelIdentity) -> String {
    let (table, dimension) = (address.table(), model.dimension);
    let comment = model_json(model).to_string().replace('\'', "''");
    format!(
        "CREATE TABLE {table} (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE \"C\" NOT NULL, \
         part int NOT NULL, first int, last int, text text, fields text, hash bytea, metadata jsonb NOT NULL, \
         embedding halfvec({dimension}) NOT NULL, UNIQUE (id, part)); \
         ALTER TABLE {table} ALTER embedding SET STORAGE PLAIN; COMMENT ON TABLE {table} IS '{comment}'; {}",
        functions(address)
    )
}

/// The functions that compare a text with a value of a filter, as [`akin_index::filter::Asked`] says.
fn functions(address: &Address) -> String {
    let (order, span) = (address.named(ORDER), address.named(SPAN));
    const NUMBER: &str = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?$";
    const DATE: &str = "^([0-9]{4})-([0-9]{2})(-([0-9]{2})([Tt ]([0-9]{2}):([0-9]{2})(:([0-9]{2})([.,]([0-9]+))?)?\
                        ([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?)?$";
    format!(
        "CREATE OR REPLACE FUNCTION {span}(value text) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $akin$ \
         DECLARE m text[]; y int; mo int; d int; starts bigint; lasts bigint; zone text; first date; part text; BEGIN \
         m := regexp_match(value, '{DATE}'); IF m IS NULL THEN RETURN NULL; END IF; \
         y := m[1]::int; mo := m[2]::int; IF mo < 1 OR mo > 12 THEN RETURN NULL; END IF; \
         first := make_date(CASE WHEN y = 0 THEN 4 ELSE y END, mo, 1); \
         starts := (first - date '1970-01-01') - CASE WHEN y = 0 THEN 1461 ELSE 0 END; \
         d := (first + interval '1 month')::date - first; \
         IF m[4] IS NULL THEN RETURN ARRAY[starts * 86400000000, (starts + d) * 86400000000]; END IF; \
         IF m[4]::int < 1 OR m[4]::int > d THEN RETURN NULL; END IF; \
         starts := (starts + m[4]::int - 1) * 86400000000; \
         IF m[6] IS NULL THEN RETURN ARRAY[starts, starts + 86400000000]; END IF; \
         IF m[6]::int > 23 OR m[7]::int > 59 OR m[9]::int > 60 THEN RETURN NULL; END IF; \
         starts := starts + m[6]::bigint * 3600000000 + m[7]::bigint * 60000000; lasts := 60000000; \
         IF m[9] IS NOT NULL THEN starts := starts + m[9]::bigint * 1000000; lasts := 1000000; END IF; \
         IF m[11] IS NOT NULL THEN part := left(m[11], 6); lasts := power(10, 6 - length(part))::bigint; \
         starts := starts + part::bigint * lasts; END IF; \
         zone := m[12]; IF zone ~ '^[+-]' THEN \
         IF substr(zone, 2, 2)::int > 23 OR (length(zone) > 3 AND right(zone, 2)::int > 59) THEN RETURN NULL; END IF; \
         starts := starts - (left(zone, 1) || '1')::int * (substr(zone, 2, 2)::bigint * 3600000000 + \
         CASE WHEN length(zone) > 3 THEN right(zone, 2)::bigint ELSE 0 END * 60000000); END IF; \
         RETURN ARRAY[starts, starts + lasts]; END $akin$; \
         CREATE OR REPLACE FUNCTION {order}(value text, asked text, number bool, starts bigint, ends bigint) RETURNS int \
         LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $akin$ DECLARE s bigint[]; BEGIN \
         IF number AND value ~ '{NUMBER}' THEN RETURN sign(value::numeric - asked::numeric)::int; END IF; \
         IF starts IS NOT NULL THEN s := {span}(value); IF s IS NOT NULL THEN \
         RETURN CASE WHEN s[1] < starts THEN -1 WHEN s[2] <= ends THEN 0 ELSE 1 END; END IF; END IF; \
         IF number THEN RETURN NULL; END IF; \
         RETURN CASE WHEN value = asked COLLATE \"C\" THEN 0 WHEN value < asked COLLATE \"C\" THEN -1 ELSE 1 END; \
         END $akin$;"
    )
}

/// The name of the graph in the schema of the table.
pub(super) fn graph_name(address: &Address) -> String {
    format!("{}_near", address.table_name())
}

/// Whether the table has its graph.
pub(super) fn has_graph(client: &mut impl GenericClient, address: &Address) -> Result<bool, postgres::Error> {
    let found =
        client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&address.named(&graph_name(address))])?;
    Ok(found.get(0))
}

/// The statement that builds the graph.
pub(super) fn build_graph(address: &Address, similarity: Similarity, graph: GraphSettings) -> String {
    let GraphSettings { m, ef_construction } = graph;
    let operators = match similarity {
        Similarity::Cosine | Similarity::Dot => "halfvec_ip_ops",
        Similarity::Euclidean => "halfvec_l2_ops",
        Similarity::Manhattan => "halfvec_l1_ops",
    };
    let (name, table) = (graph_name(address), address.table());
    format!(
        "CREATE INDEX IF NOT EXISTS \"{name}\" ON {table} USING hnsw (embedding {operators}) WITH (m = {m}, ef_construction = {ef_construction})"
    )
}

pub(crate) fn model_json(model: &ModelIdentity) -> Value {
    json!({
        "akin": VERSION,
        "fingerprint": model.fingerprint,
        "location": model.location,
        "dimension": model.dimension,
        "query_prompt": model.query_prompt,
        "document_prompt": model.document_prompt,
        "similarity": model.similarity.name(),
        "passages": match model.passages {
            PassageSize::Whole => "none".to_owned(),
            PassageSize::Window => "auto".to_owned(),
            PassageSize::Tokens(tokens) => tokens.to_string(),
        },
    })
}

pub(crate) fn model_from(value: &Value) -> Option<ModelIdentity> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let dimension = usize::try_from(value["dimension"].as_u64()?).ok()?;
    if !(1..=DIMENSION_LIMIT).contains(&dimension) {
        return None;
    }
    Some(ModelIdentity {
        fingerprint: text("fingerprint")?,
        location: text("location")?,
        dimension,
        query_prompt: text("query_prompt"),
        document_prompt: text("document_prompt"),
        similarity: Similarity::from_name(value["similarity"].as_str()?)?,
        passages: match value["passages"].as_str()? {
            "none" => PassageSize::Whole,
            "auto" => PassageSize::Window,
            tokens => PassageSize::Tokens(tokens.parse().ok()?),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_comes_back_from_the_comment() {
        for passages in [PassageSize::Whole, PassageSize::Window, PassageSize::Tokens(90)] {
            let model = ModelIdentity {
                query_prompt: Some("it's: ".into()),
                similarity: Similarity::Dot,
                passages,
                ..ModelIdentity::new("f".repeat(64), "where", 7)
            };
            assert_eq!(model_from(&model_json(&model)), Some(model));
        }
        assert_eq!(model_from(&json!({"akin": 1, "dimension": 0})), None);
    }
}

//! The interfaces of others over a real socket, field by field.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_encoder::{CrossEncoder, Precision, SentenceEncoder};
use akin_fixtures::models::ModelCopy;
use akin_server::ServerOptions;
use base64::Engine;
use common::{Served, model, texts};
use serde_json::{Value, json};

/// A server with a cross-encoder.
fn ranking() -> (Served, ModelCopy) {
    let copy = ModelCopy::cross_encoder("bert");
    let name = copy.path().to_str().unwrap().to_owned();
    (Served::with(5, |options: &mut ServerOptions| options.reranker = Some(name)), copy)
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn expected(texts: &[&str]) -> Vec<Vec<f32>> {
    let encoding = SentenceEncoder::load(&model()).unwrap().encode(texts).unwrap();
    encoding.embeddings.iter().map(<[f32]>::to_vec).collect()
}

fn is_near(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn openai_embeddings_come_as_numbers_and_as_base64() {
    let served = Served::notes(3);
    let texts = ["one text", "another text"];
    let body =
        served.post("/v1/embeddings", &json!({ "input": texts, "model": "tiny-bert", "user": "u" })).ok();
    assert_eq!((&body["object"], body["data"].as_array().unwrap().len()), (&json!("list"), 2));
    assert!(body["model"].as_str().unwrap().ends_with("tiny-bert"));
    assert!(body["usage"]["prompt_tokens"].as_u64().unwrap() > 4);
    assert_eq!(body["usage"]["prompt_tokens"], body["usage"]["total_tokens"]);
    for (at, expected) in expected(&texts).iter().enumerate() {
        let item = &body["data"][at];
        assert_eq!((&item["object"], &item["index"]), (&json!("embedding"), &json!(at)));
        assert!(is_near(&floats(&item["embedding"]), expected));
        let one = json!({ "input": texts[at], "model": "tiny-bert", "encoding_format": "base64" });
        let one = served.post("/v1/embeddings", &one).ok();
        let bytes = one["data"][0]["embedding"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(bytes).unwrap();
        let (words, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty());
        assert!(is_near(&words.iter().map(|word| f32::from_le_bytes(*word)).collect::<Vec<_>>(), expected));
    }
    let models = served.get("/v1/models").ok();
    assert_eq!(models["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&models["data"][0]["object"], &models["data"][0]["owned_by"]),
        (&json!("model"), &json!("akin"))
    );
    served.get("/v1/models/tiny-bert").ok();
}

#[test]
fn openai_errors_have_its_shape() {
    let served = Served::with(3, |options| (options.limits.texts, options.limits.tokens) = (4, 90));
    let long = "word ".repeat(500);
    for (request, status, part) in [
        (json!({ "input": [], "model": "tiny-bert" }), 400, "input is empty"),
        (json!({ "input": "", "model": "tiny-bert" }), 400, "empty text"),
        (json!({ "input": [9_999_999], "model": "tiny-bert" }), 400, "token ids"),
        (json!({ "input": [["a"]], "model": "tiny-bert" }), 400, "whole number"),
        (json!({ "input": [-1], "model": "tiny-bert" }), 400, "whole number"),
        (json!({ "input": [[]], "model": "tiny-bert" }), 400, "empty list of token ids"),
        (json!({ "input": {}, "model": "tiny-bert" }), 400, "a text or a list of texts"),
        (json!({ "input": "a", "model": "ada" }), 404, "there is no model \"ada\""),
        (json!({ "input": "a", "model": "tiny-bert", "dimensions": 100_000 }), 400, "dimensions is 100000"),
        (json!({ "input": "a", "model": "tiny-bert", "dimensions": 0 }), 400, "dimensions is 0"),
        (json!({ "input": "a", "model": "tiny-bert", "encoding_format": "int4" }), 400, "int4"),
        (json!({ "input": "a", "model": "tiny-bert", "size": 3 }), 400, "unknown field `size`"),
        (json!({ "input": ["a", "b", "c", "d", "e"], "model": "tiny-bert" }), 413, "5 texts"),
        (json!({ "input": long, "model": "tiny-bert" }), 413, "tokens that the model reads"),
        (
            json!({ "input": vec!["one two three four five six seven eight nine ten eleven twelve"; 4], "model": "tiny-bert" }),
            413,
            "90 are the most",
        ),
    ] {
        let reply = served.post("/v1/embeddings", &request);
        assert_eq!(reply.status, status, "{request}: {reply:?}");
        let error = &reply.json()["error"];
        assert!(error["message"].as_str().unwrap().contains(part), "{request}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error.get("param").is_some() && error.get("code").is_some());
    }
}

#[test]
fn tei_embeds_compares_and_tokenises() {
    let served = Served::notes(3);
    let own = floats(&served.post("/embed", &json!({ "inputs": "one text", "normalize": false })).ok()[0]);
    assert!(is_near(&own, &expected(&["one text"])[0]));
    let unit = floats(&served.post("/embed", &json!({ "inputs": ["one text"] })).ok()[0]);
    let length = own.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!(is_near(&unit, &own.iter().map(|x| x / length).collect::<Vec<_>>()));
    let long = "word ".repeat(500);
    let reply = served.post("/embed", &json!({ "inputs": ["a", long] }));
    assert_eq!((reply.status, &reply.json()["error_type"]), (413, &json!("Validation")));
    let cut =
        served.post("/embed", &json!({ "inputs": ["a", long], "truncate": true, "normalize": false })).ok();
    assert_eq!(cut.as_array().unwrap().len(), 2);
    let reply = served.post("/embed", &json!({ "inputs": "a", "prompt_name": "clustering" }));
    assert_eq!((reply.status, &reply.json()["error_type"]), (422, &json!("Validation")));
    let inputs = json!({ "source_sentence": "one text", "sentences": ["one text", "two cats"] });
    let scores = floats(&served.post("/similarity", &json!({ "inputs": inputs })).ok());
    assert!((scores[0] - 1.0).abs() < 1e-5 && scores[1] < 0.9999, "{scores:?}");
    let tokens = served.post("/tokenize", &json!({ "inputs": "one text" })).ok();
    let tokens = tokens[0].as_array().unwrap();
    assert_eq!((&tokens[0]["special"], &tokens[0]["start"]), (&json!(true), &Value::Null));
    assert_eq!((&tokens[1]["start"], &tokens[tokens.len() - 2]["stop"]), (&json!(0), &json!(8)));
    let plain = served.post("/tokenize", &json!({ "inputs": "one text", "add_special_tokens": false })).ok();
    assert_eq!(plain[0].as_array().unwrap().len(), tokens.len() - 2);
    let info = served.get("/info").ok();
    assert_eq!((&info["max_client_batch_size"], &info["model_dtype"]), (&json!(2048), &json!("float32")));
}

#[test]
fn texts_are_ranked_in_every_dialect() {
    let (served, copy) = ranking();
    let documents = texts(5);
    let pairs: Vec<(&str, &str)> = documents.iter().map(|text| ("cold day", text.as_str())).collect();
    let scores = CrossEncoder::load(copy.path(), Precision::F32).unwrap().score(&pairs).unwrap();
    let mut order: Vec<usize> = (0..5).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let indexes = |results: &Value| -> Vec<usize> {
        results.as_array().unwrap().iter().map(|one| one["index"].as_u64().unwrap() as usize).collect()
    };
    let tei =
        served.post("/rerank", &json!({ "query": "cold day", "texts": documents, "return_text": true })).ok();
    assert_eq!(indexes(&tei), order);
    assert_eq!(tei[0]["text"], documents[order[0]]);
    let name = copy.path().file_name().unwrap().to_str().unwrap();
    let jina = json!({ "model": name, "query": "cold day", "documents": documents, "top_n": 2 });
    for path in ["/v1/rerank", "/v1/reranking", "/rerank"] {
        let ranked = served.post(path, &jina).ok();
        assert_eq!(indexes(&ranked["results"]), order[..2]);
        assert_eq!(ranked["results"][0]["document"]["text"], documents[order[0]]);
        assert!(ranked["usage"]["total_tokens"].as_u64().unwrap() > 20);
    }
    let objects: Vec<Value> = documents.iter().map(|text| json!({ "text": text })).collect();
    let jina = served
        .post("/v1/rerank", &json!({ "query": "cold day", "documents": objects, "return_documents": false }))
        .ok();
    assert_eq!(indexes(&jina["results"]), order);
    assert!(jina["results"][0].get("document").is_none());
    let cohere = served
        .post("/v2/rerank", &json!({ "model": name, "query": "cold day", "documents": documents }))
        .ok();
    assert_eq!(indexes(&cohere["results"]), order);
    assert!(cohere["id"].is_string() && cohere["meta"]["api_version"]["version"] == "2");
    for result in cohere["results"].as_array().unwrap() {
        assert!((0.0..=1.0).contains(&result["relevance_score"].as_f64().unwrap()));
    }
    let wrong = served.post("/v2/rerank", &json!({ "model": "other", "query": "a", "documents": ["b"] }));
    assert!(wrong.status == 404 && wrong.json()["message"].is_string(), "{wrong:?}");
    let none = served.post("/v1/rerank", &json!({ "query": "a", "documents": [] }));
    assert!(none.status == 400 && none.json()["detail"].is_string(), "{none:?}");
    let answer =
        served.post("/v1/indexes/notes/query", &json!({ "text": "cold day", "rerank": true, "k": 5 })).ok();
    let found: Vec<&str> =
        answer["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect();
    assert_eq!(found, order.iter().map(|at| format!("n/{at}")).collect::<Vec<_>>());
    served.post("/v1/indexes/notes/query", &json!({ "text": "a", "rerank": "other" })).refused(404);
}

#[test]
fn ollama_embeds() {
    let served = Served::notes(3);
    for name in ["tiny-bert", "tiny-bert:latest"] {
        let request = json!({ "model": name, "input": ["one text"], "keep_alive": "5m", "options": {} });
        let body = served.post("/api/embed", &request).ok();
        assert_eq!(body["model"], name);
        assert!(is_near(&floats(&body["embeddings"][0]), &expected(&["one text"])[0]));
        assert!(
            body["prompt_eval_count"].as_u64().unwrap() > 2 && body["total_duration"].as_u64().unwrap() > 0
        );
    }
    let long = served.post(
        "/api/embed",
        &json!({ "model": "tiny-bert", "input": "word ".repeat(500), "truncate": false }),
    );
    assert!(long.status == 413 && long.json()["error"].is_string(), "{long:?}");
}

#[test]
fn a_vector_store_is_searched() {
    let served = Served::notes(30);
    let search = |request: Value| served.post("/v1/vector_stores/notes/search", &request);
    let text = &texts(30)[7];
    let page = search(json!({ "query": text, "max_num_results": 4, "rewrite_query": true })).ok();
    assert_eq!(page["object"], "vector_store.search_results.page");
    assert_eq!((&page["search_query"], &page["has_more"]), (&json!([text]), &json!(false)));
    let first = &page["data"][0];
    assert_eq!(
        (&first["file_id"], &first["content"]),
        (&json!("n/7"), &json!([{ "type": "text", "text": text }]))
    );
    assert_eq!(first["attributes"], json!({ "n": 7, "color": "green" }));
    let filters = json!({ "type": "and", "filters": [
        { "type": "lt", "key": "n", "value": 10 }, { "type": "eq", "key": "color", "value": "red" },
    ] });
    let filtered = search(json!({ "query": [text, &texts(30)[4]], "filters": filters })).ok();
    assert_eq!(
        (filtered["data"].as_array().unwrap().len(), &filtered["data"][0]["file_id"]),
        (5, &json!("n/4"))
    );
    let refused = search(json!({ "query": text, "max_num_results": 51 }));
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("max_num_results")));
    assert_eq!(served.post("/v1/vector_stores/other/search", &json!({ "query": "a" })).status, 404);
}

//! An agent's side of the protocol at `/mcp`.

use serde_json::{Value, json};

use super::{Reply, Served};

/// Sends a message as it is, in a version of the protocol.
#[track_caller]
pub fn send(served: &Served, version: &str, key: Option<&str>, message: &Value) -> Reply {
    let bearer = key.map(|key| format!("Bearer {key}")).unwrap_or_default();
    let mut headers = vec![
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", version),
    ];
    headers.extend(key.map(|_| ("Authorization", bearer.as_str())));
    served.send("POST", "/mcp", &headers, &message.to_string())
}

#[track_caller]
pub fn ask(served: &Served, method: &str, params: Value) -> Value {
    ask_with(served, None, method, params)
}

/// The same with a key.
#[track_caller]
pub fn ask_with(served: &Served, key: Option<&str>, method: &str, params: Value) -> Value {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = send(served, "2025-11-25", key, &message).ok();
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(1)));
    answer
}

#[track_caller]
pub fn call(served: &Served, tool: &str, arguments: Value) -> Value {
    ask(served, "tools/call", json!({ "name": tool, "arguments": arguments }))["result"].clone()
}

/// The names of the tools that a key shows.
#[track_caller]
pub fn tools(served: &Served, key: Option<&str>) -> Vec<Value> {
    ask_with(served, key, "tools/list", json!({}))["result"]["tools"].as_array().unwrap().clone()
}

/// What a tool gave: once structured, and the same as text.
#[track_caller]
pub fn given(result: &Value) -> Value {
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(result["content"].as_array().unwrap().len(), 1);
    let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, result["structuredContent"]);
    text
}

#[track_caller]
pub fn refused(result: &Value) -> &str {
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap()
}

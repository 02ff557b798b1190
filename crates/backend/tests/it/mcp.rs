//! The MCP endpoint, message by message.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Persona, TestApp, Variables};

mod access;
mod protocol;
mod sign_in;
mod tools;

/// The public URL of the tests, with which tokens are bound.
const ORIGIN: &str = "http://127.0.0.1:8000";

const HEADERS: [(&str, &str); 2] =
    [("host", "127.0.0.1:8000"), ("accept", "application/json, text/event-stream")];

async fn start() -> TestApp {
    start_with(&[]).await
}

async fn start_with(variables: Variables<'_>) -> TestApp {
    TestApp::with(&[&[("MCP", "true")], variables].concat()).await
}

impl Persona {
    /// Sends a message of the protocol before 2026-07-28.
    async fn rpc(&self, method: &str, params: Value) -> Answer {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send(Method::POST, "/mcp", &HEADERS, Some(message)).await
    }

    /// Calls a tool and returns its result.
    #[track_caller]
    fn call(&self, tool: &str, arguments: Value) -> impl Future<Output = Value> {
        let (persona, params) = (self.clone(), json!({"name": tool, "arguments": arguments}));
        async move {
            let answer = persona.rpc("tools/call", params).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            answer.json()["result"].clone()
        }
    }

    /// Calls a tool that succeeds, and returns what it returns.
    async fn tool(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), result["structuredContent"]);
        result["structuredContent"].clone()
    }

    /// Calls a tool that fails, and returns the problem document.
    async fn problem(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        assert!(result.get("structuredContent").is_none(), "{result}");
        serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap()
    }
}

//! Tools for agents by the Model Context Protocol, on stdin and stdout or at `/mcp` of the server.
//!
//! `search` and `fetch` have the form that ChatGPT's connectors ask for; other agents use them as well. What a tool says
//! and takes is in `tools`, what it does in `calls`; `resources` shows documents by their addresses.

mod calls;
mod resources;
mod tools;

use std::sync::Arc;

use axum::http::request::Parts;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::{ErrorData, ServerHandler, ServiceExt};

use crate::app::App;
use crate::error::StartError;
use crate::keys::Scope;
use crate::options::ServerOptions;
use crate::origin::Origins;

/// The tools, for any number of clients.
#[derive(Clone)]
pub struct Tools {
    app: Arc<App>,
}

impl Tools {
    /// Whether who asks may change documents: over HTTP a key has to allow it.
    fn may_write(&self, context: &RequestContext<RoleServer>) -> bool {
        let by_key = match context.extensions.get::<Parts>() {
            Some(request) => request.extensions.get::<Scope>().is_some_and(|scope| *scope >= Scope::Write),
            // Whoever started the process.
            None => true,
        };
        by_key && self.app.indexes().iter().any(|index| index.writer().is_ok())
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let mut info =
            ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_resources().build());
        info.server_info = Implementation::new("akin", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(tools::instructions(&self.app));
        info
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all(self.may_write(&context))))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        resources::list(&self.app, request.and_then(|request| request.cursor)).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates(&self.app))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&self.app, request.uri).await.map(ReadResourceResponse::from)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let may_write = self.may_write(&context);
        let called = match request.name.as_ref() {
            "search" => calls::search(&self.app, arguments).await,
            "fetch" => calls::fetch(&self.app, arguments).await,
            "status" => calls::status(&self.app, arguments).await,
            "store" if may_write => calls::store(&self.app, arguments).await,
            "delete" if may_write => calls::delete(&self.app, arguments).await,
            _ => {
                let there = format!("there is no such tool: there are {}", tools::names(may_write));
                return Err(ErrorData::invalid_params(there, None));
            }
        };
        Ok(match called {
            Ok(value) => CallToolResult::structured(value),
            // An error of a tool, which the model reads and can act on.
            Err(error) => CallToolResult::error(vec![ContentBlock::text(error.message)]),
        }
        .into())
    }
}

/// The tools over HTTP: every request by itself, each answer one JSON. The guard has checked host, origin and key.
pub fn over_http(app: &Arc<App>) -> StreamableHttpService<Tools, NeverSessionManager> {
    let tools = Tools { app: Arc::clone(app) };
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(app.limits.body)
        .disable_allowed_hosts()
        .disable_allowed_origins();
    StreamableHttpService::new(move || Ok(tools.clone()), Arc::default(), config)
}

/// Serves the tools on stdin and stdout until stdin ends.
///
/// # Errors
/// [`StartError`] with what cannot be served, and why.
pub fn serve_stdio(options: &ServerOptions) -> Result<(), StartError> {
    let origins = Origins::new(options.listen, &options.hosts, &options.origins);
    let app = Arc::new(App::open(options, origins)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("akin-mcp")
        .enable_all()
        .build()
        .map_err(StartError::Threads)?;
    let served = runtime.block_on(async {
        match (Tools { app }).serve(rmcp::transport::stdio()).await {
            Ok(running) => running.waiting().await.map(drop).map_err(std::io::Error::other),
            // A client that goes away before it says anything has nothing to be told.
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(error) => Err(std::io::Error::other(error)),
        }
    });
    // A thread that reads stdin cannot be woken.
    runtime.shutdown_background();
    served.map_err(StartError::Protocol)
}

//! `/healthz`, `/readyz` and `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

/// Set once every watch has its first full list.
#[derive(Clone, Debug, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    /// From now on `/readyz` answers 200.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where to listen, and the flag that says so, for the error text.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// Address and port.
    pub address: SocketAddr,
    /// The flag.
    pub flag: &'static str,
}

impl Bind {
    async fn listen(self) -> anyhow::Result<TcpListener> {
        let Self { address, flag } = self;
        TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address} ({flag})"))
    }
}

/// Routes `/healthz` (200 while the process runs) and `/readyz` (200 once `ready` is set, else 503).
pub fn probes(ready: Ready) -> Router {
    let readyz = move || {
        let answer = if ready.get() {
            (StatusCode::OK, "ok\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "watches not synced\n")
        };
        async move { answer }
    };
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(readyz))
}

/// Routes `/metrics`: `registry` in OpenMetrics text form.
pub fn metrics(registry: Arc<Registry>) -> Router {
    let encode = move || {
        let mut text = String::new();
        let answer = match prometheus_client::encoding::text::encode(&mut text, &registry) {
            Ok(()) => Ok(([("content-type", OPENMETRICS)], text)),
            Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        };
        async move { answer }
    };
    Router::new().route("/metrics", get(encode))
}

/// Serves `app` on `bind` for ever.
///
/// # Errors
/// The address cannot be bound; the text names the flag.
pub async fn serve(bind: Bind, app: Router) -> anyhow::Result<()> {
    axum::serve(bind.listen().await?, app).await?;
    Ok(())
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

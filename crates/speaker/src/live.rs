//! Pages about the live state, for `keryx explain`, and what `keryx rebalance` asks for.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use keryx_api::layer2;
use tokio::sync::{mpsc, oneshot};

use crate::drivers::layer2::Request;

/// An answer, or that the driver has ended.
type Answer = Result<String, StatusCode>;

/// Routes to the layer 2 driver.
pub(crate) fn layer2(requests: mpsc::Sender<Request>) -> Router {
    let rebalance_requests = requests.clone();
    let state = move || {
        let requests = requests.clone();
        async move {
            let state = ask(&requests, Request::State).await?;
            serde_json::to_string(&state).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
        }
    };
    let rebalance = move || {
        let requests = rebalance_requests.clone();
        async move { Answer::Ok(ask(&requests, Request::Rebalance).await?.to_string()) }
    };
    Router::new().route(layer2::PATH, get(state)).route(layer2::REBALANCE_PATH, post(rebalance))
}

async fn ask<T>(
    requests: &mpsc::Sender<Request>,
    request: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Result<T, StatusCode> {
    let (reply, answer) = oneshot::channel();
    requests.send(request(reply)).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    answer.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

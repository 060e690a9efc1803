//! `/tasks/*`: what is sent, and what became of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use quintette::json::RawJson;
use quintette_tasks::results::State as TaskState;
use quintette_tasks::{App, AsyncResult, OutcomeError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::described::Described;

/// A client, and the results of the groups that it sent: a store knows a group by its tasks alone.
#[derive(Clone)]
pub(crate) struct Sender {
    app: App,
    groups: Arc<Mutex<HashMap<String, AsyncResult>>>,
}

type Rejection = (StatusCode, Json<Value>);

pub(crate) fn routes(app: App) -> Router {
    let sender = Sender {
        app,
        groups: Arc::default(),
    };
    Router::new()
        .route("/tasks/send", post(send))
        .route("/tasks/canvas", post(send))
        .route("/tasks/result/{id}", get(result))
        .with_state(sender)
}

#[derive(Serialize)]
struct Sent {
    id: String,
}

/// A task and a canvas alike.
async fn send(State(sender): State<Sender>, body: Bytes) -> Result<Json<Sent>, Rejection> {
    let described: Described =
        serde_json::from_slice(&body).map_err(|error| reject(&error.to_string()))?;
    let signature = described.signature().map_err(|error| reject(&error))?;
    let sent = sender.app.send(&signature).await.map_err(|error| {
        let problem = json!({ "error": error.to_string() });
        (StatusCode::INTERNAL_SERVER_ERROR, Json(problem))
    })?;
    let id = sent.id().to_owned();
    if sent.group::<RawJson>().is_some() {
        let mut groups = sender.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.insert(id.clone(), sent);
    }
    Ok(Json(Sent { id }))
}

#[derive(Serialize)]
struct Outcome {
    state: String,
    result: RawJson,
}

async fn result(
    State(sender): State<Sender>,
    Path(id): Path<String>,
) -> Result<Json<Outcome>, Rejection> {
    let group = {
        let groups = sender.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.get(&id).cloned()
    };
    let sent = group.unwrap_or_else(|| AsyncResult::new(&sender.app, id));
    outcome(&sent).await.map(Json).map_err(|error| {
        let problem = json!({ "error": error.to_string() });
        (StatusCode::SERVICE_UNAVAILABLE, Json(problem))
    })
}

async fn outcome(sent: &AsyncResult) -> Result<Outcome, OutcomeError> {
    let state = sent.state().await?;
    let result = match state {
        TaskState::Success | TaskState::Failure | TaskState::Revoked => {
            match sent.get(Some(Duration::from_secs(5))).await {
                Ok(value) => value,
                Err(OutcomeError::Failed(exception)) => exception.to_json(),
                Err(error) => return Err(error),
            }
        }
        _ => RawJson::from_value(&()).unwrap_or_else(|_| RawJson::from("")),
    };
    let state = match state {
        // One that only the application knows, by the name that it has there.
        TaskState::Custom => sent.meta().await?.map(|meta| meta.status_name().to_owned()),
        _ => None,
    }
    .unwrap_or_else(|| state.name().to_owned());
    Ok(Outcome { state, result })
}

fn reject(error: &str) -> Rejection {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error })))
}

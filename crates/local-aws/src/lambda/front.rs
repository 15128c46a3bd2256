//! The Invoke API, for AWS's own clients.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    response::{IntoResponse as _, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Function, Functions, lock};

/// The most that a request may carry ("Lambda quotas"): 6 MB synchronously, 1 MB asynchronously.
const MAX_SYNCHRONOUS: usize = 6 * 1024 * 1024;
const MAX_ASYNCHRONOUS: usize = 1024 * 1024;

pub(super) fn router(functions: Functions) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .layer(DefaultBodyLimit::disable())
        .with_state(functions)
}

async fn invoke(
    State(functions): State<Functions>,
    Path(name): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response {
    // A name, an ARN or part of one, each with or without a version behind.
    let plain = name
        .split(':')
        .skip_while(|part| *part != "function")
        .nth(1);
    let plain = plain.unwrap_or_else(|| name.split(':').next().unwrap_or_default());
    let Some(function) = lock(&functions).get(plain).map(Arc::clone) else {
        let message = format!("Function not found: {}", super::environment::arn(plain));
        return refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
    };
    let kind = headers
        .get("X-Amz-Invocation-Type")
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("RequestResponse");
    let limit = if kind == "Event" {
        MAX_ASYNCHRONOUS
    } else {
        MAX_SYNCHRONOUS
    };
    if payload.len() > limit {
        let message =
            format!("Request must be smaller than {limit} bytes for the InvokeFunction operation");
        return refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestTooLargeException",
            &message,
        );
    }
    let payload = if payload.is_empty() {
        Bytes::from_static(b"{}")
    } else {
        payload
    };
    if let Err(error) = serde_json::from_slice::<Value>(&payload) {
        let message = format!("Could not parse request body into json: {error}");
        return refused(
            StatusCode::BAD_REQUEST,
            "InvalidRequestContentException",
            &message,
        );
    }
    match kind {
        "Event" => {
            function.invoke_event(payload);
            StatusCode::ACCEPTED.into_response()
        }
        "DryRun" => StatusCode::NO_CONTENT.into_response(),
        "RequestResponse" => synchronous(&function, payload).await,
        other => {
            let message = format!("{other:?} is no invocation type");
            refused(
                StatusCode::BAD_REQUEST,
                "InvalidParameterValueException",
                &message,
            )
        }
    }
}

async fn synchronous(function: &Function, payload: Bytes) -> Response {
    let version = ("X-Amz-Executed-Version", "$LATEST".to_owned());
    match function.invoke(payload).await {
        Ok(outcome) => {
            let id = ("x-amzn-RequestId", outcome.request_id.clone());
            match outcome.result {
                Ok(answer) => ([version, id], answer).into_response(),
                Err(error) => {
                    let function_error = ("X-Amz-Function-Error", "Unhandled".to_owned());
                    ([version, id, function_error], Json(error.payload())).into_response()
                }
            }
        }
        Err(error) => refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ServiceException",
            &format!("{error:#}"),
        ),
    }
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    let body = Json(json!({ "Type": "User", "Message": message, "message": message }));
    (status, [("x-amzn-ErrorType", code.to_owned())], body).into_response()
}

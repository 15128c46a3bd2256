//! CloudFront's API, as far as invalidations go, over edges that obey it: moto completes invalidations at
//! once, clears nothing, and accepts what CloudFront refuses.
//!
//! Sources: "Amazon CloudFront API Reference", version 2020-05-31; "Invalidate files to remove content"
//! and "Quotas on invalidations" in the Developer Guide; what is documented nowhere, where it says so.

mod account;
mod batch;
mod distribution;
mod operation;
mod refusal;
#[cfg(test)]
mod tests;
mod xml;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use uuid::Uuid;

use crate::server::Server;
use account::{Account, Calls};
pub use account::{Invalidation, Status};
pub use distribution::Distribution;
use operation::{Answer, Operation};
use refusal::Refusal;

/// Three thousand paths of four thousand characters, each of which may have to be escaped.
const MAX_BODY: usize = 64 << 20;

/// A running endpoint, of one account.
#[derive(Debug)]
pub struct CloudFront {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    account: Mutex<Account>,
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    faults: VecDeque<Fault>,
    requests: Vec<Request>,
}

#[derive(Debug)]
struct Fault {
    /// Which operation it happens to; any if unset.
    operation: Option<&'static str>,
    /// Whether what was asked for is done nevertheless.
    done: bool,
    refusal: Refusal,
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The operation, such as `CreateInvalidation`.
    pub operation: &'static str,
    /// The distribution that it names.
    pub distribution: Option<String>,
    /// The items of `CreateInvalidation`.
    pub items: Vec<String>,
    /// The caller reference of `CreateInvalidation`.
    pub reference: Option<String>,
    /// Whether it made a new invalidation.
    pub made: bool,
    /// The status of the answer.
    pub status: u16,
    /// The code of the error that was answered.
    pub code: Option<String>,
}

/// What becomes of a caller reference that was used before for the same distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// With the same items the first invalidation again, as is documented. With others `InvalidArgument`, as is observed.
    #[default]
    First,
    /// As is documented: with the same items the first invalidation again, with others `InvalidationBatchAlreadyExists`.
    Documented,
    /// As is observed: `InvalidArgument` in either case (aws-cdk issue 3878).
    Observed,
}

impl CloudFront {
    /// Starts one without distributions. Invalidations take five seconds, as most do since 2026.
    pub async fn start() -> anyhow::Result<Self> {
        let shared = Arc::<Shared>::default();
        let app = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(&shared));
        Ok(Self {
            server: Server::start(app).await?,
            shared,
        })
    }

    /// Its endpoint, for `AWS_ENDPOINT_URL_CLOUDFRONT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Adds a distribution, or replaces the one of the same id, invalidations and all.
    pub fn add(&self, distribution: Distribution) {
        self.shared.account().add(distribution);
    }

    /// Removes a distribution.
    pub fn remove(&self, id: &str) {
        self.shared.account().remove(id);
    }

    /// How long invalidations take that are created from now on. None at all: they are done before the answer.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.account().delay = delay;
    }

    /// Has no page of a list have more entries than this.
    pub fn set_page(&self, most: usize) {
        self.shared.account().page = Some(most);
    }

    /// What becomes of a caller reference that was used before.
    pub fn set_duplicates(&self, duplicates: Duplicates) {
        self.shared.account().duplicates = duplicates;
    }

    /// Has the account call `CreateInvalidation` every two seconds only, six times more at first: undocumented, and
    /// observed in aws-sdk-js issue 3983.
    pub fn limit_calls(&self) {
        self.shared.account().calls = Some(Calls::new());
    }

    /// Has the next request, whatever it is, be answered with this error and not be done.
    pub fn fail_next(&self, status: u16, code: &str, message: &str) {
        self.fail(None, false, Refusal::new(status, code, message));
    }

    /// The same for the next request of an operation, such as `CreateInvalidation`.
    pub fn fail_next_of(&self, operation: &'static str, status: u16, code: &str, message: &str) {
        self.fail(Some(operation), false, Refusal::new(status, code, message));
    }

    /// Has the next request of an operation be done, and yet be answered with this error.
    pub fn fail_after_next_of(
        &self,
        operation: &'static str,
        status: u16,
        code: &str,
        message: &str,
    ) {
        self.fail(Some(operation), true, Refusal::new(status, code, message));
    }

    fn fail(&self, operation: Option<&'static str>, done: bool, refusal: Refusal) {
        self.shared.asked().faults.push_back(Fault {
            operation,
            done,
            refusal,
        });
    }

    /// What it was asked since it started or since [`Self::take_requests`] was last called.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.asked().requests.clone()
    }

    /// The same, which is forgotten thereby.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.asked().requests)
    }

    /// The invalidations of a distribution, oldest first; none if there is no such distribution.
    #[must_use]
    pub fn invalidations(&self, distribution: &str) -> Vec<Invalidation> {
        self.shared.account().invalidations(distribution)
    }

    /// How many items new invalidations had so far: what AWS bills beyond a thousand a month.
    #[must_use]
    pub fn billed(&self) -> usize {
        self.shared.account().billed
    }

    /// Adds an invalidation that was completed an hour ago. It clears nothing, and is not billed. Fails if there is no
    /// such distribution.
    pub fn seed_completed(
        &self,
        distribution: &str,
        invalidation: &str,
        items: &[&str],
    ) -> anyhow::Result<()> {
        let mut account = self.shared.account();
        account.seed_completed(distribution, invalidation, items)
    }
}

impl Shared {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that happens to this request, if any.
    fn fault(&self, operation: &str) -> Option<Fault> {
        let faults = &mut self.asked().faults;
        let at = faults
            .iter()
            .position(|fault| fault.operation.is_none_or(|of| of == operation))?;
        faults.remove(at)
    }

    /// Has the edges forget what an invalidation covers, and says afterwards that it is completed.
    fn complete(&self, distribution: &str, invalidation: &str) {
        let Some((items, edges)) = self.account().to_clear(distribution, invalidation) else {
            return;
        };
        let cleared = edges.iter().map(|edge| edge.invalidate(&items)).sum();
        self.account()
            .completed(distribution, invalidation, cleared);
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let operation = Operation::of(&method, &uri);
    let mut request = Request {
        operation: operation.name(),
        distribution: operation.distribution().map(str::to_owned),
        items: Vec::new(),
        reference: None,
        made: false,
        status: 0,
        code: None,
    };
    let answer = signed(&headers).and_then(|()| {
        let fault = shared.fault(operation.name());
        match fault {
            Some(fault) if !fault.done => {
                operation.note(&body, &mut request);
                Err(fault.refusal)
            }
            Some(fault) => {
                operation.perform(&shared, &body, &mut request)?;
                Err(fault.refusal)
            }
            None => operation.perform(&shared, &body, &mut request),
        }
    });
    let answer = answer.unwrap_or_else(|refusal| {
        request.code = Some(refusal.code.clone());
        refusal.into()
    });
    request.status = answer.status;
    shared.asked().requests.push(request);
    answer.into_response()
}

/// Signatures themselves are not verified, only that there is one for this service.
fn signed(headers: &HeaderMap) -> Result<(), Refusal> {
    let signature = headers.get(header::AUTHORIZATION);
    let Some(signature) = signature.and_then(|signature| signature.to_str().ok()) else {
        return Err(Refusal::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ));
    };
    if !signature.contains("/cloudfront/aws4_request") {
        return Err(Refusal::new(
            403,
            "SignatureDoesNotMatch",
            "Credential should be scoped to correct service: 'cloudfront'.",
        ));
    }
    Ok(())
}

impl Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [
            (header::CONTENT_TYPE.as_str(), "text/xml".to_owned()),
            ("x-amzn-requestid", Uuid::new_v4().to_string()),
        ];
        let mut response = (status, headers, self.xml).into_response();
        if let Some((name, value)) = self.header
            && let Ok(value) = value.parse()
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

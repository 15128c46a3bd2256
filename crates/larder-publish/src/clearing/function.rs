//! By cdn-invalidator: `Invoke` of Lambda, and nothing else of it.
//!
//! Format: "AWS Lambda API Reference", `Invoke`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
};
use aws_types::SdkConfig;
use cdn::SETTLED;
use larder_lambda::{Call, NotSet, Refused, event::bounded, post};
use serde_json::{Value, json};

use super::{Answer, Order};

/// A cold start, the look-up of a distribution, and `CloudFront` at a peak; waiting comes on top.
const WORK: Duration = Duration::from_mins(1);
/// How much of a function's words is told.
const SHOWN: usize = 500;

/// The function, and the domain that it is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    name: String,
    domain: String,
    wildcards: usize,
    invoke: Option<Operation<Asked, Answered, Refused>>,
}

/// A request: of which function, with which event.
#[derive(Clone, Debug)]
struct Asked(String, String);

/// The function's own answer, or its error.
#[derive(Clone, Debug, PartialEq)]
struct Answered {
    is_error: bool,
    payload: Value,
}

impl Function {
    /// With the credentials and the endpoint of `config`, for orders that wait for so long. Connects to nothing yet.
    pub(crate) fn new(
        config: &SdkConfig,
        (name, domain, wildcards): (&str, &str, usize),
        wait: Duration,
    ) -> Result<Self, NotSet> {
        let region = config.region().ok_or(NotSet("AWS_REGION"))?;
        let invoke = Call {
            service: "Lambda",
            host: "lambda",
            operation: "Invoke",
            attempt: WORK + wait,
            // The same order twice is one invalidation.
            all: (WORK + wait) * 2,
        };
        let invoke = invoke.operation((config, region.as_ref()), request, answer)?;
        Ok(Self {
            invoke: Some(invoke),
            ..Self::of(name, domain, wildcards)
        })
    }

    /// One that cannot be reached.
    pub(super) fn of(name: &str, domain: &str, wildcards: usize) -> Self {
        Self {
            name: name.to_owned(),
            domain: domain.to_owned(),
            wildcards,
            invoke: None,
        }
    }

    pub(super) fn wildcards(&self) -> usize {
        self.wildcards
    }

    pub(super) async fn clear(&self, order: &Order<'_>) -> anyhow::Result<Answer> {
        let name = &self.name;
        let paths = order
            .planned(self.wildcards)
            .context("too much has changed")?;
        let mut event = json!({ "domain": self.domain, "paths": paths, "version": order.content });
        if let (Value::Object(event), false) = (&mut event, order.wait.is_zero()) {
            event.insert("wait".to_owned(), json!(true));
        }
        let invoke = self.invoke.as_ref().context("it cannot be reached")?;
        // So that nothing is cleared again, and billed again, when the bucket's events reach the function.
        if order.is_new {
            tokio::time::sleep(SETTLED).await;
        }
        let answered = invoke.invoke(Asked(name.clone(), event.to_string())).await;
        let Answered { is_error, payload } =
            answered.with_context(|| format!("the function {name} cannot be invoked"))?;
        if is_error {
            bail!("the function {name} failed: {}", message(&payload));
        }
        let answer = serde_json::from_value(payload);
        answer
            .with_context(|| format!("the answer of the function {name} is none of an invalidator"))
    }
}

/// What a function says of its failure.
fn message(payload: &Value) -> String {
    let field = |name: &str| payload.get(name).and_then(Value::as_str);
    let told = match (field("errorType"), field("errorMessage")) {
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "it does not say why".to_owned(),
    };
    bounded(told, SHOWN)
}

fn request(Asked(name, event): Asked) -> Result<HttpRequest, BoxError> {
    // Of what a name or an ARN may have, only the colon and the dollar of a version mean something else in a path.
    let name = name.replace(':', "%3A").replace('$', "%24");
    let path = format!("/2015-03-31/functions/{name}/invocations");
    post(&path, &[("content-type", "application/json")], event)
}

fn answer(response: &HttpResponse) -> Result<Answered, OrchestratorError<Refused>> {
    let bytes = response.body().bytes().unwrap_or_default();
    let payload: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let headers = response.headers();
    if response.status().is_success() {
        let is_error = headers.get("x-amz-function-error").is_some();
        return Ok(Answered { is_error, payload });
    }
    let code = headers.get("x-amzn-errortype").unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default();
    let field = |name: &str| payload.get(name).and_then(Value::as_str);
    let message = field("Message").or_else(|| field("message"));
    let message = bounded(message.unwrap_or_default(), SHOWN);
    Err(Refused::of(response, (code.to_owned(), message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_one_part_of_the_path() {
        let asked = Asked(
            "arn:aws:lambda:us-east-1:1:function:f:$LATEST".to_owned(),
            "{}".to_owned(),
        );
        let request = request(asked).unwrap();
        assert_eq!(
            request.uri(),
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Af%3A%24LATEST/invocations"
        );
    }

    #[test]
    fn a_failure_is_told_in_its_own_words() {
        let payload =
            json!({ "errorType": "BadRequest", "errorMessage": "field `paths` is missing" });
        assert_eq!(message(&payload), "BadRequest: field `paths` is missing");
        assert_eq!(message(&json!("x")), "it does not say why");
    }
}

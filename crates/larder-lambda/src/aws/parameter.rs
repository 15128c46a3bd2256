//! Secrets in AWS Systems Manager: `GetParameter`, and nothing else of it.
//!
//! Format: "AWS Systems Manager API Reference", `GetParameter`, over the awsJson 1.1 protocol.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
    },
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::call::{Call, NotSet, Refused, post};

/// A parameter is small, and whoever waits for it waits for more.
const GET_PARAMETER: Call = Call {
    service: "SSM",
    host: "ssm",
    operation: "GetParameter",
    attempt: Duration::from_secs(3),
    all: Duration::from_secs(8),
};

/// A client of the parameter store.
#[derive(Clone, Debug)]
pub struct Parameters {
    get: Operation<String, Value, Refused>,
}

/// A parameter could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// There is none of this name.
    #[error("there is no parameter {0} in this Region: put it there, as a SecureString")]
    Missing(String),
    /// The call failed.
    #[error("the parameter {name} cannot be read")]
    Call {
        /// Which one.
        name: String,
        /// Why.
        source: Box<SdkError<Refused, HttpResponse>>,
    },
}

/// A parameter's value, which may be a secret.
#[derive(Debug)]
struct Value(SecretString);

impl Parameters {
    /// In the Region of `config`, with its credentials. Connects to nothing yet.
    pub fn new(config: &SdkConfig) -> Result<Self, NotSet> {
        let region = config.region().ok_or(NotSet("AWS_REGION"))?;
        let get = GET_PARAMETER.operation((config, region.as_ref()), request, answer)?;
        Ok(Self { get })
    }

    /// The value of the parameter `name`, decrypted.
    pub async fn get(&self, name: &str) -> Result<SecretString, ParameterError> {
        let asked = json!({ "Name": name, "WithDecryption": true });
        let got = self.get.invoke(asked.to_string()).await;
        got.map(|value| value.0).map_err(|error| {
            let code = error.as_service_error().and_then(|refused| refused.code());
            match code {
                Some("ParameterNotFound") => ParameterError::Missing(name.to_owned()),
                _ => ParameterError::Call {
                    name: name.to_owned(),
                    source: Box::new(error),
                },
            }
        })
    }
}

fn request(body: String) -> Result<HttpRequest, BoxError> {
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "AmazonSSM.GetParameter"),
    ];
    post("/", &headers, body)
}

fn answer(response: &HttpResponse) -> Result<Value, OrchestratorError<Refused>> {
    let bytes = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return parse(bytes).map_err(|error| {
            // serde_json's own words may quote what it read.
            let at = format!("line {} column {}", error.line(), error.column());
            OrchestratorError::other(format!("the answer of GetParameter is none: {at}"))
        });
    }
    Err(Refused::of_json(response))
}

fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        parameter: Parameter,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Parameter {
        value: String,
    }
    let answer: Answer = serde_json::from_slice(bytes)?;
    Ok(Value(answer.parameter.value.into()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_value_is_read_and_never_shown() {
        let value = parse(
            br#"{"Parameter":{"Name":"/a","Type":"SecureString","Value":"hunter2","Version":1}}"#,
        )
        .unwrap();
        assert_eq!(value.0.expose_secret(), "hunter2");
        assert!(!format!("{value:?}").contains("hunter2"));
    }
}

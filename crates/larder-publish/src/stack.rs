//! What a stack puts out, such as its bucket's name: `DescribeStacks`, and nothing else of CloudFormation.
//!
//! Format: "AWS `CloudFormation` API Reference", version 2010-05-15.

use std::{collections::BTreeMap, time::Duration};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
    },
};
use aws_types::SdkConfig;
use larder_lambda::{Call, NotSet, Refused, post};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

const VERSION: &str = "2010-05-15";
/// No stack has an answer that is longer: of parameters, tags and outputs there are a few hundred at most.
const MAX_ANSWER: usize = 4 << 20;

const DESCRIBE_STACKS: Call = Call {
    service: "CloudFormation",
    host: "cloudformation",
    operation: "DescribeStacks",
    attempt: Duration::from_secs(10),
    all: Duration::from_secs(40),
};

/// What a stack puts out could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StackError {
    #[error(transparent)]
    NotSet(#[from] NotSet),
    #[error("the stack {0} cannot be described")]
    Call(String, #[source] Box<SdkError<Refused, HttpResponse>>),
    #[error("the stack {stack} has no output {output}: {there_are}. Name one by --output")]
    NoOutput {
        stack: String,
        output: String,
        there_are: String,
    },
}

type Outputs = BTreeMap<String, String>;

/// The value of an output.
pub(crate) async fn output(
    config: &SdkConfig,
    stack: &str,
    output: &str,
) -> Result<String, StackError> {
    let region = config.region().ok_or(NotSet("AWS_REGION"))?;
    let describe = DESCRIBE_STACKS.operation((config, region.as_ref()), request, answer)?;
    let outputs = describe.invoke(stack.to_owned()).await;
    let outputs = outputs.map_err(|error| StackError::Call(stack.to_owned(), Box::new(error)))?;
    picked(outputs, stack, output)
}

fn picked(mut outputs: Outputs, stack: &str, output: &str) -> Result<String, StackError> {
    if let Some(value) = outputs.remove(output) {
        return Ok(value);
    }
    let names: Vec<_> = outputs.into_keys().collect();
    Err(StackError::NoOutput {
        stack: stack.to_owned(),
        output: output.to_owned(),
        there_are: if names.is_empty() {
            "there are none at all".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        },
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "this is how an operation gives it"
)]
fn request(stack: String) -> Result<HttpRequest, BoxError> {
    let form = Serializer::new(String::new())
        .append_pair("Action", "DescribeStacks")
        .append_pair("Version", VERSION)
        .append_pair("StackName", &stack)
        .finish();
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    post("/", &[("content-type", kind)], form)
}

fn answer(response: &HttpResponse) -> Result<Outputs, OrchestratorError<Refused>> {
    let bytes = response.body().bytes().unwrap_or_default();
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= MAX_ANSWER)
        .unwrap_or_default();
    if response.status().is_success() {
        return parse(text).map_err(OrchestratorError::other);
    }
    let Named { code, message } = refusal(text).unwrap_or_default();
    Err(Refused::of(response, (code, message)))
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "DescribeStacksResult")]
    result: DescribeStacks,
}

#[derive(Deserialize)]
struct DescribeStacks {
    #[serde(rename = "Stacks")]
    stacks: Members<Stack>,
}

#[derive(Deserialize)]
struct Stack {
    #[serde(rename = "Outputs", default)]
    outputs: Members<Output>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "OutputKey")]
    key: String,
    #[serde(rename = "OutputValue")]
    value: String,
}

#[derive(Deserialize)]
struct Members<T> {
    #[serde(default = "Vec::new")]
    member: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { member: Vec::new() }
    }
}

fn parse(text: &str) -> Result<Outputs, quick_xml::DeError> {
    let answer: Answer = quick_xml::de::from_str(text)?;
    let stacks = answer.result.stacks.member.into_iter();
    let outputs = stacks.flat_map(|stack| stack.outputs.member);
    Ok(outputs.map(|output| (output.key, output.value)).collect())
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "Error")]
    error: Named,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Named {
    code: String,
    message: String,
}

fn refusal(text: &str) -> Option<Named> {
    let refusal: Refusal = quick_xml::de::from_str(text).ok()?;
    Some(refusal.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the API reference's example has it, shortened.
    const ANSWER: &str = r#"<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks>
        <member><StackId>arn:aws:cloudformation:us-east-1:1:stack/larder/2</StackId><StackName>larder</StackName>
        <Parameters><member><ParameterKey>A</ParameterKey><ParameterValue>b</ParameterValue></member></Parameters>
        <Outputs><member><OutputKey>ReleasesBucketName</OutputKey><OutputValue>releases-1</OutputValue><Description>a &amp; b</Description></member>
        <member><OutputKey>Url</OutputKey><OutputValue>https://x</OutputValue></member></Outputs></member>
        </Stacks></DescribeStacksResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DescribeStacksResponse>"#;

    #[test]
    fn an_output_is_found_or_those_that_there_are_are_named() {
        let of = |output| picked(parse(ANSWER).unwrap(), "larder", output);
        assert_eq!(of("ReleasesBucketName").unwrap(), "releases-1");
        assert_eq!(
            of("TemplatesBucketName").unwrap_err().to_string(),
            "the stack larder has no output TemplatesBucketName: there are ReleasesBucketName, Url. Name one by --output"
        );
        let none = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member/></Stacks></DescribeStacksResult></DescribeStacksResponse>";
        let told = picked(parse(none).unwrap(), "larder", "A").unwrap_err();
        assert!(told.to_string().contains("there are none at all"));
    }

    #[test]
    fn a_refusal_has_code_and_message() {
        let text = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
            <Message>Stack with id larder does not exist</Message></Error><RequestId>r</RequestId></ErrorResponse>";
        let Named { code, message } = refusal(text).unwrap();
        assert_eq!(code, "ValidationError");
        assert_eq!(message, "Stack with id larder does not exist");
        assert!(refusal("<html>").is_none());
    }
}

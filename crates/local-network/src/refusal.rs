//! Answers of services that throttle or shed load, as each of them puts it.
//!
//! Sources: "Error responses" and "Optimizing Amazon S3 performance" (S3), "Error handling with `DynamoDB`", "Error codes for
//! the Amazon EC2 API", and the common errors in the API references of the other services.

use http::{HeaderMap, Method, Response, StatusCode, header};
use hyper::body::Bytes;

use super::profile::Service;

/// Prefix of the content types of the protocols that carry JSON.
const JSON: &str = "application/x-amz-json-";
const XML: &str = "application/xml";
const RATE: &str = "Rate exceeded";
/// `DynamoDB`'s two errors that mean "slower": by the account's rate, and by the table's capacity.
const DYNAMODB: [&str; 2] = [
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Rate of requests exceeds the allowed throughput."}"#,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API."}"#,
];

/// Creates `service`'s refusal of a request with this method and these headers.
pub(super) fn refusal(
    service: Service,
    method: &Method,
    headers: &HeaderMap,
    variant: usize,
) -> Response<Bytes> {
    let json = |version: &str| {
        let body = format!(r#"{{"__type":"ThrottlingException","message":"{RATE}"}}"#);
        answer(400, &format!("{JSON}{version}"), body)
    };
    let mut response = match service {
        Service::S3 => answer(503, XML, slow_down()),
        Service::DynamoDb => {
            let body = DYNAMODB.get(variant % DYNAMODB.len()).copied();
            answer(
                400,
                "application/x-amz-json-1.0",
                body.unwrap_or_default().to_owned(),
            )
        }
        Service::Ssm | Service::CloudTrail | Service::Events => json("1.1"),
        Service::Ec2 => answer(503, "text/xml;charset=UTF-8", request_limit()),
        Service::CloudFront => {
            let status = if variant.is_multiple_of(2) { 400 } else { 503 };
            answer(
                status,
                "text/xml",
                throttling("http://cloudfront.amazonaws.com/doc/2020-05-31/"),
            )
        }
        // Spoken over JSON by new clients, and over the query protocol by old ones.
        Service::Sqs | Service::CloudWatch | Service::Sns => match json_version(headers) {
            Some(version) => json(version),
            None => answer(
                400,
                "text/xml",
                throttling("http://webservices.amazon.com/"),
            ),
        },
        Service::Edge => {
            let body = "<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY>503 ERROR</BODY></HTML>";
            let mut response = answer(503, "text/html", body.to_owned());
            let error = header::HeaderValue::from_static("Error from cloudfront");
            response.headers_mut().insert("x-cache", error);
            response
        }
        Service::Redis | Service::Http => {
            answer(503, "text/plain", "Service Unavailable".to_owned())
        }
    };
    if method == Method::HEAD {
        *response.body_mut() = Bytes::new();
    }
    response
}

fn answer(status: u16, content_type: &str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    if let Ok(value) = content_type.parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

/// Returns the protocol's version where the request is JSON: `1.0` of `application/x-amz-json-1.0`.
fn json_version(headers: &HeaderMap) -> Option<&str> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    content_type.strip_prefix(JSON)
}

fn slow_down() -> String {
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message><RequestId>LOCAL</RequestId><HostId>local</HostId></Error>".to_owned()
}

fn request_limit() -> String {
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors><RequestID>local</RequestID></Response>".to_owned()
}

fn throttling(namespace: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"{namespace}\"><Error><Type>Sender</Type><Code>Throttling</Code><Message>{RATE}</Message></Error><RequestId>local</RequestId></ErrorResponse>"
    )
}

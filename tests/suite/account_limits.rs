//! Limits and permissions that services check only when a resource is created, held against the rendered template.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rendered::{Rendered, Resource};

const FUNCTION: &str = "AWS::Serverless::Function";
/// Variables that Lambda keeps for itself ("Reserved environment variables").
const RESERVED: [&str; 4] = ["AWS_", "LAMBDA_", "_HANDLER", "_X_AMZN"];

/// All resources, with a public URL, and with two Regions.
fn resources() -> Vec<Resource> {
    let parameters = [
        ("ReportUrlAuthType", "NONE"),
        ("Regions", "us-east-1,eu-west-1"),
        ("TemplatesDomain", "templates.example.com"),
        ("Monitors", "slack"),
    ];
    Rendered::with(&parameters).resources()
}

fn of_kind<'a>(resources: &'a [Resource], kind: &'a str) -> impl Iterator<Item = &'a Resource> {
    resources
        .iter()
        .filter(move |resource| resource.kind == kind)
}

fn named<'a>(resources: &'a [Resource], reference: &Value) -> &'a Resource {
    let id = reference.as_str().unwrap().split('.').next().unwrap();
    resources
        .iter()
        .find(|resource| resource.id == id)
        .unwrap_or_else(|| panic!("no {id}"))
}

fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// The statements of a role's or a resource's policies.
fn statements(resource: &Resource) -> Vec<&Value> {
    let properties = resource.properties();
    let inline = items(&properties["Policies"])
        .into_iter()
        .map(|policy| &policy["PolicyDocument"]);
    let own = properties.get("PolicyDocument");
    inline
        .chain(own)
        .flat_map(|document| items(&document["Statement"]))
        .collect()
}

/// Whether one of `statements` allows all `actions` on `resource`.
fn allows(statements: &[&Value], actions: &[&str], resource: &Value) -> bool {
    statements.iter().any(|statement| {
        let allowed = items(&statement["Action"]);
        statement["Effect"] == "Allow"
            && items(&statement["Resource"]).contains(&resource)
            && actions
                .iter()
                .all(|action| allowed.iter().any(|it| *it == action))
    })
}

#[test]
fn functions_keep_to_the_limits_of_lambda() {
    let resources = resources();
    for function in of_kind(&resources, FUNCTION) {
        let (id, properties) = (&function.id, function.properties());
        let number = |pointer: &str| properties.pointer(pointer).and_then(Value::as_u64);
        let within = |pointer: &str, least: u64, most: u64| {
            let value = number(pointer);
            assert!(
                value.is_none_or(|it| (least..=most).contains(&it)),
                "{id}{pointer}: {value:?}"
            );
        };
        within("/Timeout", 1, 900);
        within("/MemorySize", 128, 10_240);
        within("/EphemeralStorage/Size", 512, 10_240);
        within("/EventInvokeConfig/MaximumRetryAttempts", 0, 2);
        within("/EventInvokeConfig/MaximumEventAgeInSeconds", 60, 21_600);
        assert!(
            properties["Description"].as_str().unwrap().len() <= 256,
            "{id}"
        );
        // An account that is new has 10 executions at a time, and none of them may be reserved.
        assert_eq!(properties.get("ReservedConcurrentExecutions"), None, "{id}");
        let variables = properties.pointer("/Environment/Variables").unwrap();
        let variables = variables.as_object().unwrap();
        let size: usize = variables
            .iter()
            .map(|(name, value)| name.len() + value.to_string().len())
            .sum();
        // Of 4 KB, with room for longer parameters.
        assert!(size < 2_048, "{id}: {size} bytes of variables");
        for name in variables.keys() {
            assert!(
                !RESERVED.iter().any(|reserved| name.starts_with(reserved)),
                "{id}: {name}"
            );
        }
    }
}

#[test]
fn log_groups_are_made_by_the_stack_alone() {
    let resources = resources();
    for function in of_kind(&resources, FUNCTION) {
        let group = named(
            &resources,
            &function.properties()["LoggingConfig"]["LogGroup"],
        );
        let expected = format!(
            "/aws/lambda/{}",
            function.properties()["FunctionName"].as_str().unwrap()
        );
        assert_eq!(group.properties()["LogGroupName"], expected);
        // A function that may make its group does so after the stack is gone, and the next creation meets it.
        let role = named(&resources, &function.properties()["Role"]);
        let actions = statements(role)
            .into_iter()
            .flat_map(|it| items(&it["Action"]));
        let actions: Vec<&Value> = actions.collect();
        let makes_groups = actions
            .iter()
            .any(|action| **action == "logs:CreateLogGroup");
        assert!(!makes_groups && !actions.is_empty(), "{}", role.id);
    }
}

#[test]
fn queues_and_their_functions_agree() {
    let resources = resources();
    for function in of_kind(&resources, FUNCTION) {
        let (id, properties) = (&function.id, function.properties());
        let role = statements(named(&resources, &properties["Role"]));
        if let Some(dead) = properties.pointer("/DeadLetterQueue/TargetArn") {
            assert!(
                allows(&role, &["sqs:SendMessage"], dead),
                "{id} may not send to {dead}"
            );
        }
        let events = properties["Events"].as_object().unwrap().values();
        for event in events.filter(|event| event["Type"] == "SQS") {
            let event = &event["Properties"];
            let number = |name: &str| event[name].as_u64().unwrap_or_default();
            let queue = named(&resources, &event["Queue"]);
            let hidden = queue.properties()["VisibilityTimeout"]
                .as_u64()
                .unwrap_or(30);
            let timeout = properties["Timeout"].as_u64().unwrap();
            let window = number("MaximumBatchingWindowInSeconds");
            assert!(
                hidden >= timeout + window,
                "{id}: hidden for {hidden} s, at work for {timeout} s"
            );
            assert!(
                number("BatchSize") <= 10 || window >= 1,
                "{id}: a large batch needs a window"
            );
            assert!(
                (2..=1_000).contains(
                    &event["ScalingConfig"]["MaximumConcurrency"]
                        .as_u64()
                        .unwrap()
                ),
                "{id}"
            );
            let actions = [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
            ];
            assert!(
                allows(&role, &actions, &event["Queue"]),
                "{id} may not read {}",
                event["Queue"]
            );
        }
    }
}

#[test]
fn queues_keep_to_the_limits_of_sqs() {
    let resources = resources();
    for queue in of_kind(&resources, "AWS::SQS::Queue") {
        let properties = queue.properties();
        let kept = properties["MessageRetentionPeriod"].as_u64().unwrap();
        assert!((60..=1_209_600).contains(&kept), "{}", queue.id);
        if let Some(redrive) = properties.get("RedrivePolicy") {
            assert!(
                (1..=1_000).contains(&redrive["maxReceiveCount"].as_u64().unwrap()),
                "{}",
                queue.id
            );
            named(&resources, &redrive["deadLetterTargetArn"]);
        }
    }
}

#[test]
fn rules_may_reach_their_targets() {
    let resources = resources();
    let policies: Vec<&Value> = of_kind(&resources, "AWS::SQS::QueuePolicy")
        .flat_map(statements)
        .collect();
    for rule in of_kind(&resources, "AWS::Events::Rule") {
        let targets = items(&rule.properties()["Targets"]);
        assert!((1..=5).contains(&targets.len()), "{}", rule.id);
        let arn = Value::from(format!("{}.Arn", rule.id));
        for target in targets {
            let own = policies.iter().filter(|it| {
                it["Principal"]["Service"] == "events.amazonaws.com"
                    && it["Condition"]["ArnEquals"]["aws:SourceArn"] == arn
            });
            let own: Vec<&Value> = own.copied().collect();
            let dead = target.pointer("/DeadLetterConfig/Arn");
            for queue in [&target["Arn"]].into_iter().chain(dead) {
                assert!(
                    allows(&own, &["sqs:SendMessage"], queue),
                    "{}: {queue}",
                    rule.id
                );
            }
            let retries = &target["RetryPolicy"];
            assert!(
                retries["MaximumRetryAttempts"].as_u64().unwrap() <= 185,
                "{}",
                rule.id
            );
            assert!(
                (60..=86_400).contains(&retries["MaximumEventAgeInSeconds"].as_u64().unwrap()),
                "{}",
                rule.id
            );
        }
    }
}

#[test]
fn public_url_has_both_permissions_and_a_private_one_neither() {
    for (kind, expected) in [("NONE", 2), ("AWS_IAM", 0)] {
        let resources = Rendered::with(&[("ReportUrlAuthType", kind)]).resources();
        for url in of_kind(&resources, "AWS::Lambda::Url") {
            assert_eq!(url.properties()["AuthType"], kind);
            let function = &url.properties()["TargetFunctionArn"];
            let permissions =
                of_kind(&resources, "AWS::Lambda::Permission").map(Resource::properties);
            let of_everybody =
                permissions.filter(|it| it["FunctionName"] == *function && it["Principal"] == "*");
            let of_everybody: Vec<&Value> = of_everybody.collect();
            assert_eq!(of_everybody.len(), expected, "{}", url.id);
            // Since October 2025 a URL takes both; each is bound to calls through the URL.
            let bound = |action: &str, name: &str, value: Value| {
                of_everybody
                    .iter()
                    .any(|it| it["Action"] == action && it[name] == value)
            };
            let pair = bound(
                "lambda:InvokeFunctionUrl",
                "FunctionUrlAuthType",
                "NONE".into(),
            ) && bound(
                "lambda:InvokeFunction",
                "InvokedViaFunctionUrl",
                true.into(),
            );
            assert_eq!(pair, expected == 2, "{}", url.id);
        }
    }
}

#[test]
fn every_policy_is_whole_whatever_is_left_out() {
    let own = [
        ("ServersTable", "servers"),
        ("ReleasesBucket", "releases"),
        ("DistributionId", "E2BX1E7RR7IV8R"),
    ];
    let templates = [("TemplatesDomain", "templates.example.com")];
    let deployments: [&[(&str, &str)]; 3] = [&[], &own, &templates];
    for parameters in deployments {
        for resource in Rendered::with(parameters).resources() {
            for statement in statements(&resource) {
                let said = format!("{}: {statement}", resource.id);
                assert!(!items(&statement["Action"]).is_empty(), "{said}");
                let on = items(&statement["Resource"]);
                assert!(!on.is_empty(), "{said}");
                for arn in on {
                    let arn = arn.as_str().unwrap_or_default();
                    let is_whole =
                        !arn.is_empty() && !arn.ends_with(['/', ':']) && !arn.contains("//");
                    assert!(is_whole, "{said}");
                }
                let conditions = statement["Condition"].as_object().into_iter().flatten();
                for value in conditions.flat_map(|(_, of)| of.as_object().unwrap().values()) {
                    let values = items(value);
                    assert!(
                        !values.is_empty() && values.iter().all(|it| *it != ""),
                        "{said}"
                    );
                }
            }
        }
    }
}

#[test]
fn roles_have_descriptions_and_names_that_iam_takes() {
    let resources = resources();
    let samconfig =
        std::fs::read_to_string(local_servers::helper::workspace_root().join("samconfig.toml"));
    assert!(samconfig.unwrap().contains("\"CAPABILITY_IAM\""));
    for role in of_kind(&resources, "AWS::IAM::Role") {
        let description = role.properties()["Description"].as_str().unwrap();
        // Latin-1, as IAM's pattern has it: no dashes or quotes of typographers.
        let is_taken = |c: char| matches!(c, ' '..='~' | '\u{a1}'..='\u{ff}');
        assert!(
            description.len() <= 1_000 && description.chars().all(is_taken),
            "{}",
            role.id
        );
        // A name of its own would take CAPABILITY_NAMED_IAM, and collide with another Region's.
        assert_eq!(role.properties().get("RoleName"), None, "{}", role.id);
    }
}

#[test]
fn buckets_notify_no_function_that_waits_for_them() {
    let resources = resources();
    let mut notifying = BTreeSet::new();
    for bucket in of_kind(&resources, "AWS::S3::Bucket") {
        let configuration = bucket.properties()["NotificationConfiguration"].as_object();
        // A function's or a queue's permission names the bucket, which checks it when it is created itself.
        for (name, _) in configuration.into_iter().flatten() {
            assert_eq!(name, "EventBridgeConfiguration", "{}", bucket.id);
            notifying.insert(&bucket.id);
        }
    }
    assert_eq!(notifying.len(), 2, "{notifying:?}");
}

//! The first creation of a stack: what a real account refuses and no linter sees, what a failure leaves behind, and what
//! the defaults run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::rendered::{Rendered, Resource};

/// Parameters of a deployment that owns nothing yet, of one that brings its own of everything, and of one without work.
const DEPLOYMENTS: [&[(&str, &str)]; 3] = [
    &[],
    &[
        ("ServersTable", "servers"),
        ("Regions", "us-east-1,eu-west-1"),
        ("LlmApiKeyParameter", "/larder/llm"),
        ("LineChannelSecretParameter", "/larder/line/secret"),
        ("LineChannelTokenParameter", "/larder/line/token"),
        ("ReportUrlAuthType", "NONE"),
        ("ReleasesBucket", "releases"),
        ("TemplatesDomain", "templates.example.com"),
        ("TemplatesBucket", "templates"),
        ("DistributionId", "E2BX1E7RR7IV8R"),
        (
            "PublisherRoleArn",
            "arn:aws:iam::123456789012:role/publisher",
        ),
        ("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:alarms"),
        ("Monitors", "slack,github"),
        ("TrustedKeys", "RWQ"),
    ],
    &[
        ("Monitors", ""),
        ("PopularTickers", ""),
        ("TemplatesDomain", "templates.example.com"),
    ],
];
const FUNCTIONS: [&str; 5] = [
    "MonitorRunner",
    "RuntimeCalculator",
    "RuntimeEvents",
    "ReportGenerator",
    "CdnInvalidator",
];
const FUNCTION: &str = "AWS::Serverless::Function";

fn of_kind<'a>(resources: &'a [Resource], kind: &'a str) -> impl Iterator<Item = &'a Resource> {
    resources
        .iter()
        .filter(move |resource| resource.kind == kind)
}

/// The events of a function, with their types.
fn events(function: &Resource) -> impl Iterator<Item = (&String, &str, &Value)> {
    let events = function.properties()["Events"]
        .as_object()
        .into_iter()
        .flatten();
    events.map(|(name, event)| (name, event["Type"].as_str().unwrap(), &event["Properties"]))
}

/// The property that names a resource of this type in its account and Region; none for those without such a name.
fn name_property(kind: &str) -> Option<&'static str> {
    Some(match kind {
        FUNCTION => "FunctionName",
        "AWS::Logs::LogGroup" => "LogGroupName",
        "AWS::DynamoDB::Table" => "TableName",
        "AWS::S3::Bucket" => "BucketName",
        "AWS::SQS::Queue" => "QueueName",
        "AWS::SNS::Topic" => "TopicName",
        "AWS::IAM::Role" => "RoleName",
        "AWS::CloudWatch::Alarm" => "AlarmName",
        "AWS::Events::Rule" | "AWS::Scheduler::Schedule" => "Name",
        "AWS::Lambda::Url"
        | "AWS::Lambda::Permission"
        | "AWS::S3::BucketPolicy"
        | "AWS::SQS::QueuePolicy"
        | "AWS::SNS::TopicPolicy"
        | "AWS::SNS::Subscription" => return None,
        other => panic!("which property names a {other}?"),
    })
}

/// All names that are not made up by CloudFormation, and the longest that each may be.
fn names(rendered: &Rendered) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for resource in rendered.resources() {
        let most = if resource.kind == "AWS::Logs::LogGroup" {
            512
        } else {
            64
        };
        let name = name_property(&resource.kind).and_then(|of| resource.properties().get(of));
        names.extend(name.map(|name| (name.as_str().unwrap().to_owned(), most)));
        for (event, kind, properties) in events(&resource) {
            let name = properties
                .get("Name")
                .or_else(|| properties.get("RuleName"));
            // SAM names a schedule of EventBridge Scheduler by its logical id where the template does not.
            let by_sam = || (kind == "ScheduleV2").then(|| format!("{}{event}", resource.id));
            let name = name
                .map(|name| name.as_str().unwrap().to_owned())
                .or_else(by_sam);
            names.extend(name.map(|name| (name, 64)));
        }
    }
    names
}

#[test]
fn dev_and_prod_as_shipped_share_no_name() {
    let [dev, prod] = ["dev", "prod"].map(|environment| {
        let rendered = Rendered::deployed(environment);
        assert_eq!(rendered.broken_rules(), [""; 0], "{environment}");
        let names: BTreeSet<String> = names(&rendered).into_keys().collect();
        assert!(names.len() >= 13, "{names:?}");
        let prefix = format!("{}-{environment}-", rendered.parameter("AppName"));
        for name in &names {
            let own = name.trim_start_matches("/aws/lambda/");
            assert!(own.starts_with(&prefix), "{name}");
        }
        names
    });
    assert!(dev.is_disjoint(&prod), "{dev:?} and {prod:?}");
}

#[test]
fn longest_application_and_environment_fit_into_every_name() {
    let rendered = Rendered::with(&[]);
    // "^[a-z][a-z0-9-]{0,19}$": a letter, and as many more.
    let longest = |parameter: &str| {
        let pattern = rendered.document()["Parameters"][parameter]["AllowedPattern"].as_str();
        let (_, more) = pattern.unwrap().split_once("{0,").unwrap();
        let more: usize = more.trim_end_matches("}$").parse().unwrap();
        "a".repeat(more + 1)
    };
    let (app, environment) = (longest("AppName"), longest("Environment"));
    let rendered = Rendered::with(&[("AppName", &app), ("Environment", &environment)]);
    for (name, most) in names(&rendered) {
        assert!(
            name.len() <= most,
            "{name} has {} characters of {most}",
            name.len()
        );
    }
}

#[test]
fn data_outlives_the_stack_but_not_a_failed_first_creation() {
    for parameters in DEPLOYMENTS {
        for resource in Rendered::with(parameters).resources() {
            let policies =
                ["DeletionPolicy", "UpdateReplacePolicy"].map(|name| resource.whole[name].as_str());
            let holds_data =
                ["AWS::DynamoDB::Table", "AWS::S3::Bucket"].contains(&resource.kind.as_str());
            let is_kept = policies == [Some("RetainExceptOnCreate"), Some("Retain")];
            let is_dropped = policies == [None, None] || policies == [Some("Delete"); 2];
            assert!(
                if holds_data { is_kept } else { is_dropped },
                "{}: {policies:?}",
                resource.id
            );
        }
    }
}

#[test]
fn every_set_of_functions_renders_without_dangling_references() {
    for parameters in DEPLOYMENTS {
        for set in 0..1_u32 << FUNCTIONS.len() {
            let is_on = |at: usize| set & (1 << at) != 0;
            let switches: Vec<_> = FUNCTIONS
                .iter()
                .enumerate()
                .map(|(at, id)| (format!("Enable{id}"), is_on(at).to_string()))
                .collect();
            let switches = switches
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let rendered = Rendered::with(
                &parameters
                    .iter()
                    .copied()
                    .chain(switches)
                    .collect::<Vec<_>>(),
            );
            // Each panics at a reference to what is not created.
            let (resources, outputs) = (rendered.resources(), rendered.outputs());
            for (at, id) in FUNCTIONS.iter().enumerate() {
                let of_function = resources
                    .iter()
                    .filter(|it| it.id == *id || it.id.starts_with(&format!("{id}Role")));
                assert_eq!(of_function.count(), if is_on(at) { 2 } else { 0 }, "{id}");
                let named = outputs.contains_key(&format!("{id}Name"));
                assert_eq!(named, is_on(at), "{id}");
            }
            let kinds: BTreeSet<&str> = resources.iter().map(|it| it.kind.as_str()).collect();
            if set == 0 {
                let left = [
                    "AWS::DynamoDB::Table",
                    "AWS::S3::Bucket",
                    "AWS::S3::BucketPolicy",
                ];
                assert!(kinds.iter().all(|kind| left.contains(kind)), "{kinds:?}");
            }
        }
    }
}

#[test]
fn no_resource_waits_for_itself() {
    for parameters in DEPLOYMENTS {
        let resources = Rendered::with(parameters).resources();
        let mut left: BTreeMap<_, _> = resources.iter().map(|it| (&it.id, &it.needs)).collect();
        while !left.is_empty() {
            let before = left.len();
            let waiting: BTreeSet<String> = left.keys().map(|id| (*id).clone()).collect();
            left.retain(|_, needs| !needs.is_disjoint(&waiting));
            assert!(left.len() < before, "a circle among {left:?}");
        }
    }
}

#[test]
fn defaults_run_no_program_and_open_no_url() {
    let rendered = Rendered::with(&[]);
    assert_eq!(rendered.broken_rules(), [""; 0]);
    assert_eq!(rendered.parameter("RequireSignature"), "true");
    let resources = rendered.resources();
    let runner = resources
        .iter()
        .find(|it| it.id == "MonitorRunner")
        .unwrap();
    let scheduled = events(runner).filter(|(_, kind, _)| kind.starts_with("Schedule"));
    for (name, _, properties) in scheduled {
        assert_eq!(properties["State"], "DISABLED", "{name}");
    }
    let url = of_kind(&resources, "AWS::Lambda::Url").next().unwrap();
    assert_eq!(url.properties()["AuthType"], "AWS_IAM");
    assert_eq!(of_kind(&resources, "AWS::Lambda::Permission").count(), 0);
}

#[test]
fn monitors_are_deployed_with_keys_or_unsigned_on_purpose() {
    let broken = |parameters: &[(&str, &str)]| Rendered::with(parameters).broken_rules();
    let refused = broken(&[("Monitors", "slack")]);
    assert_eq!(refused.len(), 1);
    assert!(refused[0].contains("TrustedKeys"), "{refused:?}");
    let signed = [("Monitors", "slack"), ("TrustedKeys", "RWQ")];
    assert_eq!(broken(&signed), [""; 0]);
    assert_eq!(
        broken(&[("Monitors", "slack"), ("RequireSignature", "false")]),
        [""; 0]
    );
    let resources = Rendered::with(&signed).resources();
    let runner = resources
        .iter()
        .find(|it| it.id == "MonitorRunner")
        .unwrap();
    assert_eq!(
        runner.properties()["Events"]["EveryFiveMinutes"]["Properties"]["State"],
        "ENABLED"
    );
}

#[test]
fn empty_list_of_tickers_stops_their_schedules() {
    for (tickers, state) in [("", "DISABLED"), ("DBS19", "ENABLED")] {
        let resources = Rendered::with(&[("PopularTickers", tickers)]).resources();
        let reports = resources
            .iter()
            .find(|it| it.id == "ReportGenerator")
            .unwrap();
        let states: Vec<&Value> = events(reports)
            .map(|(_, _, properties)| &properties["State"])
            .collect();
        assert_eq!(states, [state, state]);
    }
}

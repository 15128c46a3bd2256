//! The template's block of monitor-runner against the function and the runbook.

use local_aws::template::Template;
use local_servers::helper::workspace_root;
use serde_json::Value;

fn template() -> Template {
    Template::load(&workspace_root().join("template.yaml")).unwrap()
}

/// The alarms on metrics of monitor-runner, by their name in the template.
fn alarms(template: &Template) -> Vec<(String, Value)> {
    let of_function = |alarm: &Value| {
        alarm["Type"] == "AWS::CloudWatch::Alarm"
            && alarm["Properties"]["Dimensions"][0]["Value"]["Ref"] == "MonitorRunner"
    };
    let alarms = template
        .resources()
        .filter(|(_, resource)| of_function(resource));
    alarms
        .map(|(name, alarm)| (name.clone(), alarm["Properties"].clone()))
        .collect()
}

#[test]
fn every_alarm_has_a_runbook_entry() {
    let runbook = std::fs::read_to_string(workspace_root().join("docs/runbook.md")).unwrap();
    let template = template();
    let alarms = alarms(&template);
    let metrics: Vec<_> = alarms
        .iter()
        .map(|(_, alarm)| &alarm["MetricName"])
        .collect();
    assert_eq!(metrics, ["Errors", "MonitorErrors", "Stale", "Invocations"]);
    for (name, _) in &alarms {
        assert!(runbook.contains(&format!("\n## {name}\n")), "{name}");
    }
}

#[test]
fn missing_invocations_breach_and_missing_errors_do_not() {
    for (name, alarm) in alarms(&template()) {
        let missing = match alarm["MetricName"].as_str() {
            Some("Invocations") => "breaching",
            _ => "notBreaching",
        };
        assert_eq!(alarm["TreatMissingData"], missing, "{name}");
    }
}

#[test]
fn longest_run_of_a_monitor_fits_in_the_functions_timeout() {
    let template = template();
    let parameter = &template.document()["Parameters"]["MonitorTimeoutSeconds"];
    let functions = template.functions().unwrap();
    let function = functions
        .iter()
        .find(|function| function.name == "monitor-runner");
    let timeout = function.unwrap().properties["Timeout"].as_u64().unwrap();
    assert!(
        parameter["MaxValue"].as_u64().unwrap() + 30 <= timeout,
        "{parameter}"
    );
}

#[test]
fn statuses_outlive_their_renewal_by_far() {
    let template = template();
    let bucket = &template.document()["Resources"]["MonitorStatuses"]["Properties"];
    let rules = bucket["LifecycleConfiguration"]["Rules"]
        .as_array()
        .unwrap();
    let statuses = rules.iter().find(|rule| rule["Id"] == "statuses").unwrap();
    assert_eq!(statuses["Prefix"], "monitor-runner/");
    assert!(
        statuses["ExpirationInDays"].as_u64().unwrap() > 30,
        "{statuses}"
    );
}

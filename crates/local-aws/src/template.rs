//! template.yaml, as far as a local run has to know it: functions, their variables, their
//! schedules.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// A SAM template.
#[derive(Clone, Debug)]
pub struct Template {
    root: Value,
    /// Names of the resources in the order in which they stand, which JSON does not keep.
    order: Vec<String>,
}

/// A function of the template.
#[derive(Clone, Debug)]
pub struct Function {
    /// The resource's name, such as `MonitorRunner`.
    pub logical_id: String,
    /// The same as folders are named, such as `monitor-runner`.
    pub name: String,
    /// Its properties, as they stand.
    pub properties: Value,
    /// Its variables and those of all functions, with what they are by default; none where only a
    /// deployment can tell.
    pub variables: BTreeMap<String, Option<String>>,
    /// What invokes it at intervals.
    pub schedules: Vec<Schedule>,
}

/// An event of type `Schedule`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its name in the template.
    pub name: String,
    /// When it fires.
    pub pace: Pace,
    /// What the function gets; a scheduled event if unset.
    pub input: Option<Value>,
}

/// When a schedule fires.
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// Each time after so long.
    Every(Duration),
    /// At such times of day: the expression as it stands. It fires here only where all schedules are told how often.
    Cron(String),
}

impl Template {
    /// Reads the template at `path`.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("could not read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("could not parse {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let documents = Yaml::load_from_str(text)?;
        let [document] = documents.as_slice() else {
            bail!("it holds not one document")
        };
        let resources = document.as_mapping_get("Resources");
        let names = resources.and_then(Yaml::as_mapping).into_iter().flatten();
        let names = names.filter_map(|(name, _)| name.as_str());
        Ok(Self {
            root: to_json(document)?,
            order: names.map(str::to_owned).collect(),
        })
    }

    /// All of it, as JSON.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.root
    }

    /// All resources, in the template's order.
    pub fn resources(&self) -> impl Iterator<Item = (&String, &Value)> {
        let resources = self.root.get("Resources");
        self.order
            .iter()
            .filter_map(move |name| Some((name, resources?.get(name)?)))
    }

    /// All functions, in the template's order.
    pub fn functions(&self) -> anyhow::Result<Vec<Function>> {
        self.resources()
            .filter(|(_, resource)| text(resource, "/Type") == Some("AWS::Serverless::Function"))
            .map(|(id, resource)| {
                self.function(id, resource)
                    .with_context(|| format!("in function {id}"))
            })
            .collect()
    }

    fn function(&self, id: &str, resource: &Value) -> anyhow::Result<Function> {
        let properties = resource.get("Properties").cloned().unwrap_or_default();
        let shared = self.root.pointer("/Globals/Function/Environment/Variables");
        let own = properties.pointer("/Environment/Variables");
        let variables = [shared, own]
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .flatten();
        let variables = variables
            .map(|(name, value)| (name.clone(), self.resolve(value)))
            .collect();
        let events = properties
            .get("Events")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let schedules = events
            .filter(|(_, event)| matches!(text(event, "/Type"), Some("Schedule" | "ScheduleV2")))
            .map(|(name, event)| schedule(name, event).with_context(|| format!("in event {name}")))
            .collect::<anyhow::Result<_>>()?;
        Ok(Function {
            logical_id: id.to_owned(),
            name: kebab(id),
            properties,
            variables,
            schedules,
        })
    }

    /// The text of a value, with a parameter's default for a reference to it.
    fn resolve(&self, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Object(function) => {
                let parameter = function.get("Ref")?.as_str()?;
                self.resolve(
                    self.root
                        .pointer(&format!("/Parameters/{parameter}/Default"))?,
                )
            }
            Value::Null | Value::Array(_) => None,
        }
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn schedule(name: &str, event: &Value) -> anyhow::Result<Schedule> {
    let names = ["/Properties/Schedule", "/Properties/ScheduleExpression"];
    let expression = names.into_iter().find_map(|name| text(event, name));
    let expression = expression.context("a schedule has no expression")?;
    let input = text(event, "/Properties/Input")
        .map(serde_json::from_str)
        .transpose()?;
    Ok(Schedule {
        name: name.to_owned(),
        pace: pace(expression)?,
        input,
    })
}

/// An expression of either kind that comes again and again.
fn pace(expression: &str) -> anyhow::Result<Pace> {
    if expression.starts_with("cron(") && expression.ends_with(')') {
        return Ok(Pace::Cron(expression.to_owned()));
    }
    rate(expression).map(Pace::Every)
}

/// `rate(5 minutes)`: "Schedule types in EventBridge Scheduler", rate-based schedules.
fn rate(expression: &str) -> anyhow::Result<Duration> {
    let inner = expression
        .strip_prefix("rate(")
        .and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.with_context(|| format!("{expression:?} is neither rate(…) nor cron(…)"))?;
    let (count, unit) = inner
        .trim()
        .split_once(' ')
        .context("a rate is a number and a unit")?;
    let count: u32 = count
        .parse()
        .with_context(|| format!("{count:?} is not a whole number"))?;
    ensure!(count > 0, "a rate of 0 never fires");
    let unit = match unit.trim().trim_end_matches('s') {
        "minute" => Duration::from_mins(1),
        "hour" => Duration::from_hours(1),
        "day" => Duration::from_hours(24),
        other => bail!("{other:?} is none of minute, hour and day"),
    };
    Ok(unit * count)
}

/// `MonitorRunner` as `monitor-runner`.
fn kebab(id: &str) -> String {
    let mut name = String::new();
    for letter in id.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// YAML with CloudFormation's short forms as JSON with the long ones: `!Ref X` is `{"Ref": "X"}`.
fn to_json(yaml: &Yaml<'_>) -> anyhow::Result<Value> {
    Ok(match yaml {
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(flag) => json!(flag),
            Scalar::Integer(number) => json!(number),
            Scalar::FloatingPoint(number) => json!(number.into_inner()),
            Scalar::String(text) => json!(text),
        },
        Yaml::Sequence(items) => items
            .iter()
            .map(to_json)
            .collect::<anyhow::Result<Vec<_>>>()?
            .into(),
        Yaml::Mapping(fields) => {
            let mut object = Map::new();
            for (key, value) in fields {
                let key = key.as_str().context("a key is not a text")?;
                object.insert(key.to_owned(), to_json(value)?);
            }
            object.into()
        }
        Yaml::Tagged(tag, value) => {
            let long = match tag.suffix.as_str() {
                name @ ("Ref" | "Condition") => name.to_owned(),
                name => format!("Fn::{name}"),
            };
            json!({ long: to_json(value)? })
        }
        other => bail!("{other:?} has no place in a template"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Parameters:
  Url: { Type: String, Default: https://example.com }
Globals:
  Function:
    Environment:
      Variables: { SHARED: yes-sir }
Resources:
  MonitorRunner:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 300
      LoggingConfig: { LogGroup: !Ref Group }
      Environment:
        Variables: { URL: !Ref Url, ARN: !GetAtt Group.Arn, COUNT: 3 }
      Events:
        Often: { Type: Schedule, Properties: { Schedule: rate(5 minutes) } }
        Other: { Type: Schedule, Properties: { Schedule: rate(1 hour), Input: '{"monitors":["zoom"]}' } }
        Daily: { Type: ScheduleV2, Properties: { ScheduleExpression: cron(30 10 ? * MON-FRI *), ScheduleExpressionTimezone: Asia/Bangkok } }
  Group: { Type: "AWS::Logs::LogGroup" }
"#;

    #[test]
    fn functions_come_with_their_variables_and_schedules() {
        let functions = Template::parse(TEMPLATE).unwrap().functions().unwrap();
        assert_eq!(functions.len(), 1);
        let function = &functions[0];
        assert_eq!(
            (function.logical_id.as_str(), function.name.as_str()),
            ("MonitorRunner", "monitor-runner")
        );
        assert_eq!(
            function.properties["LoggingConfig"]["LogGroup"],
            json!({ "Ref": "Group" })
        );
        let variable = |name: &str| function.variables[name].as_deref();
        assert_eq!(variable("URL"), Some("https://example.com"));
        assert_eq!(variable("SHARED"), Some("yes-sir"));
        assert_eq!(variable("COUNT"), Some("3"));
        assert_eq!(variable("ARN"), None);
        let minutes: Vec<_> = function
            .schedules
            .iter()
            .map(|schedule| match &schedule.pace {
                Pace::Every(time) => time.as_secs() / 60,
                Pace::Cron(_) => 0,
            })
            .collect();
        assert_eq!(minutes, [0, 5, 60]);
        assert_eq!(
            function.schedules[2].input,
            Some(json!({ "monitors": ["zoom"] }))
        );
    }

    #[test]
    fn a_schedule_that_cannot_fire_is_an_error() {
        for expression in [
            "at(2026-11-21T09:00:00)",
            "rate(0 minutes)",
            "rate(5 fortnights)",
            "rate(minutes)",
            "5 minutes",
        ] {
            assert!(pace(expression).is_err(), "{expression}");
        }
        assert_eq!(rate("rate(1 minute)").unwrap().as_secs(), 60);
        assert_eq!(rate("rate(2 days)").unwrap().as_secs(), 2 * 86_400);
    }
}

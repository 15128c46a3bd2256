//! The template's policies, as they are once they are deployed.

use std::collections::HashMap;

use local_aws::template::Template;
use local_servers::helper::workspace_root;
use serde_json::{Map, Value, json};

/// What references and conditions of the template stand for: `Bucket`, `Bucket.Arn`, `HasBucket`. A condition holds if it is here.
pub(crate) type Meanings = HashMap<&'static str, String>;

/// The policy of a function's role, but for logs.
pub(crate) fn policy(role: &str, meanings: &Meanings) -> Value {
    let template = Template::load(&workspace_root().join("template.yaml")).unwrap();
    let role = &template.document()["Resources"][role]["Properties"];
    let statements = role["Policies"][0]["PolicyDocument"]["Statement"].clone();
    let statements = statements.as_array().unwrap().iter();
    let statements = statements.filter(|statement| !statement.to_string().contains("logs:"));
    let statements = statements.filter_map(|statement| resolved(statement, meanings));
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
}

/// A value without functions of CloudFormation; none where it is `AWS::NoValue`.
fn resolved(value: &Value, meanings: &Meanings) -> Option<Value> {
    let meaning = |name: &str| match name {
        "AWS::Partition" => "aws".to_owned(),
        "AWS::Region" => "us-east-1".to_owned(),
        "AWS::AccountId" => "123456789012".to_owned(),
        name => meanings
            .get(name)
            .unwrap_or_else(|| panic!("what is {name}?"))
            .clone(),
    };
    let Value::Object(fields) = value else {
        return Some(match value {
            Value::Array(items) => items
                .iter()
                .filter_map(|item| resolved(item, meanings))
                .collect(),
            other => other.clone(),
        });
    };
    let only = fields.iter().next().filter(|_| fields.len() == 1);
    match only.map(|(name, of)| (name.as_str(), of)) {
        Some(("Ref", Value::String(name))) if name == "AWS::NoValue" => None,
        Some(("Ref" | "Fn::GetAtt", Value::String(name))) => Some(json!(meaning(name))),
        Some(("Fn::If", of)) => {
            let holds = meanings.contains_key(of[0].as_str().unwrap());
            resolved(&of[if holds { 1 } else { 2 }], meanings)
        }
        Some(("Fn::Sub", of)) => {
            let (text, own) = match of {
                Value::Array(both) => (
                    both[0].as_str().unwrap(),
                    resolved(&both[1], meanings).unwrap(),
                ),
                text => (text.as_str().unwrap(), json!({})),
            };
            Some(json!(substituted(text, |name| own.get(name).map_or_else(
                || meaning(name),
                |own| own.as_str().unwrap().to_owned()
            ))))
        }
        _ => {
            let fields = fields
                .iter()
                .filter_map(|(name, of)| Some((name.clone(), resolved(of, meanings)?)));
            Some(Value::Object(fields.collect::<Map<_, _>>()))
        }
    }
}

/// `${Name}` as what it means.
fn substituted(text: &str, meaning: impl Fn(&str) -> String) -> String {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        whole += &meaning(name);
        whole += rest;
    }
    whole
}

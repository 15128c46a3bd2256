//! The template as CloudFormation evaluates it, for one set of parameters.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use local_aws::template::Template;
use local_servers::helper::workspace_root;
use serde_json::{Map, Value, json};

/// The values of the template's references and conditions.
pub(crate) trait Meanings {
    /// The value of a parameter, of a resource or of an attribute, such as `Bucket.Arn`.
    fn value(&self, name: &str) -> Value;
    /// The outcome of a condition.
    fn holds(&self, condition: &str) -> bool;
}

/// A value of a pseudo parameter, in a test's account.
pub(crate) fn pseudo_parameter(name: &str) -> Option<&'static str> {
    match name {
        "AWS::Partition" => Some("aws"),
        "AWS::Region" => Some("us-east-1"),
        "AWS::AccountId" => Some("123456789012"),
        "AWS::StackName" => Some("larder-test"),
        _ => None,
    }
}

/// A value without functions of CloudFormation; none where it is `AWS::NoValue`.
pub(crate) fn evaluate(value: &Value, meanings: &impl Meanings) -> Option<Value> {
    let inner = |value: &Value| evaluate(value, meanings);
    let Value::Object(fields) = value else {
        return Some(match value {
            Value::Array(items) => items.iter().filter_map(inner).collect(),
            other => other.clone(),
        });
    };
    let only = fields.iter().next().filter(|_| fields.len() == 1);
    let function = only.map(|(name, of)| (name.as_str(), of));
    Some(match function {
        Some(("Ref", name)) if name == "AWS::NoValue" => return None,
        Some(("Ref" | "Fn::GetAtt", Value::String(name))) => meanings.value(name),
        Some(("Fn::If", of)) => {
            let holds = meanings.holds(of[0].as_str().unwrap());
            return inner(&of[if holds { 1 } else { 2 }]);
        }
        Some(("Fn::Sub", of)) => {
            let (text, own) = match of {
                Value::Array(both) => (both[0].as_str().unwrap(), inner(&both[1]).unwrap()),
                text => (text.as_str().unwrap(), json!({})),
            };
            let value = |name: &str| {
                own.get(name)
                    .cloned()
                    .unwrap_or_else(|| meanings.value(name))
            };
            json!(substituted(text, |name| value(name)
                .as_str()
                .unwrap()
                .to_owned()))
        }
        Some(("Fn::Join", of)) => {
            let items = inner(&of[1]).unwrap();
            let items: Vec<&str> = items
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it.as_str().unwrap())
                .collect();
            json!(items.join(of[0].as_str().unwrap()))
        }
        Some((name, _)) if name.starts_with("Fn::") => panic!("{name} is not evaluated here"),
        _ => {
            let fields = fields.iter();
            let fields = fields.filter_map(|(name, of)| Some((name.clone(), inner(of)?)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    })
}

/// `text` with each `${Name}` replaced by its value.
fn substituted(text: &str, value: impl Fn(&str) -> String) -> String {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        whole += &value(name);
        whole += rest;
    }
    whole
}

/// A resource that is created.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// All of it, its attributes such as `DeletionPolicy` included.
    pub(crate) whole: Value,
    /// The resources that it refers to, which are created before it.
    pub(crate) needs: BTreeSet<String>,
}

impl Resource {
    pub(crate) fn properties(&self) -> &Value {
        &self.whole["Properties"]
    }
}

/// The template with its parameters' values.
pub(crate) struct Rendered {
    document: Value,
    order: Vec<String>,
    parameters: BTreeMap<String, String>,
    /// Resources referred to since the last one was begun.
    referred: RefCell<BTreeSet<String>>,
}

impl Rendered {
    /// With the parameters' defaults, but for these.
    pub(crate) fn with(parameters: &[(&str, &str)]) -> Self {
        let template = Template::load(&workspace_root().join("template.yaml")).unwrap();
        let document = template.document().clone();
        let mut all: BTreeMap<_, _> = document["Parameters"]
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(name, of)| Some((name.clone(), text_of(of.get("Default")?))))
            .collect();
        for (name, value) in parameters {
            let known = document["Parameters"].get(name);
            assert!(known.is_some(), "no parameter {name}");
            all.insert((*name).to_owned(), (*value).to_owned());
        }
        Self {
            order: template.resources().map(|(id, _)| id.clone()).collect(),
            document,
            parameters: all,
            referred: RefCell::default(),
        }
    }

    /// With what `parameters/` sets for an environment.
    pub(crate) fn deployed(environment: &str) -> Self {
        let file = workspace_root().join(format!("parameters/{environment}.yaml"));
        let file = Template::load(&file).unwrap();
        let set = file.document().as_object().unwrap().iter();
        let set: Vec<_> = set
            .map(|(name, value)| (name.as_str(), text_of(value)))
            .collect();
        let set: Vec<_> = set
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Self::with(&set)
    }

    /// The template's document.
    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// The value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        &self.parameters[name]
    }

    /// All resources that are created, in the template's order. A reference to one that is not is a panic.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        let ids = self.order.iter().filter(|id| self.is_created(id));
        ids.map(|id| {
            self.referred.borrow_mut().clear();
            let whole = evaluate(&self.document["Resources"][id], self).unwrap();
            Resource {
                id: id.clone(),
                kind: whole["Type"].as_str().unwrap().to_owned(),
                needs: self.referred.take(),
                whole,
            }
        })
        .collect()
    }

    /// All outputs that are given, by name.
    pub(crate) fn outputs(&self) -> BTreeMap<String, Value> {
        let outputs = self.document["Outputs"].as_object().unwrap().iter();
        let outputs = outputs.filter(|(_, output)| self.has_condition(output));
        outputs
            .map(|(name, output)| (name.clone(), evaluate(&output["Value"], self).unwrap()))
            .collect()
    }

    /// The descriptions of the rules that these parameters break.
    pub(crate) fn broken_rules(&self) -> Vec<String> {
        let rules = self.document["Rules"].as_object().unwrap().values();
        let assertions = rules.flat_map(|rule| rule["Assertions"].as_array().unwrap());
        assertions
            .filter(|assertion| !self.is_true(&assertion["Assert"]))
            .map(|assertion| text_of(&assertion["AssertDescription"]))
            .collect()
    }

    fn is_created(&self, id: &str) -> bool {
        self.has_condition(&self.document["Resources"][id])
    }

    fn has_condition(&self, of: &Value) -> bool {
        let condition = of.get("Condition").and_then(Value::as_str);
        condition.is_none_or(|condition| self.holds(condition))
    }

    fn is_true(&self, condition: &Value) -> bool {
        let (name, of) = condition.as_object().unwrap().iter().next().unwrap();
        let all = || of.as_array().unwrap().iter();
        match name.as_str() {
            "Fn::Equals" => evaluate(&of[0], self) == evaluate(&of[1], self),
            "Fn::Not" => !self.is_true(&of[0]),
            "Fn::And" => all().all(|it| self.is_true(it)),
            "Fn::Or" => all().any(|it| self.is_true(it)),
            "Condition" => self.holds(of.as_str().unwrap()),
            other => panic!("{other} is not a condition"),
        }
    }
}

impl Meanings for Rendered {
    fn value(&self, name: &str) -> Value {
        if let Some(value) = pseudo_parameter(name) {
            return json!(value);
        }
        if let Some(value) = self.parameters.get(name) {
            let is_list = self.document["Parameters"][name]["Type"] == "CommaDelimitedList";
            return if is_list {
                value.split(',').collect()
            } else {
                json!(value)
            };
        }
        let id = name.split('.').next().unwrap();
        let is_known = self.order.iter().any(|known| known == id);
        assert!(is_known, "neither a parameter nor a resource: {name}");
        assert!(self.is_created(id), "{name} is referred to and not created");
        self.referred.borrow_mut().insert(id.to_owned());
        json!(name)
    }

    fn holds(&self, condition: &str) -> bool {
        self.is_true(&self.document["Conditions"][condition])
    }
}

/// A parameter's value as CloudFormation gets it.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

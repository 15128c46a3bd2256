//! The template's policies, as they are once they are deployed.

use std::collections::HashMap;

use local_aws::template::Template;
use local_servers::helper::workspace_root;
use serde_json::{Value, json};

use crate::rendered::{self, evaluate, pseudo_parameter};

/// What references and conditions of the template stand for: `Bucket`, `Bucket.Arn`, `HasBucket`. A condition holds if it is here.
pub(crate) type Meanings = HashMap<&'static str, String>;

impl rendered::Meanings for Meanings {
    fn value(&self, name: &str) -> Value {
        let own = || self.get(name).map(String::as_str);
        let value = pseudo_parameter(name).or_else(own);
        json!(value.unwrap_or_else(|| panic!("what is {name}?")))
    }

    fn holds(&self, condition: &str) -> bool {
        self.contains_key(condition)
    }
}

/// The policy of a function's role, but for logs.
pub(crate) fn policy(role: &str, meanings: &Meanings) -> Value {
    let template = Template::load(&workspace_root().join("template.yaml")).unwrap();
    let role = &template.document()["Resources"][role]["Properties"];
    let statements = role["Policies"][0]["PolicyDocument"]["Statement"].clone();
    let statements = statements.as_array().unwrap().iter();
    let statements = statements.filter(|statement| !statement.to_string().contains("logs:"));
    let statements = statements.filter_map(|statement| evaluate(statement, meanings));
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
}

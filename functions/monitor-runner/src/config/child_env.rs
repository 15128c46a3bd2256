//! The environment that monitors get.

use std::collections::BTreeMap;

use larder_lambda::Settings;
use secrecy::SecretString;

/// Variables that begin with this are the monitors', without it.
const PREFIX: &str = "MONITOR_ENV_";
/// Variables that are no secrets, all in one, for a deployment's parameter.
const LIST: &str = "MONITOR_ENVIRONMENT";
/// The same of the names of parameters with secrets: a variable is called as its pair says, or as the last part of the
/// parameter's name.
const SECRETS: &str = "MONITOR_SECRET_PARAMETERS";
/// The most variables, and the most secrets.
const MAX_VARIABLES: usize = 64;

/// The environment that monitors get.
#[derive(Clone, Debug, Default)]
pub struct ChildEnv {
    /// By name, values of `MONITOR_ENV_*`, which may be secrets.
    pub values: BTreeMap<String, SecretString>,
    /// By name, values of `MONITOR_ENVIRONMENT`, which are none.
    pub plain: BTreeMap<String, String>,
    /// By name, the SSM parameters that have the values.
    pub parameters: BTreeMap<String, String>,
}

impl ChildEnv {
    /// Reads it; `names` are all variables that are set.
    pub(super) fn read<L: Fn(&str) -> Option<String>>(
        settings: &mut Settings<L>,
        names: impl Iterator<Item = String>,
    ) -> Self {
        let mut env = Self::default();
        for name in names {
            let Some(variable) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if !is_variable(variable) {
                settings.conflict(format!(
                    "{name} gives a monitor a variable without a proper name"
                ));
            } else if let Some(value) = settings.secret(&name) {
                env.values.insert(variable.to_owned(), value);
            }
        }
        for (name, value) in pairs(settings, LIST, pair) {
            if env.values.contains_key(&name) {
                settings.conflict(format!("{LIST} and {PREFIX}{name} both set {name}"));
            }
            env.plain.insert(name, value);
        }
        for (name, parameter) in pairs(settings, SECRETS, pair_or_parameter) {
            if env.values.contains_key(&name) || env.plain.contains_key(&name) {
                settings.conflict(format!("{SECRETS}: {name} is set already"));
            } else if is_parameter(&parameter) {
                env.parameters.insert(name, parameter);
            } else {
                settings.conflict(format!(
                    "{SECRETS}: {name} names {parameter:?}, which is not the name of an SSM parameter"
                ));
            }
        }
        env
    }
}

/// A variable's name and what is set for it.
type Pair = (String, String);

/// The pairs of the setting `name`: `A=1,B=2`, or a JSON object of texts where a value has a comma. No problem quotes
/// a value.
fn pairs<L: Fn(&str) -> Option<String>>(
    settings: &mut Settings<L>,
    name: &str,
    item: fn((usize, &str)) -> Result<Pair, String>,
) -> BTreeMap<String, String> {
    let text = settings.text(name, "");
    let parsed = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("not a JSON object of texts (line {line}, column {column})")
        })
    } else {
        let items = text.split(',').map(str::trim);
        let items = items.filter(|item| !item.is_empty());
        items.enumerate().map(item).collect()
    };
    let pairs: BTreeMap<String, String> = match parsed {
        Ok(pairs) => pairs,
        Err(problem) => {
            settings.conflict(format!("{name}: {problem}"));
            return BTreeMap::new();
        }
    };
    if pairs.len() > MAX_VARIABLES {
        let count = pairs.len();
        settings.conflict(format!(
            "{name} has {count} pairs, of {MAX_VARIABLES} at most"
        ));
    }
    for variable in pairs.keys().filter(|variable| !is_variable(variable)) {
        let variable = larder_lambda::event::shown(variable);
        settings.conflict(format!(
            "{name}: {variable:?} is not the name of a variable"
        ));
    }
    pairs
}

fn pair((at, item): (usize, &str)) -> Result<(String, String), String> {
    let pair = item.split_once('=');
    let pair = pair.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    pair.ok_or_else(|| format!("item {} is not NAME=value", at + 1))
}

fn pair_or_parameter((at, item): (usize, &str)) -> Result<(String, String), String> {
    match item.rsplit_once('/') {
        Some((_, name)) if !item.contains('=') => Ok((name.to_owned(), item.to_owned())),
        _ => pair((at, item)),
    }
}

fn is_variable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts && name.len() <= 128 && name.chars().all(plain)
}

/// Whether `name` has the letters of a parameter's name ("`GetParameter`", AWS Systems Manager API Reference).
fn is_parameter(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    (1..=1011).contains(&name.len()) && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ChildEnv, String> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut settings = Settings::new(lookup);
        let names = variables.iter().map(|(name, _)| (*name).to_owned());
        let env = ChildEnv::read(&mut settings, names);
        settings
            .finish(Some(env))
            .map_err(|error| error.to_string())
    }

    fn shown(env: &ChildEnv) -> Vec<(&str, &str)> {
        let values = env.values.iter();
        let values = values.map(|(name, value)| (name.as_str(), value.expose_secret()));
        let plain = env.plain.iter();
        let plain = plain.map(|(name, value)| (name.as_str(), value.as_str()));
        plain.chain(values).collect()
    }

    #[test]
    fn monitors_get_their_variables_without_the_prefix_and_unprinted() {
        let env = read(&[("MONITOR_ENV_API_TOKEN", "hunter22"), ("OTHER", "x")]).unwrap();
        assert_eq!(shown(&env), [("API_TOKEN", "hunter22")]);
        assert!(!format!("{env:?}").contains("hunter22"));
    }

    #[test]
    fn reads_pairs_and_json_objects() {
        let pairs = "A=1, B = two=2 ,,C=";
        let secrets = "TOKEN=/larder/token,/larder/monitors/API_KEY";
        let env = read(&[(LIST, pairs), (SECRETS, secrets)]).unwrap();
        assert_eq!(shown(&env), [("A", "1"), ("B", "two=2"), ("C", "")]);
        assert_eq!(env.parameters["TOKEN"], "/larder/token");
        assert_eq!(env.parameters["API_KEY"], "/larder/monitors/API_KEY");
        let json = read(&[
            (LIST, r#"{"URL":"https://a/?b=1,2"}"#),
            ("MONITOR_ENV_X", "y"),
        ]);
        assert_eq!(
            shown(&json.unwrap()),
            [("URL", "https://a/?b=1,2"), ("X", "y")]
        );
    }

    #[test]
    fn refuses_what_is_no_pair_without_quoting_values() {
        let many: Vec<String> = (0..65).map(|n| format!("A{n}=hunter22")).collect();
        let many = many.join(",");
        for (name, value, said) in [
            (LIST, "hunter22", "item 1 is not NAME=value"),
            (LIST, "A=1,1B=hunter22", "\"1B\" is not the name"),
            (LIST, r#"{"A":"hunter22""#, "not a JSON object of texts"),
            (
                LIST,
                r#"{"A":{"B":"hunter22"}}"#,
                "not a JSON object of texts",
            ),
            (LIST, many.as_str(), "65 pairs"),
            (
                SECRETS,
                "/larder/not-a-variable",
                "\"not-a-variable\" is not the name",
            ),
            (SECRETS, "A=a b", "not the name of an SSM parameter"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(
                error.contains(said) && !error.contains("hunter22"),
                "{error}"
            );
        }
        for twice in [
            [(LIST, "A=1"), ("MONITOR_ENV_A", "2")],
            [(LIST, "A=1"), (SECRETS, "A=/a")],
        ] {
            assert!(read(&twice).is_err(), "{twice:?}");
        }
    }
}

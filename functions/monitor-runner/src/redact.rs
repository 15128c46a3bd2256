//! Secrets taken out of what monitors say, before it reaches a log, an error or an event. Pure.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// A value shorter than this is as likely a word as a secret, and is not looked for.
const SHORTEST_SECRET: usize = 6;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// Takes the values that monitors were given in confidence out of what they said.
#[derive(Debug)]
pub(crate) struct Redactor<'a>(Vec<&'a SecretString>);

impl<'a> Redactor<'a> {
    pub(crate) fn new(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut secrets: Vec<_> = secrets
            .into_iter()
            .filter(|secret| secret.expose_secret().len() >= SHORTEST_SECRET)
            .collect();
        // The longest first: one may be the beginning of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        Self(secrets)
    }

    pub(crate) fn text(&self, text: &str) -> String {
        let secrets = self.0.iter().map(|secret| secret.expose_secret());
        secrets.fold(text.to_owned(), |text, secret| {
            text.replace(secret, REDACTED)
        })
    }

    /// The same for all texts in `value`, names of fields included.
    pub(crate) fn value(&self, value: &Value) -> Value {
        if self.0.is_empty() {
            return value.clone();
        }
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (self.text(name), self.value(value)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_redacted_and_short_words_are_not() {
        let secrets = ["hunter22", "up", "hunter22-more"].map(SecretString::from);
        let told = Redactor::new(&secrets).text("token hunter22 or hunter22-more is not up");
        assert_eq!(told, "token [redacted] or [redacted] is not up");
    }

    #[test]
    fn redacts_texts_at_any_depth_and_leaves_other_values() {
        let secrets = ["hunter22"].map(SecretString::from);
        let said = json!({ "a hunter22": [{ "b": "with hunter22." }, 22, null], "n": 1.5 });
        assert_eq!(
            Redactor::new(&secrets).value(&said),
            json!({ "a [redacted]": [{ "b": "with [redacted]." }, 22, null], "n": 1.5 })
        );
    }
}

//! A chat completion as it comes: read leniently, as servers differ, and believed in nothing. Pure.

use larder_lambda::event::bounded;
use serde::Deserialize;
use serde_json::Value;

use super::NoText;
use crate::{
    narrative::{Recommendation, Sections},
    outside::QUOTED,
};

/// The longest section that is printed, in characters.
const MAX_SECTION: usize = 3_000;

/// What the text of an answer is, and what it took.
type Read = (Result<(Sections, Recommendation), NoText>, (u64, u64));

#[derive(Default, Deserialize)]
#[serde(default)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    content: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// Reads an answer that anybody may have sent.
pub fn parse(bytes: &[u8]) -> Read {
    let completion: Completion = match serde_json::from_slice(bytes) {
        Ok(completion) => completion,
        Err(error) => return (Err(malformed(&error)), (0, 0)),
    };
    let usage = completion.usage.unwrap_or_default();
    let tokens = (
        usage.prompt_tokens.unwrap_or_default(),
        usage.completion_tokens.unwrap_or_default(),
    );
    let Some(choice) = completion.choices.into_iter().next() else {
        return (
            Err(NoText::Malformed("it has no choices".to_owned())),
            tokens,
        );
    };
    let reason = choice.finish_reason.unwrap_or_default();
    if matches!(reason.as_str(), "length" | "content_filter") {
        return (Err(NoText::CutShort(reason)), tokens);
    }
    (sections(&content(&choice.message.content)), tokens)
}

fn malformed(error: &serde_json::Error) -> NoText {
    NoText::Malformed(bounded(error, QUOTED))
}

/// A text, or parts of one.
fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            texts.collect()
        }
        _ => String::new(),
    }
}

/// The object among whatever stands around it.
fn sections(text: &str) -> Result<(Sections, Recommendation), NoText> {
    let object = text.find('{').zip(text.rfind('}'));
    let object = object.and_then(|(from, to)| text.get(from..=to));
    let object = object.ok_or_else(|| NoText::Malformed("it has no JSON object".to_owned()))?;
    let object: Value = serde_json::from_str(object).map_err(|error| malformed(&error))?;
    let section = |name: &'static str| {
        let text = match object.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(lines)) => {
                let lines: Vec<_> = lines.iter().filter_map(Value::as_str).collect();
                lines.join("\n")
            }
            _ => return Err(NoText::Missing(name)),
        };
        let text = tidy(&text);
        match text.chars().count() {
            0 => Err(NoText::Missing(name)),
            1..=MAX_SECTION => Ok(text),
            _ => Err(NoText::CutShort(format!("{name} is too long"))),
        }
    };
    let (recommendation, what_to_do) = decided(&section("what_to_do")?)?;
    let sections = Sections {
        stock_story: section("stock_story")?,
        what_to_know: section("what_to_know")?,
        what_to_do,
        risks: section("risks")?,
        percentile_analysis: section("percentile_analysis")?,
    };
    Ok((sections, recommendation))
}

/// Without what Markdown puts around words.
fn tidy(text: &str) -> String {
    let kept = text.chars().filter(|letter| {
        !matches!(letter, '*' | '`' | '#') && (!letter.is_control() || *letter == '\n')
    });
    kept.collect::<String>().trim().to_owned()
}

/// The word that it begins with, and the rest.
fn decided(text: &str) -> Result<(Recommendation, String), NoText> {
    let words = [
        ("BUY", Recommendation::Buy),
        ("HOLD", Recommendation::Hold),
        ("SELL", Recommendation::Sell),
    ];
    for (word, recommendation) in words {
        let begins = text.get(..word.len());
        if begins.is_some_and(|begins| begins.eq_ignore_ascii_case(word)) {
            let rest = text.get(word.len()..).unwrap_or_default();
            // "Buying would be premature" advises nobody to buy.
            if rest.starts_with(char::is_alphanumeric) {
                continue;
            }
            let rest = rest.trim_start_matches([':', '.', ' ', '-', '–', '\n']);
            if rest.is_empty() {
                return Err(NoText::Missing("what_to_do"));
            }
            return Ok((recommendation, rest.to_owned()));
        }
    }
    Err(NoText::Undecided)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn completion(content: &Value, finish: &str) -> Vec<u8> {
        json!({ "choices": [{ "message": { "content": content }, "finish_reason": finish }],
            "usage": { "prompt_tokens": 900, "completion_tokens": 300 } })
        .to_string()
        .into_bytes()
    }

    fn good() -> String {
        json!({ "stock_story": "It stands at {{CLOSE}}.", "what_to_know": ["• one", "• two"],
            "what_to_do": "**HOLD**: wait.", "risks": "Many.", "percentile_analysis": "Usual." })
        .to_string()
    }

    #[test]
    fn an_answer_is_read_however_it_is_wrapped() {
        let bare = good();
        let fenced = format!("Here you are:\n```json\n{bare}\n```\nAnything else?");
        let parts = json!([{ "type": "text", "text": bare }]);
        for content in [json!(bare), json!(fenced), parts] {
            for finish in ["stop", ""] {
                let (read, tokens) = parse(&completion(&content, finish));
                let (sections, recommendation) = read.unwrap();
                assert_eq!(recommendation, Recommendation::Hold);
                assert_eq!(sections.what_to_do, "wait.");
                assert_eq!(sections.what_to_know, "• one\n• two");
                assert_eq!(tokens, (900, 300));
            }
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_is_none() {
        let said = |bytes: &[u8]| parse(bytes).0.unwrap_err().to_string();
        assert!(said(&completion(&json!(good()), "length")).contains("cut short"));
        assert!(said(b"<html>").contains("cannot be read"));
        assert!(said(b"{}").contains("no choices"));
        let quoted = json!({ "choices": "\u{7f}".repeat(10_000) }).to_string();
        assert!(said(quoted.as_bytes()).len() < 2_000);
        assert!(said(&completion(&json!(null), "stop")).contains("no JSON object"));
        let without = good().replace("risks", "risk");
        assert!(said(&completion(&json!(without), "stop")).contains("has no risks"));
        let long = good().replace("Many.", &"x".repeat(MAX_SECTION + 1));
        assert!(said(&completion(&json!(long), "stop")).contains("risks is too long"));
        let premature = good().replace("**HOLD**: wait.", "Buying would be premature.");
        assert!(said(&completion(&json!(premature), "stop")).contains("BUY, HOLD and SELL"));
        let undecided = good().replace("HOLD", "MAYBE");
        assert!(said(&completion(&json!(undecided), "stop")).contains("BUY, HOLD and SELL"));
    }
}

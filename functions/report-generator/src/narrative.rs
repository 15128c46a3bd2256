//! The words of a report: five sections and what to do, written by a model or by rules.

mod english;
mod model;
mod phrases;
mod rules;
mod signals;
mod thai;

use serde::{Deserialize, Serialize};

pub use self::model::{MAX_ANSWER, NoText, Spent, parse};
pub(crate) use self::{
    model::{Model, ModelSettings},
    phrases::phrases,
    rules::{by_rules, pick},
};
use crate::{facts::Facts, facts::Refused};

/// The parts of a report. While they are templates they have names for numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sections {
    /// What has happened to the price.
    pub stock_story: String,
    /// What the indicators say.
    pub what_to_know: String,
    /// What follows from it.
    pub what_to_do: String,
    /// What may go wrong.
    pub risks: String,
    /// How usual the indicators are for this ticker.
    pub percentile_analysis: String,
}

impl Sections {
    /// Their texts, in the order in which they are read.
    pub(crate) fn texts(&self) -> [&str; 5] {
        [
            &self.stock_story,
            &self.what_to_know,
            &self.what_to_do,
            &self.risks,
            &self.percentile_analysis,
        ]
    }

    /// The same with numbers in their places.
    pub(crate) fn fill(&self, facts: &Facts) -> Result<Self, Refused> {
        Ok(Self {
            stock_story: facts.fill(&self.stock_story)?,
            what_to_know: facts.fill(&self.what_to_know)?,
            what_to_do: facts.fill(&self.what_to_do)?,
            risks: facts.fill(&self.risks)?,
            percentile_analysis: facts.fill(&self.percentile_analysis)?,
        })
    }
}

/// What a report comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recommendation {
    /// The signals point up.
    Buy,
    /// They point nowhere.
    Hold,
    /// They point down.
    Sell,
}

/// Who wrote the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// A model.
    Llm,
    /// Rules.
    Rules,
}

/// Words with their numbers in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Narrative {
    pub(crate) sections: Sections,
    pub(crate) recommendation: Recommendation,
}

//! Having caches forget what changed: by the function that does so, or directly; and what came of it.

mod direct;
mod function;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use aws_types::SdkConfig;
use cdn::{Item, Known, Price, Room, Standing, plan};
use larder_lambda::milliseconds;
use serde::{Deserialize, Serialize};

pub(crate) use direct::{Direct, Which};
use function::Function;

/// Who has caches forget.
#[derive(Debug)]
pub(crate) enum Way {
    /// The function, which has the permissions, the count of the month and the queue.
    Function(Function),
    /// This program.
    Direct(Direct),
    /// Somebody else: the bucket's events.
    Nobody,
}

/// What has to be forgotten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub(crate) changed: &'a [Item],
    /// What else there is, that a wildcard would clear.
    pub(crate) known: Known<'a>,
    /// Because of what. The same because of the same is one invalidation, however often it is ordered.
    pub(crate) content: &'a str,
    /// Whether this run has changed any of it.
    pub(crate) is_new: bool,
    /// How long it is waited for.
    pub(crate) wait: Duration,
}

/// What came of an order. The function answers in the same shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: Standing,
    #[serde(default)]
    pub(crate) distribution_id: Option<String>,
    #[serde(default)]
    pub(crate) invalidation_id: Option<String>,
    #[serde(default)]
    pub(crate) paths: Vec<String>,
    #[serde(default)]
    pub(crate) billable_paths: u64,
    /// Null where nobody counts.
    #[serde(default)]
    pub(crate) month_billable_paths: Option<u64>,
    #[serde(default)]
    pub(crate) estimated_cost_usd: f64,
    #[serde(default)]
    pub(crate) duration_ms: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// What arguments say of who clears, and whose caches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) function: Option<&'a str>,
    pub(crate) distribution: Option<&'a str>,
    pub(crate) domain: Option<&'a str>,
}

impl Way {
    /// As the arguments say, for orders that wait for so long, and ask for so many wildcards at most: by the function, if one is named;
    /// directly otherwise. Connects to nothing yet.
    pub(crate) fn of(
        config: &SdkConfig,
        told: Told<'_>,
        (wait, wildcards): (Duration, usize),
    ) -> anyhow::Result<Self> {
        let direct = |which| Self::Direct(Direct::new(config, which, wildcards));
        if let Some(id) = told.distribution {
            return Ok(direct(Which::Id(id.to_owned())));
        }
        let domain = told.domain.context("whose caches are to be cleared is not known: give --domain, --distribution or --no-invalidate")?;
        Ok(match told.function {
            Some(function) => {
                Self::Function(Function::new(config, (function, domain, wildcards), wait)?)
            }
            None => direct(Which::Domain(domain.to_owned())),
        })
    }

    /// Orders it. That it cannot be had is an answer.
    pub(crate) async fn clear(&self, order: &Order<'_>) -> Answer {
        if order.changed.is_empty() {
            return Answer::default();
        }
        let began = Instant::now();
        let answer = match self {
            Self::Function(function) => function.clear(order).await,
            Self::Direct(direct) => direct.clear(order).await,
            Self::Nobody => return Answer::default(),
        };
        let mut answer = answer.unwrap_or_else(|error| Answer {
            status: Standing::Failed,
            paths: order.changed.iter().map(Item::to_string).collect(),
            error: Some(format!("{error:#}")),
            ..Answer::default()
        });
        answer.duration_ms = milliseconds(began.elapsed());
        answer
    }

    /// What would be ordered, and what it costs at most.
    pub(crate) fn rehearse(&self, order: &Order<'_>) -> Answer {
        let wildcards = match self {
            Self::Function(function) => function.wildcards(),
            Self::Direct(direct) => direct.wildcards(),
            Self::Nobody => return Answer::default(),
        };
        if order.changed.is_empty() {
            return Answer::default();
        }
        match order.planned(wildcards) {
            Ok(paths) => {
                let items = u64::try_from(paths.len()).unwrap_or(u64::MAX);
                Answer {
                    billable_paths: items,
                    // Nobody knows what others had of the free ones.
                    estimated_cost_usd: cdn::cost(0, items, 0),
                    paths,
                    ..Answer::default()
                }
            }
            Err(error) => Answer {
                status: Standing::Failed,
                error: Some(error.to_string()),
                ..Answer::default()
            },
        }
    }
}

impl Order<'_> {
    /// The items that clear what changed and nothing else.
    fn planned(&self, wildcards: usize) -> Result<Vec<String>, cdn::NoRoom> {
        let room = Room {
            wildcards,
            ..Room::ALL
        };
        let plan = plan(self.changed, self.known, Price::FREE, room)?;
        Ok(plan.items.iter().map(Item::to_string).collect())
    }
}

impl Answer {
    /// Whether what was ordered is done, or will be.
    pub(crate) fn is_well(&self) -> bool {
        self.status != Standing::Failed
    }

    /// In a few words.
    pub(crate) fn told(&self) -> String {
        let count = self.paths.len();
        let paths = match self.paths.as_slice() {
            [one] => one.clone(),
            [one, two] => format!("{one} and {two}"),
            [one, ..] => format!("{one} and {} more", count - 1),
            [] => String::new(),
        };
        let of = match (&self.invalidation_id, &self.distribution_id) {
            (Some(invalidation), Some(distribution)) => {
                format!(" ({invalidation} of {distribution})")
            }
            _ => String::new(),
        };
        match (self.status, &self.error) {
            (Standing::Failed, Some(error)) => format!("failed: {error}"),
            (Standing::Failed, None) => "failed".to_owned(),
            (Standing::Skipped, _) if count == 0 => "nothing to clear".to_owned(),
            (Standing::Skipped, _) => format!("{paths}: asked for before{of}"),
            (Standing::Completed, _) => format!("{paths}: cleared{of}"),
            (Standing::Submitted, Some(why)) => format!("{paths}: {why}{of}"),
            (Standing::Submitted, None) => format!("{paths}: under way{of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_in_a_few_words() {
        let answer = |status, paths: &[&str]| Answer {
            status,
            distribution_id: Some("E1".to_owned()),
            invalidation_id: Some("I1".to_owned()),
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
            ..Answer::default()
        };
        for (status, paths, told) in [
            (
                Standing::Completed,
                &["/a", "/b"][..],
                "/a and /b: cleared (I1 of E1)",
            ),
            (
                Standing::Submitted,
                &["/a", "/b", "/c"][..],
                "/a and 2 more: under way (I1 of E1)",
            ),
            (
                Standing::Skipped,
                &["/a"][..],
                "/a: asked for before (I1 of E1)",
            ),
            (Standing::Skipped, &[][..], "nothing to clear"),
            (Standing::Failed, &["/a"][..], "failed"),
        ] {
            assert_eq!(answer(status, paths).told(), told);
        }
    }

    #[test]
    fn a_rehearsal_tells_the_most_that_it_can_cost() {
        let items = ["/a", "/b"].map(|path| Item::parse(path).unwrap());
        let order = Order {
            changed: &items,
            known: Known::Nothing,
            content: "",
            is_new: true,
            wait: Duration::ZERO,
        };
        assert_eq!(Way::Nobody.rehearse(&order), Answer::default());
        let function = Way::Function(Function::of("f", "example.com", 13));
        let answer = function.rehearse(&order);
        assert_eq!(answer.paths, ["/a", "/b"]);
        assert!((answer.estimated_cost_usd - 0.01).abs() < 1e-9);
    }
}

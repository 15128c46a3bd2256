//! What somebody wants invalidated, and asks about.

use std::time::{Duration, Instant};

use cdn::{Done, ErrorKind, Item, Known, Order, Standing, release};
use jiff::Timestamp;
use larder_lambda::{Deadline, Error, ErrorKind as LambdaKind};
use serde_json::{Value, json};

use crate::{
    App, Call, FOR_THE_ANSWER,
    answer::Outcome,
    domain::Domain,
    event::{Direct, Status, What},
    failed::Failed,
    gather::Changed,
    in_time,
};

/// How long it is waited where an event wants that, and the settings do not say.
const WAIT: Duration = Duration::from_mins(1);

impl App {
    /// Does what somebody wants. That it could not be done is an answer: a build must not break. An event that cannot be meant is an
    /// error.
    pub(crate) async fn direct(
        &self,
        direct: Direct,
        call: &mut Call<'_>,
    ) -> Result<Outcome, Error> {
        let domain = self.domain_of(&direct.what)?.clone();
        let version = direct
            .version
            .clone()
            .unwrap_or_else(|| call.request_id.to_owned());
        let ordered = self.order(&domain, (&direct, &version), call).await;
        let (distribution, done) = match ordered {
            Ok(ordered) => ordered,
            Err(failed) => return Ok(self.put_off(&direct, &version, failed, call).await),
        };
        let done = self.waited(&distribution, done, direct.wait, call).await;
        Ok(Outcome::of_order(&distribution, &done))
    }

    /// Orders it from the distribution that serves the domain.
    async fn order(
        &self,
        domain: &Domain,
        (direct, version): (&Direct, &str),
        call: &mut Call<'_>,
    ) -> Result<(String, Done), Failed> {
        let changed = self.items_of(&direct.what)?;
        let distribution = in_time(call.deadline, self.distribution_of(domain)).await?;
        let content = [version.to_owned()];
        let done = self
            .carry_out(&order(&distribution, &changed, &content), call)
            .await;
        let is_gone = |failed: &Failed| failed.kind() == ErrorKind::NoDistribution;
        if !done.as_ref().is_err_and(is_gone) || self.config.distribution.is_some() {
            return Ok((distribution, done?));
        }
        // What was looked up before is not there any more: what is looked up now may be.
        let distribution = in_time(call.deadline, self.distribution_of(domain)).await?;
        let done = self
            .carry_out(&order(&distribution, &changed, &content), call)
            .await?;
        Ok((distribution, done))
    }

    /// Which domain serves it, by the settings or by the event itself.
    fn domain_of<'a>(&'a self, what: &'a What) -> Result<&'a Domain, Error> {
        match what {
            What::Monitor(_) => Ok(&self.config.releases_domain),
            What::Paths { domain, .. } => Ok(domain),
            What::Templates => self.config.templates_domain.as_ref().ok_or_else(|| {
                let message = "field `templates`: this function does not know where templates are; set its TEMPLATES_DOMAIN";
                Error::message(LambdaKind::BadRequest, message)
            }),
        }
    }

    fn items_of(&self, what: &What) -> Result<Vec<Item>, Failed> {
        let prefix = self.config.prefix.as_str();
        match what {
            What::Monitor(monitor) => {
                let keys = release::Release { prefix, monitor }.mutable();
                let items = keys.iter().map(|key| Item::of_key(key));
                items.collect::<Result<_, _>>().map_err(Failed::Rejected)
            }
            What::Templates => {
                let all = Item::parse(&format!("/{}*", release::TEMPLATES));
                Ok(vec![all.map_err(Failed::Rejected)?])
            }
            What::Paths { items, .. } => Ok(items.clone()),
        }
    }

    /// The same once it is completed, or once there is no more time for that.
    async fn waited(
        &self,
        distribution: &str,
        mut done: Done,
        wanted: bool,
        call: &mut Call<'_>,
    ) -> Done {
        let time = self.time_to_wait(wanted, call.deadline);
        if done.invalidation.is_completed || time.is_zero() {
            return done;
        }
        let began = Instant::now();
        let cloudfront = &self.invalidator.cloudfront;
        match cdn::wait(cloudfront, distribution, done.invalidation.clone(), time).await {
            Ok(waited) => done.invalidation = waited,
            Err(error) => tracing::warn!(%error, "An invalidation could not be waited for"),
        }
        if done.invalidation.is_completed && done.is_new {
            call.metrics.completion_seconds = Some(began.elapsed().as_secs_f64());
        }
        done
    }

    fn time_to_wait(&self, wanted: bool, deadline: Deadline) -> Duration {
        let time = match (self.config.wait.is_zero(), wanted) {
            (true, true) => WAIT,
            (true, false) => Duration::ZERO,
            (false, _) => self.config.wait,
        };
        time.min(deadline.time_left().saturating_sub(FOR_THE_ANSWER))
    }

    /// Leaves for the queue what may succeed later; tells why it did not now.
    async fn put_off(
        &self,
        direct: &Direct,
        version: &str,
        failed: Failed,
        call: &mut Call<'_>,
    ) -> Outcome {
        let is_retryable = failed.kind().is_retryable();
        if let Some(queue) = self.queue.as_ref().filter(|_| is_retryable) {
            match queue.send(&message(direct, version)).await {
                Ok(()) => {
                    tracing::warn!(error = %failed, "An invalidation is put off");
                    call.metrics.put_off += 1;
                    return Outcome {
                        error: Some(format!("put off for a minute: {failed}")),
                        ..Outcome::nothing(Standing::Submitted)
                    };
                }
                Err(error) => tracing::error!(%error, "An invalidation could not be put off"),
            }
        }
        tracing::error!(error = %failed, "An invalidation failed");
        call.metrics.failed(&failed);
        let hint = if is_retryable {
            "; ask again in a minute"
        } else {
            ""
        };
        let mut outcome = Outcome::of_failure(&failed);
        outcome.error = outcome.error.map(|error| error + hint);
        outcome
    }

    /// How an invalidation stands.
    pub(crate) async fn status(&self, status: Status, call: &mut Call<'_>) -> Outcome {
        let Status {
            distribution,
            invalidation,
            wait,
        } = status;
        let cloudfront = &self.invalidator.cloudfront;
        let deadline = call.deadline;
        let asked = async {
            let get = async {
                let found = cloudfront.get(&distribution, &invalidation).await;
                found.map_err(Failed::Asked)
            };
            let found = in_time(deadline, get).await?;
            let time = if wait {
                self.time_to_wait(wait, deadline)
            } else {
                Duration::ZERO
            };
            let waited = cdn::wait(cloudfront, &distribution, found, time).await;
            waited.map_err(Failed::Asked)
        };
        match asked.await {
            Ok(found) => Outcome::of_status(&distribution, found),
            Err(failed) => {
                call.metrics.failed(&failed);
                Outcome {
                    distribution_id: Some(distribution.clone()),
                    invalidation_id: Some(invalidation.clone()),
                    ..Outcome::of_failure(&failed)
                }
            }
        }
    }

    /// The same as a change of a queue's message.
    pub(crate) async fn changes_of_direct(
        &self,
        direct: &Direct,
        (message, id, sent): (usize, &str, Option<Timestamp>),
    ) -> Result<Vec<(String, Changed)>, Failed> {
        let domain = self
            .domain_of(&direct.what)
            .map_err(|error| Failed::Invalid(error.to_string()))?;
        let distribution = self.distribution_of(domain).await?;
        let changed = Changed {
            message,
            // Not the version alone: others may have come and gone since, and what is done now is nothing that a later order of the
            // same version repeats.
            identity: format!(
                "late {} {id}",
                direct.version.as_deref().unwrap_or_default()
            ),
            items: self.items_of(&direct.what)?,
            // Whatever was cleared since it was sent has cleared what it asks for.
            at: sent,
            object: None,
        };
        Ok(vec![(distribution, changed)])
    }
}

/// An order of what somebody names: nothing is known of what else is there.
fn order<'a>(distribution: &'a str, changed: &'a [Item], content: &'a [String]) -> Order<'a> {
    Order {
        distribution,
        changed,
        known: Known::Nothing,
        content,
    }
}

/// The event again, as the same request.
fn message(direct: &Direct, version: &str) -> Value {
    let mut event = match &direct.what {
        What::Monitor(monitor) => json!({ "monitor": monitor }),
        What::Templates => json!({ "templates": true }),
        What::Paths { domain, items } => json!({ "domain": domain.as_str(), "paths": items }),
    };
    if let Value::Object(fields) = &mut event {
        fields.insert("version".to_owned(), json!(version));
    }
    event
}

//! Where runs' results go.

use std::str::FromStr;

use larder_lambda::Settings;

/// Settings of the events on a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcements {
    /// Which events are sent: `RESULT_EVENTS`.
    pub events: ResultEvents,
    /// The name or the ARN of the bus: `EVENT_BUS_NAME`.
    pub bus: String,
    /// The bucket that all environments know the last statuses by: `CACHE_BUCKET`.
    pub bucket: Option<String>,
    /// The function's own name, which Lambda sets.
    pub function: String,
}

/// Which events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultEvents {
    /// One for each change of a monitor's status.
    Changes,
    /// One for each run, too.
    All,
    /// None.
    None,
}

impl FromStr for ResultEvents {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "changes" => Ok(Self::Changes),
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            _ => Err(()),
        }
    }
}

impl Announcements {
    /// Reads them; `None` if they are invalid.
    pub(super) fn read<L: Fn(&str) -> Option<String>>(settings: &mut Settings<L>) -> Option<Self> {
        let events = settings.parsed("RESULT_EVENTS", "changes", "changes, all or none");
        let bus = settings.text("EVENT_BUS_NAME", "default");
        if !is_bus(&bus) {
            let problem = "is not the name or the ARN of an event bus";
            settings.reject("EVENT_BUS_NAME", &bus, problem);
        }
        Some(Self {
            events: events?,
            bus,
            bucket: settings.optional("CACHE_BUCKET"),
            function: settings.text("AWS_LAMBDA_FUNCTION_NAME", ""),
        })
    }
}

/// Whether `text` has the letters that names and ARNs have ("`PutEventsRequestEntry`", Amazon `EventBridge` API Reference).
fn is_bus(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/.-_:".contains(c);
    (1..=1600).contains(&text.len()) && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bus_is_a_name_or_an_arn() {
        let arn = "arn:aws:events:eu-west-1:123456789012:event-bus/ops";
        assert!(is_bus("default") && is_bus("ops/a.b-c_d") && is_bus(arn));
        assert!(!is_bus("") && !is_bus("a bus") && !is_bus(&"a".repeat(1601)));
    }
}

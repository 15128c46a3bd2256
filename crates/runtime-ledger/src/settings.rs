//! The settings that both functions of running minutes share.

use std::str::FromStr;

use jiff::tz::TimeZone;
use larder_lambda::Settings;

use crate::{ec2::Which, instance::InstanceId};

/// Where servers, their tables and their months are.
#[derive(Clone, Debug)]
pub struct RuntimeSettings {
    /// The servers' table: `SERVERS_TABLE`.
    pub servers_table: String,
    /// The ledger's table: `LEDGER_TABLE`.
    pub ledger_table: String,
    /// The tag that makes an instance a server: `APP_TAG_KEY`.
    pub tag_key: String,
    /// The value that it has to have, if any: `APP_TAG_VALUE`.
    pub tag_value: Option<String>,
    /// Where servers are: `REGIONS`; none for the function's own.
    pub regions: Vec<String>,
    /// Whose months and days count: `BILLING_TIMEZONE`.
    pub zone: TimeZone,
}

impl RuntimeSettings {
    /// Reads them; `None` stands for a problem.
    pub fn read<L: Fn(&str) -> Option<String>>(settings: &mut Settings<L>) -> Option<Self> {
        let zone = settings.parsed(
            "BILLING_TIMEZONE",
            "UTC",
            "a time zone such as Europe/Berlin",
        );
        let regions = regions(settings);
        Some(Self {
            servers_table: table(settings, "SERVERS_TABLE", "servers"),
            ledger_table: table(settings, "LEDGER_TABLE", "runtime-ledger"),
            tag_key: tag_key(settings),
            tag_value: settings.optional("APP_TAG_VALUE"),
            regions,
            zone: zone.map(|Zone(zone)| zone)?,
        })
    }

    /// What to describe: servers, those among `ids` if there are any.
    #[must_use]
    pub fn servers<'a>(&'a self, ids: &'a [InstanceId]) -> Which<'a> {
        Which {
            tag: Some((&self.tag_key, self.tag_value.as_deref())),
            ids,
        }
    }
}

struct Zone(TimeZone);

impl FromStr for Zone {
    type Err = jiff::Error;

    fn from_str(name: &str) -> Result<Self, jiff::Error> {
        TimeZone::get(name).map(Self)
    }
}

/// "Naming rules" in the Amazon DynamoDB Developer Guide.
fn table<L: Fn(&str) -> Option<String>>(
    settings: &mut Settings<L>,
    name: &str,
    default: &str,
) -> String {
    let table = settings.text(name, default);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !(3..=255).contains(&table.len()) || !table.chars().all(plain) {
        let problem = "is not a table's name, which has 3 to 255 letters, digits and _.-";
        settings.reject(name, &table, problem);
    }
    table
}

fn tag_key<L: Fn(&str) -> Option<String>>(settings: &mut Settings<L>) -> String {
    let key = settings.text("APP_TAG_KEY", "App");
    if key.chars().count() > 128 {
        settings.reject(
            "APP_TAG_KEY",
            &key,
            "is longer than a tag's key, 128 letters",
        );
    }
    key
}

fn regions<L: Fn(&str) -> Option<String>>(settings: &mut Settings<L>) -> Vec<String> {
    let mut regions = settings.list("REGIONS", "");
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    for region in &regions {
        // It becomes a part of a host's name.
        if region.len() > 32 || !region.chars().all(plain) {
            settings.reject("REGIONS", region, "is not a Region such as eu-central-1");
        }
    }
    regions.sort_unstable();
    regions.dedup();
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<RuntimeSettings, String> {
        let mut settings = Settings::new(|name: &str| {
            let set = variables.iter().find(|(key, _)| *key == name);
            set.map(|(_, value)| (*value).to_owned())
        });
        let read = RuntimeSettings::read(&mut settings);
        settings.finish(read).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_set_is_the_defaults() {
        let settings = read(&[]).unwrap();
        assert_eq!(
            (settings.servers_table.as_str(), settings.tag_key.as_str()),
            ("servers", "App")
        );
        assert_eq!((settings.tag_value, settings.regions), (None, vec![]));
        assert_eq!(settings.zone, TimeZone::UTC);
    }

    #[test]
    fn every_wrong_value_is_told_at_once() {
        let error = read(&[
            ("SERVERS_TABLE", "a b"),
            ("LEDGER_TABLE", "x"),
            ("REGIONS", "us-east-1,evil.example.com/"),
            ("BILLING_TIMEZONE", "Middle/Earth"),
        ])
        .unwrap_err();
        for name in [
            "SERVERS_TABLE=",
            "LEDGER_TABLE=",
            "REGIONS=\"evil",
            "BILLING_TIMEZONE=",
        ] {
            assert!(error.contains(name), "{name}: {error}");
        }
        let regions = read(&[("REGIONS", "us-east-1, eu-west-1,us-east-1")])
            .unwrap()
            .regions;
        assert_eq!(regions, ["eu-west-1", "us-east-1"]);
    }
}

//! Slack's own status page: <https://docs.slack.dev/reference/slack-status-api>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// The services that Slack tells of, as its page spells them.
const SERVICES: [&str; 11] = [
    "Login/SSO",
    "Messaging",
    "Notifications",
    "Search",
    "Workspace/Org Administration",
    "Canvases",
    "Connectivity",
    "Files",
    "Huddles",
    "Apps/Integrations/APIs",
    "Workflows",
];

#[derive(Deserialize)]
struct Page {
    status: String,
    active_incidents: Vec<Incident>,
}

#[derive(Deserialize)]
struct Incident {
    id: u64,
    title: String,
    #[serde(rename = "type")]
    kind: String,
    services: Vec<String>,
}

/// Each service's level: 0 all is well, 1 a notice, 2 an incident, 3 an outage; the worst of what
/// is open.
pub(crate) fn states(page: &[u8]) -> anyhow::Result<Value> {
    let page: Page = serde_json::from_slice(page)?;
    let mut services: BTreeMap<&str, u8> =
        SERVICES.into_iter().map(|service| (service, 0)).collect();
    for incident in &page.active_incidents {
        for service in &incident.services {
            let level = services.entry(service).or_default();
            *level = (*level).max(level_of(&incident.kind));
        }
    }
    let incidents: Vec<Value> = page
        .active_incidents
        .iter()
        .map(
            |incident| json!({ "id": incident.id, "title": incident.title, "type": incident.kind }),
        )
        .collect();
    Ok(
        json!({ "status": page.status, "services": services, "active_incidents": incidents.len(), "incidents": incidents }),
    )
}

/// A kind that is new to us is taken for an incident: not for nothing, and not for the worst.
fn level_of(kind: &str) -> u8 {
    match kind {
        "notice" => 1,
        "outage" => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_day_has_every_service_at_zero() {
        let states = states(br#"{"status":"ok","active_incidents":[]}"#).unwrap();
        assert_eq!(
            states["services"].as_object().unwrap().len(),
            SERVICES.len()
        );
        assert!(
            states["services"]
                .as_object()
                .unwrap()
                .values()
                .all(|level| level == 0)
        );
        assert_eq!(states["active_incidents"], 0);
    }

    #[test]
    fn the_worst_of_what_is_open_counts() {
        let page = json!({
            "status": "active",
            "active_incidents": [
                { "id": 879, "title": "Slow", "type": "outage", "services": ["Files", "Search"] },
                { "id": 880, "title": "Maintenance", "type": "notice", "services": ["Files", "Something new"] },
            ],
        });
        let states = states(page.to_string().as_bytes()).unwrap();
        assert_eq!(states["services"]["Files"], 3);
        assert_eq!(states["services"]["Search"], 3);
        assert_eq!(states["services"]["Something new"], 1);
        assert_eq!(states["services"]["Messaging"], 0);
        assert_eq!(states["incidents"][0]["title"], "Slow");
    }
}

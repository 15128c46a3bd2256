//! Any page made with Statuspage, GitHub's for one: <https://www.githubstatus.com/api>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

const IMPACTS: [&str; 4] = ["none", "minor", "major", "critical"];

#[derive(Deserialize)]
struct Page {
    incidents: Vec<Incident>,
}

#[derive(Deserialize)]
struct Incident {
    id: String,
    name: String,
    status: String,
    impact: String,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
}

/// Each named component's impact level, 0 none to 3 critical, and how many incidents of each impact
/// are open.
pub(crate) fn states(page: &[u8]) -> anyhow::Result<Value> {
    let page: Page = serde_json::from_slice(page)?;
    let mut services: BTreeMap<&str, usize> = BTreeMap::new();
    let mut impacts: BTreeMap<&str, usize> =
        IMPACTS.into_iter().map(|impact| (impact, 0)).collect();
    for incident in &page.incidents {
        *impacts.entry(&incident.impact).or_default() += 1;
        for component in &incident.components {
            let level = services.entry(&component.name).or_default();
            *level = (*level).max(level_of(&incident.impact));
        }
    }
    let highest = page
        .incidents
        .iter()
        .map(|incident| level_of(&incident.impact))
        .max();
    let incidents: Vec<Value> = page
        .incidents
        .iter()
        .map(|incident| json!({ "id": incident.id, "title": incident.name, "status": incident.status, "impact": incident.impact }))
        .collect();
    Ok(json!({
        "status": if incidents.is_empty() { "ok" } else { "active" },
        "services": services,
        "unresolved_incidents": incidents.len(),
        "impacts": impacts,
        "highest_impact_level": highest.unwrap_or_default(),
        "incidents": incidents,
    }))
}

/// An impact that is new to us is taken for a minor one.
fn level_of(impact: &str) -> usize {
    IMPACTS
        .iter()
        .position(|known| *known == impact)
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_incident_is_all_well() {
        let states = states(br#"{"page":{},"incidents":[]}"#).unwrap();
        assert_eq!(states["status"], "ok");
        assert_eq!(states["highest_impact_level"], 0);
        assert_eq!(
            states["impacts"],
            json!({ "none": 0, "minor": 0, "major": 0, "critical": 0 })
        );
    }

    #[test]
    fn impacts_are_counted_and_components_get_the_worst() {
        let page = json!({ "incidents": [
            { "id": "a", "name": "Slow", "status": "investigating", "impact": "major", "components": [{ "name": "Actions" }] },
            { "id": "b", "name": "Late", "status": "monitoring", "impact": "minor", "components": [{ "name": "Actions" }] },
        ]});
        let states = states(page.to_string().as_bytes()).unwrap();
        assert_eq!(states["services"]["Actions"], 2);
        assert_eq!(states["impacts"]["major"], 1);
        assert_eq!(states["unresolved_incidents"], 2);
        assert_eq!(states["highest_impact_level"], 2);
    }
}

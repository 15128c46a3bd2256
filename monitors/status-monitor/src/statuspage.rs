//! Any page made with Statuspage, GitHub's for one: its summary (`/api/v2/summary.json`) or its open incidents
//! (`/api/v2/incidents/unresolved.json`). Format: <https://www.githubstatus.com/api>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

const IMPACTS: [&str; 4] = ["none", "minor", "major", "critical"];

/// The states of a component, from level 0 on. Maintenance that was announced is no worse than a degradation.
const STATES: [(&str, usize); 5] = [
    ("operational", 0),
    ("under_maintenance", 1),
    ("degraded_performance", 1),
    ("partial_outage", 2),
    ("major_outage", 3),
];

#[derive(Deserialize)]
struct Page {
    incidents: Vec<Incident>,
    #[serde(default)]
    components: Vec<Component>,
    status: Option<Overall>,
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
    /// Of an incident's components some pages have the name alone.
    #[serde(default)]
    status: Option<String>,
    /// Whether it stands for others, which are there as well.
    #[serde(default)]
    group: bool,
}

/// What the page says in one word.
#[derive(Deserialize)]
struct Overall {
    indicator: String,
}

/// The level of each component that is not well, 0 none to 3 critical: by its own state and by the impact of the incidents
/// that name it; and how many incidents of each impact are open.
pub(crate) fn states(page: &[u8]) -> anyhow::Result<Value> {
    let page: Page = serde_json::from_slice(page)?;
    let mut services: BTreeMap<&str, usize> = BTreeMap::new();
    for component in page.components.iter().filter(|component| !component.group) {
        let level = component.status.as_deref().map_or(0, level_of_state);
        if level > 0 {
            raise(&mut services, component, level);
        }
    }
    let mut impacts: BTreeMap<&str, usize> =
        IMPACTS.into_iter().map(|impact| (impact, 0)).collect();
    for incident in &page.incidents {
        *impacts.entry(&incident.impact).or_default() += 1;
        for component in &incident.components {
            raise(&mut services, component, level_of(&incident.impact));
        }
    }
    let indicator = page.status.map(|overall| overall.indicator);
    let levels = page.incidents.iter();
    let levels = levels.map(|incident| level_of(&incident.impact));
    let highest = levels.chain(indicator.as_deref().map(level_of)).max();
    let highest = highest.unwrap_or_default();
    let incidents: Vec<Value> = page
        .incidents
        .iter()
        .map(|incident| json!({ "id": incident.id, "title": incident.name, "status": incident.status, "impact": incident.impact }))
        .collect();
    let is_well = incidents.is_empty() && highest == 0;
    Ok(json!({
        "status": if is_well { "ok" } else { "active" },
        "indicator": indicator,
        "services": services,
        "unresolved_incidents": incidents.len(),
        "impacts": impacts,
        "highest_impact_level": highest,
        "incidents": incidents,
    }))
}

fn raise<'a>(services: &mut BTreeMap<&'a str, usize>, component: &'a Component, level: usize) {
    let highest = services.entry(&component.name).or_default();
    *highest = (*highest).max(level);
}

/// An impact that is new to us, such as `maintenance`, is taken for a minor one.
fn level_of(impact: &str) -> usize {
    IMPACTS
        .iter()
        .position(|known| *known == impact)
        .unwrap_or(1)
}

/// The same of a component's state.
fn level_of_state(state: &str) -> usize {
    let known = STATES.iter().find(|(known, _)| *known == state);
    known.map_or(1, |(_, level)| *level)
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

    fn summary(indicator: &str, component: &str) -> Value {
        let page = json!({
            "page": { "id": "kctbh9vrtdwd", "name": "GitHub", "url": "https://www.githubstatus.com" },
            "components": [
                { "id": "a", "name": "Git Operations", "status": component, "group": false, "only_show_if_degraded": false },
                { "id": "b", "name": "Actions", "status": "operational", "group": false },
                { "id": "c", "name": "All of it", "status": component, "group": true },
            ],
            "incidents": [],
            "scheduled_maintenances": [],
            "status": { "indicator": indicator, "description": "…" },
        });
        states(page.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn summary_tells_of_components_without_an_incident() {
        for (component, level) in [
            ("under_maintenance", 1),
            ("degraded_performance", 1),
            ("partial_outage", 2),
            ("major_outage", 3),
            ("new_to_us", 1),
        ] {
            let states = summary("minor", component);
            assert_eq!(states["status"], "active");
            assert_eq!(states["services"], json!({ "Git Operations": level }));
        }
        let well = summary("none", "operational");
        assert_eq!(
            (&well["status"], &well["services"]),
            (&json!("ok"), &json!({}))
        );
        assert_eq!(
            summary("critical", "operational")["highest_impact_level"],
            3
        );
    }
}

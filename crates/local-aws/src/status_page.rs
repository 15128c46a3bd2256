//! A status page: Slack's API and Statuspage's, with what one wants them to say.
//!
//! Formats: <https://docs.slack.dev/reference/slack-status-api>,
//! <https://www.githubstatus.com/api>.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, Router, extract::State, routing::get};
use http::StatusCode;
use serde_json::{Value, json};

use crate::server::Server;

/// The path of Slack's present status.
pub const SLACK: &str = "/api/v2.0.0/current";

/// The path of a Statuspage's summary.
pub const STATUSPAGE: &str = "/api/v2/summary.json";

/// A running status page. `PUT` to a path replaces what it says.
#[derive(Debug)]
pub struct StatusPage {
    server: Server,
    slack: Page,
    statuspage: Page,
}

/// What one path says, with the status that it says it with.
type Page = Arc<Mutex<(StatusCode, Value)>>;

impl StatusPage {
    /// Starts a page on which all is well with Slack, and one incident is open at GitHub.
    pub async fn start() -> anyhow::Result<Self> {
        let slack = page(quiet_slack());
        let statuspage = page(json!({
            "page": { "id": "kctbh9vrtdwd", "name": "GitHub", "url": "https://www.githubstatus.com" },
            "incidents": [{
                "id": "p31zjtct2jer",
                "name": "Delays in Actions",
                "status": "investigating",
                "impact": "minor",
                "shortlink": "https://stspg.io/p31zjtct2jer",
                "created_at": "2026-11-21T08:31:00.000Z",
                "updated_at": "2026-11-21T08:40:00.000Z",
                "incident_updates": [{
                    "id": "jdy3tw5mt5r5",
                    "status": "investigating",
                    "body": "We are investigating delays in starting workflows.",
                    "created_at": "2026-11-21T08:31:00.000Z",
                }],
                "components": [{ "name": "Actions" }],
            }],
            "components": [
                { "id": "br0l2tvcx85d", "name": "Actions", "status": "degraded_performance", "group": false },
                { "id": "8l4ygp009s5s", "name": "Git Operations", "status": "operational", "group": false },
            ],
            "scheduled_maintenances": [],
            "status": { "indicator": "minor", "description": "Minor Service Outage" },
        }));
        let one = |page: &Page| get(read).put(write).with_state(Arc::clone(page));
        let app = Router::new()
            .route(SLACK, one(&slack))
            .route(STATUSPAGE, one(&statuspage));
        Ok(Self {
            server: Server::start(app).await?,
            slack,
            statuspage,
        })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Has Slack's page say `body` with `status`.
    pub fn set_slack(&self, status: StatusCode, body: Value) {
        *lock(&self.slack) = (status, body);
    }

    /// Has the Statuspage say `body` with `status`.
    pub fn set_statuspage(&self, status: StatusCode, body: Value) {
        *lock(&self.statuspage) = (status, body);
    }
}

/// What Slack's page says when all is well.
#[must_use]
pub fn quiet_slack() -> Value {
    json!({
        "status": "ok",
        "date_created": "2026-11-21T09:00:00-08:00",
        "date_updated": "2026-11-21T09:00:00-08:00",
        "active_incidents": [],
    })
}

fn page(body: Value) -> Page {
    Arc::new(Mutex::new((StatusCode::OK, body)))
}

fn lock(page: &Page) -> std::sync::MutexGuard<'_, (StatusCode, Value)> {
    page.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(State(page): State<Page>) -> (StatusCode, Json<Value>) {
    let (status, body) = lock(&page).clone();
    (status, Json(body))
}

async fn write(State(page): State<Page>, Json(body): Json<Value>) -> StatusCode {
    *lock(&page) = (StatusCode::OK, body);
    StatusCode::NO_CONTENT
}

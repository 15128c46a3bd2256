//! The status pages that need no setting.

/// Slack's page, in a format of its own.
const SLACK: &str = "https://slack-status.com/api/v2.0.0/current";

/// The path of the summary that every page made with Statuspage has.
const SUMMARY: &str = "/api/v2/summary.json";

/// Pages made with Statuspage, or that answer as those do, by the name of their monitor.
const STATUSPAGES: [(&str, &str); 17] = [
    ("atlassian", "status.atlassian.com"),
    ("bitbucket", "bitbucket.status.atlassian.com"),
    ("circleci", "status.circleci.com"),
    ("cloudflare", "www.cloudflarestatus.com"),
    ("datadog", "status.datadoghq.com"),
    ("digitalocean", "status.digitalocean.com"),
    ("discord", "discordstatus.com"),
    ("dropbox", "status.dropbox.com"),
    ("figma", "status.figma.com"),
    ("github", "www.githubstatus.com"),
    ("npm", "status.npmjs.org"),
    ("openai", "status.openai.com"),
    ("reddit", "www.redditstatus.com"),
    ("sendgrid", "status.sendgrid.com"),
    ("twilio", "status.twilio.com"),
    ("vercel", "www.vercel-status.com"),
    ("zoom", "status.zoom.us"),
];

/// The URL that tells the state of what the monitor `name` watches, if it is well known.
pub(crate) fn url_of(name: &str) -> Option<String> {
    if name == "slack" {
        return Some(SLACK.to_owned());
    }
    let page = STATUSPAGES.iter().find(|(known, _)| *known == name);
    page.map(|(_, host)| format!("https://{host}{SUMMARY}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_github_and_zoom_need_no_setting() {
        for (name, url) in [
            ("slack", "https://slack-status.com/api/v2.0.0/current"),
            ("github", "https://www.githubstatus.com/api/v2/summary.json"),
            ("zoom", "https://status.zoom.us/api/v2/summary.json"),
        ] {
            assert_eq!(url_of(name).as_deref(), Some(url));
        }
        assert_eq!(url_of("my-own"), None);
    }
}

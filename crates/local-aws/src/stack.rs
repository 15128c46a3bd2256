//! All that the functions need to run on this machine, started together and stopped together.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde_json::json;
use tempfile::TempDir;

use local_network::{Network, Profile, Service};

use crate::{
    cdn::Cdn,
    edge::Edge,
    event_bus::EventBus,
    moto::Moto,
    progress::Progress,
    publish::{NewRelease, Publisher},
    reports::Reports,
    servers::Servers,
    status_page::{SLACK, STATUSPAGE, StatusPage},
};

/// The monitors that are published, all of them the one program that this workspace holds.
pub const MONITORS: [&str; 2] = ["slack", "github"];

const RELEASES: &str = "releases";
/// The bucket that all environments of a function share.
const CACHE: &str = "cache";

/// A running stack. Dropping it ends everything in it; so does the end of this process.
#[derive(Debug)]
pub struct Stack {
    /// S3.
    pub moto: Moto,
    /// The edge in front of the releases.
    pub edge: Edge,
    /// The edge's address for functions.
    releases_url: String,
    /// CloudFront, whose edge that is, and what tells of changes.
    pub cdn: Cdn,
    /// Where releases come from.
    pub publisher: Publisher,
    /// What the monitors watch.
    pub status_page: StatusPage,
    /// The event bus that tells of changes of what the monitors watch.
    pub events: EventBus,
    /// The servers whose minutes are counted.
    pub servers: Servers,
    /// What reports are made of.
    pub reports: Reports,
    /// Where functions keep what they cache; for this stack alone.
    tmp: TempDir,
    /// The proxies between functions and all of that.
    network: Network,
    variables: BTreeMap<String, String>,
}

impl Stack {
    /// Starts everything, publishes the monitors, and puts the network of `profile` in front of it all.
    pub async fn start(progress: &Progress, profile: Profile) -> anyhow::Result<Self> {
        let mut stack = Self::start_servers(progress, Network::new(profile)).await?;
        let direct = stack.direct_variables();
        stack.variables = stack.network.route(direct).await?;
        if profile != Profile::Loopback {
            progress.note(&format!(
                "Network `{profile}`: its latencies are in docs/network.md"
            ));
        }
        Ok(stack)
    }

    /// Starts everything. Of `network` only the way to the releases is needed here: metadata has it.
    async fn start_servers(progress: &Progress, mut network: Network) -> anyhow::Result<Self> {
        let step = progress.step("S3, by moto");
        let moto = Moto::start()?;
        let s3 = moto.s3().await;
        step.done(moto.url());

        let step = progress.step("release CDN and status page");
        let edge = Edge::start(s3.clone(), RELEASES).await?;
        let status_page = StatusPage::start().await?;
        step.done(&format!("{} and {}", edge.url(), status_page.url()));

        let step = progress.step("monitors, signed and published");
        let releases_url = network.reach(Service::Edge, &edge.url()).await?;
        let publisher = Publisher::create(s3, RELEASES, &releases_url).await?;
        let version = publish_monitors(&publisher).await?;
        step.done(&format!("{} v{version}", MONITORS.join(" and ")));

        let step = progress.step("an event bus, and a bucket for statuses");
        let create = moto.s3().await.create_bucket().bucket(CACHE);
        create.send().await.context("could not make a bucket")?;
        let pattern = json!({ "source": ["larder.monitor-runner"] });
        let events = EventBus::create(&moto, "default", &pattern).await?;
        step.done(events.name());

        let step = progress.step("DynamoDB, and servers by CloudTrail and EC2");
        let servers = Servers::start().await?;
        let [trail, ec2, dynamodb] = servers.urls();
        step.done(&format!("{dynamodb}, {trail} and {ec2}"));

        let step = progress.step("CloudFront, and buckets that tell what changes");
        let cdn = Cdn::start(&moto, &servers.tables().await, (RELEASES, &edge)).await?;
        step.done(&cdn.cloudfront.url());

        let step = progress.step("prices, news, a model and LINE");
        let reports = Reports::start(&moto).await?;
        step.done(&format!(
            "{}, {} and {}",
            reports.market.url(),
            reports.chat.url(),
            reports.line.url()
        ));

        let tmp = tempfile::Builder::new().prefix("larder-").tempdir()?;
        Ok(Self {
            moto,
            edge,
            releases_url,
            cdn,
            publisher,
            status_page,
            events,
            servers,
            reports,
            tmp,
            network,
            variables: BTreeMap::new(),
        })
    }

    /// The variables that have functions use this stack and nothing else of AWS, through its network.
    #[must_use]
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Returns the same variables with the servers' own addresses.
    fn direct_variables(&self) -> BTreeMap<String, String> {
        let pages = [("SLACK", SLACK), ("GITHUB", STATUSPAGE)].map(|(name, path)| {
            (
                format!("MONITOR_ENV_{name}_STATUS_URL"),
                self.status_page.url() + path,
            )
        });
        let others = [
            ("AWS_ENDPOINT_URL", self.moto.url().to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("CACHE_DIR", self.tmp.path().to_string_lossy().into_owned()),
            ("RELEASES_URL", self.releases_url.clone()),
            ("MONITORS", MONITORS.join(",")),
            ("REQUIRE_SIGNATURE", "true".to_owned()),
            ("TRUSTED_KEYS", self.publisher.public_key()),
            ("CACHE_BUCKET", CACHE.to_owned()),
            ("EVENT_BUS_NAME", self.events.name().to_owned()),
        ];
        others
            .into_iter()
            .chain(self.servers.variables())
            .chain(self.reports.variables())
            .chain(self.cdn.variables())
            .map(|(name, value)| (name.to_owned(), value))
            .chain(pages)
            .collect()
    }
}

/// Publishes one version of all monitors and returns it.
async fn publish_monitors(publisher: &Publisher) -> anyhow::Result<String> {
    let program = built("status-monitor")?;
    let binary = std::fs::read(&program)
        .with_context(|| format!("could not read {}: build it first", program.display()))?;
    let version = jiff::Timestamp::now()
        .strftime("%Y.%m.%d.%H%M%S-local")
        .to_string();
    for monitor in MONITORS {
        let release = NewRelease::new(monitor, &version, binary.clone());
        publisher.publish(&release).await?;
    }
    Ok(version)
}

/// The path of a program of this workspace, which lies where this very program does.
pub(crate) fn built(name: &str) -> anyhow::Result<std::path::PathBuf> {
    let this = std::env::current_exe().context("this program does not know where it is")?;
    Ok(this.parent().unwrap_or_else(|| Path::new(".")).join(name))
}

//! EC2 servers whose minutes are counted: a fleet, the CloudTrail and the EC2 that tell of it, and the tables.

use jiff::{SignedDuration, Timestamp};
use local_servers::dynamodb::DynamoDb;

use crate::{
    cloud::Cloud,
    cloudtrail::CloudTrail,
    dynamodb::{client, create_table},
    ec2::Ec2,
    fleet::{Change, Fleet, Habits},
};

/// The server that the sample events are about.
const SAMPLE: &str = "i-0a1b2c3d4e5f60718";
/// When `events/runtime-events/state-change.json` says that it was stopped.
const STOPPED: &str = "2026-11-21T09:00:00Z";
const REGION: &str = "us-east-1";
const SERVERS: &str = "servers";
const LEDGER: &str = "runtime-ledger";
/// How many others there are.
const OTHERS: usize = 11;

/// All that tells of servers, running.
#[derive(Debug)]
pub struct Servers {
    trail: CloudTrail,
    ec2: Ec2,
    dynamodb: DynamoDb,
}

impl Servers {
    /// Starts it, with a dozen servers that were started and stopped for two months.
    pub async fn start() -> anyhow::Result<Self> {
        let cloud = Cloud::new();
        cloud.set(fleet(Timestamp::now())?);
        let dynamodb = DynamoDb::start()?;
        let tables = client(&dynamodb).await;
        create_table(&tables, SERVERS, &["id"]).await?;
        create_table(&tables, LEDGER, &["pk", "sk"]).await?;
        Ok(Self {
            trail: CloudTrail::start(cloud.clone()).await?,
            ec2: Ec2::start(cloud).await?,
            dynamodb,
        })
    }

    /// A client of the tables, for others to have theirs beside.
    pub async fn tables(&self) -> aws_sdk_dynamodb::Client {
        client(&self.dynamodb).await
    }

    /// Where CloudTrail, EC2 and DynamoDB are.
    #[must_use]
    pub fn urls(&self) -> [String; 3] {
        [self.trail.url(), self.ec2.url(), self.dynamodb.url()]
    }

    /// The variables that have functions use it.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 5] {
        let [trail, ec2, dynamodb] = self.urls();
        [
            ("AWS_ENDPOINT_URL_CLOUDTRAIL", trail),
            ("AWS_ENDPOINT_URL_EC2", ec2),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb),
            ("SERVERS_TABLE", SERVERS.to_owned()),
            ("LEDGER_TABLE", LEDGER.to_owned()),
        ]
    }
}

fn fleet(now: Timestamp) -> anyhow::Result<Fleet> {
    let habits = Habits {
        servers: OTHERS,
        from: now - SignedDuration::from_hours(24 * 60),
        until: now,
        stays: SignedDuration::from_hours(16),
        steady: 30,
        shutdowns: true,
        ends: false,
    };
    let mut fleet = Fleet::random(REGION, &habits, 1);
    fleet.add(SAMPLE, &[("App", "minecraft"), ("Name", "sample")]);
    let stopped: Timestamp = STOPPED.parse()?;
    let launched = stopped - SignedDuration::from_hours(20 * 24 + 1);
    let started = now - SignedDuration::from_mins(90);
    fleet.change(launched, Change::Launch, &[SAMPLE]);
    fleet.change(stopped, Change::Stop, &[SAMPLE]);
    fleet.change(
        started.max(stopped + SignedDuration::from_mins(2)),
        Change::Start,
        &[SAMPLE],
    );
    Ok(fleet)
}

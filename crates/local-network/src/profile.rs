//! Network profiles: the figures of each service. `docs/network.md` has them with their sources; a test compares the two.

use std::time::Duration;

use super::{latency::Latency, link::Link};

/// A service at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Amazon S3.
    S3,
    /// Amazon DynamoDB.
    DynamoDb,
    /// AWS Systems Manager, whose Parameter Store functions read.
    Ssm,
    /// AWS CloudTrail.
    CloudTrail,
    /// Amazon EC2's API.
    Ec2,
    /// Amazon CloudFront's API.
    CloudFront,
    /// Amazon SQS.
    Sqs,
    /// Amazon CloudWatch.
    CloudWatch,
    /// Amazon EventBridge.
    Events,
    /// Amazon SNS.
    Sns,
    /// A Redis, Valkey or `DragonflyDB` server in the function's VPC.
    Redis,
    /// An edge of a content delivery network.
    Edge,
    /// Any other server on the Internet.
    Http,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::S3,
        Self::DynamoDb,
        Self::Ssm,
        Self::CloudTrail,
        Self::Ec2,
        Self::CloudFront,
        Self::Sqs,
        Self::CloudWatch,
        Self::Events,
        Self::Sns,
        Self::Redis,
        Self::Edge,
        Self::Http,
    ];

    /// Returns the name that documents and tables use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::DynamoDb => "DynamoDB",
            Self::Ssm => "SSM",
            Self::CloudTrail => "CloudTrail",
            Self::Ec2 => "EC2",
            Self::CloudFront => "CloudFront API",
            Self::Sqs => "SQS",
            Self::CloudWatch => "CloudWatch",
            Self::Events => "EventBridge",
            Self::Sns => "SNS",
            Self::Redis => "Redis",
            Self::Edge => "CDN edge",
            Self::Http => "outside HTTP",
        }
    }
}

/// The network between functions and services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// This machine's loopback, without anything in between.
    #[default]
    Loopback,
    /// A function outside of a VPC that uses the public endpoints of its own Region.
    Region,
    /// A function in a VPC: gateway endpoints for S3 and `DynamoDB`, interface endpoints for AWS's other
    /// APIs of the Region, a NAT gateway to the rest.
    Vpc,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Loopback, Self::Region, Self::Vpc];

    /// Returns the name that commands take.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Region => "region",
            Self::Vpc => "vpc",
        }
    }

    /// Returns the link to `service`, or none where nothing stands in between.
    #[must_use]
    pub const fn link(self, service: Service) -> Option<Link> {
        match self {
            Self::Loopback => None,
            Self::Region => Some(region(service)),
            Self::Vpc => Some(vpc(service)),
        }
    }
}

impl std::str::FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|profile| profile.name() == name);
        let names = Self::ALL.map(Self::name).join(", ");
        found.ok_or_else(|| format!("unknown network profile `{name}`: use one of {names}"))
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Share of requests that are refused: one of a thousand.
const REFUSALS: f64 = 0.001;
/// Connection set-up to an endpoint of the same Region: two round trips (TCP, then TLS 1.3).
const REGIONAL_SETUP: Latency = Latency::from_micros(4_000, 40_000);
/// Idle time of AWS's public endpoints.
const ENDPOINT_IDLE: Duration = Duration::from_mins(1);
/// Idle time of what leads out of a VPC, and of load balancers: NAT gateways, interface endpoints.
const VPC_IDLE: Duration = Duration::from_secs(350);
/// Extra latency of an interface endpoint or a NAT gateway.
const VPC_HOP: Latency = Latency::from_micros(1_000, 5_000);

/// Creates the link to an endpoint of AWS in the same Region, from quantiles in milliseconds.
const fn regional(p50: u64, p99: u64) -> Link {
    let latency = Latency::from_micros(p50 * 1_000, p99 * 1_000);
    Link::fixed(Duration::ZERO)
        .setup(REGIONAL_SETUP)
        .read(latency)
        .write(latency)
        .jitter(Duration::from_micros(500))
        .idle(ENDPOINT_IDLE)
        .refusals(REFUSALS)
}

const fn region(service: Service) -> Link {
    match service {
        Service::S3 => regional(30, 250)
            .write(Latency::from_micros(50_000, 400_000))
            .idle(Duration::from_secs(20)),
        Service::DynamoDb => regional(4, 30),
        Service::Ssm => regional(15, 150),
        Service::CloudTrail => regional(300, 2_000),
        Service::Ec2 => regional(150, 1_000),
        Service::CloudFront => regional(200, 1_500),
        Service::Sqs => regional(10, 80),
        Service::CloudWatch | Service::Events | Service::Sns => regional(20, 150),
        Service::Redis => Link::fixed(Duration::ZERO)
            .setup(Latency::from_micros(1_000, 6_000))
            .read(Latency::from_micros(500, 3_000))
            .write(Latency::from_micros(500, 3_000))
            .jitter(Duration::from_micros(100))
            .idle(VPC_IDLE),
        Service::Edge => regional(15, 120)
            .setup(Latency::from_micros(10_000, 100_000))
            .jitter(Duration::from_millis(1)),
        Service::Http => regional(120, 1_000)
            .setup(Latency::from_micros(80_000, 400_000))
            .jitter(Duration::from_millis(5)),
    }
}

const fn vpc(service: Service) -> Link {
    let link = region(service);
    match service {
        // A gateway endpoint is a route, without a hop of its own; the cache is in the VPC under both profiles.
        Service::S3 | Service::DynamoDb | Service::Redis => link,
        _ => Link {
            setup: link.setup.plus(&VPC_HOP),
            read: link.read.plus(&VPC_HOP),
            write: link.write.plus(&VPC_HOP),
            ..link
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantiles(latency: &Latency) -> String {
        format!("{} / {}", millis(latency.p50()), millis(latency.p99()))
    }

    fn millis(time: Duration) -> f64 {
        time.as_secs_f64() * 1_000.0
    }

    #[test]
    fn documented_figures_are_those_of_the_code() {
        let document = include_str!("../../../docs/network.md");
        for service in Service::ALL {
            let link = Profile::Region.link(service).unwrap();
            let columns = [
                service.name().to_owned(),
                quantiles(&link.setup),
                quantiles(&link.read),
                quantiles(&link.write),
                millis(link.jitter).to_string(),
                link.idle.unwrap().as_secs().to_string(),
            ];
            let row = format!("\n| {} |", columns.join(" | "));
            assert!(document.contains(&row), "docs/network.md lacks {row}");
            let refusals = if service == Service::Redis {
                0.0
            } else {
                0.001
            };
            assert!((link.refusals - refusals).abs() < f64::EPSILON);
        }
        let row = "All others have 1 / 5 more";
        assert!(document.contains(row) && quantiles(&VPC_HOP) == "1 / 5");
    }

    #[test]
    fn vpc_adds_a_hop_to_what_lies_outside() {
        let link = |profile: Profile, service| profile.link(service).unwrap();
        for service in [Service::S3, Service::DynamoDb, Service::Redis] {
            assert_eq!(link(Profile::Vpc, service), link(Profile::Region, service));
        }
        let (inside, outside) = (
            link(Profile::Region, Service::Ssm),
            link(Profile::Vpc, Service::Ssm),
        );
        assert_eq!(outside.read, inside.read.plus(&VPC_HOP));
        assert_eq!(outside.setup, inside.setup.plus(&VPC_HOP));
        assert!(
            Service::ALL
                .iter()
                .all(|it| Profile::Loopback.link(*it).is_none())
        );
    }
}

//! The way from a function's variables to proxies.

use std::collections::BTreeMap;

use super::{
    profile::{Profile, Service},
    proxy::Proxy,
};

/// Seed of the first proxy: the same delays in every run.
const SEED: u64 = 15;
/// Variables that hold a URL, and the service there.
const ROUTES: [(&str, Service); 18] = [
    ("AWS_ENDPOINT_URL_CLOUDFRONT", Service::CloudFront),
    ("AWS_ENDPOINT_URL_CLOUDTRAIL", Service::CloudTrail),
    ("AWS_ENDPOINT_URL_CLOUDWATCH", Service::CloudWatch),
    ("AWS_ENDPOINT_URL_DYNAMODB", Service::DynamoDb),
    ("AWS_ENDPOINT_URL_EC2", Service::Ec2),
    ("AWS_ENDPOINT_URL_EVENTBRIDGE", Service::Events),
    ("AWS_ENDPOINT_URL_S3", Service::S3),
    ("AWS_ENDPOINT_URL_SNS", Service::Sns),
    ("AWS_ENDPOINT_URL_SQS", Service::Sqs),
    ("AWS_ENDPOINT_URL_SSM", Service::Ssm),
    ("CACHE_URL", Service::Redis),
    ("LINE_API_URL", Service::Http),
    ("LLM_URL", Service::Http),
    ("MARKET_DATA_URL", Service::Http),
    ("MONITOR_ENV_GITHUB_STATUS_URL", Service::Http),
    ("MONITOR_ENV_SLACK_STATUS_URL", Service::Http),
    ("NEWS_URL", Service::Http),
    ("RELEASES_URL", Service::Edge),
];
/// Endpoint of every service of AWS without a variable of its own.
const ALL_OF_AWS: &str = "AWS_ENDPOINT_URL";

/// A profile, and the proxies that put it between functions and servers. Dropping it closes them.
#[derive(Debug, Default)]
pub struct Network {
    profile: Profile,
    proxies: Vec<Proxy>,
}

impl Network {
    /// Creates a network with this profile and no proxies yet.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            proxies: Vec::new(),
        }
    }

    /// Returns the profile.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Returns the URL at which functions reach the `service` whose server is at `upstream`: that of a new proxy, or
    /// `upstream` itself where the profile puts nothing in between.
    pub async fn reach(&mut self, service: Service, upstream: &str) -> anyhow::Result<String> {
        let Some(link) = self.profile.link(service) else {
            return Ok(upstream.to_owned());
        };
        let number = u64::try_from(self.proxies.len()).unwrap_or_default();
        let proxy = Proxy::start(service, upstream, link, SEED + number).await?;
        let path = upstream
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .map(|(_, path)| format!("/{path}"));
        let url = proxy.url() + &path.unwrap_or_default();
        self.proxies.push(proxy);
        Ok(url)
    }

    /// Puts proxies in front of every server that a function's variables name, but for those that lead to a proxy already.
    /// `AWS_ENDPOINT_URL` leads to the one in front of
    /// S3, and further variables to those in front of the other services that are there. Without a profile nothing changes.
    pub async fn route(
        &mut self,
        mut variables: BTreeMap<String, String>,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        if self.profile == Profile::Loopback {
            return Ok(variables);
        }
        let all = variables.get(ALL_OF_AWS).cloned();
        for (name, service) in ROUTES {
            let fallback = all.as_ref().filter(|_| name.starts_with(ALL_OF_AWS));
            let upstream = variables.get(name).or(fallback).cloned();
            if let Some(upstream) = upstream.filter(|it| !self.is_routed(it)) {
                let url = self.reach(service, &upstream).await?;
                variables.insert(name.to_owned(), url);
            }
        }
        if let (Some(_), Some(s3)) = (all, variables.get("AWS_ENDPOINT_URL_S3").cloned()) {
            variables.insert(ALL_OF_AWS.to_owned(), s3);
        }
        Ok(variables)
    }

    fn is_routed(&self, url: &str) -> bool {
        self.proxies.iter().any(|proxy| proxy.url() == url)
    }

    /// Returns the first proxy in front of `service`, if any.
    #[must_use]
    pub fn proxy(&self, service: Service) -> Option<&Proxy> {
        self.proxies.iter().find(|proxy| proxy.service() == service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, String> {
        let variables = [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:2"),
            ("AWS_REGION", "us-east-1"),
            (
                "MONITOR_ENV_SLACK_STATUS_URL",
                "http://127.0.0.1:3/api/current",
            ),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        variables.map(owned).into()
    }

    #[tokio::test]
    async fn region_leads_every_service_through_a_proxy() {
        let mut network = Network::new(Profile::Region);
        let routed = network.route(variables()).await.unwrap();
        assert_eq!(routed["AWS_REGION"], "us-east-1");
        assert_eq!(routed["AWS_ENDPOINT_URL"], routed["AWS_ENDPOINT_URL_S3"]);
        let ssm = network.proxy(Service::Ssm).unwrap();
        assert_eq!(routed["AWS_ENDPOINT_URL_SSM"], ssm.url());
        assert_ne!(routed["AWS_ENDPOINT_URL_EC2"], "http://127.0.0.1:2");
        let page = &routed["MONITOR_ENV_SLACK_STATUS_URL"];
        let http = network.proxy(Service::Http).unwrap();
        assert_eq!(*page, http.url() + "/api/current");
        assert!(!routed.contains_key("CACHE_URL"), "none was set");
        let edge = network.reach(Service::Edge, "http://127.0.0.1:4").await;
        let variables = BTreeMap::from([("RELEASES_URL".to_owned(), edge.unwrap())]);
        let again = network.route(variables.clone()).await.unwrap();
        assert_eq!(again, variables, "one proxy is enough");
    }

    #[tokio::test]
    async fn loopback_has_no_proxies() {
        let mut network = Network::new(Profile::Loopback);
        assert_eq!(network.route(variables()).await.unwrap(), variables());
        assert!(Service::ALL.iter().all(|it| network.proxy(*it).is_none()));
    }
}

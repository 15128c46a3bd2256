//! All ports together, as the settings say: what both functions of running minutes are made with.

use aws_types::SdkConfig;

use crate::{ec2::Ec2, ledger::Ledger, lookup::Trail, servers::Servers, settings::RuntimeSettings};

/// Clients of everything that tells of servers, and of what is kept of them.
#[derive(Debug)]
pub struct Clients {
    /// Where servers are.
    pub regions: Vec<Region>,
    /// The ledger's table.
    pub ledger: Ledger,
    /// The servers' table.
    pub servers: Servers,
}

/// A Region and its clients.
#[derive(Debug)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Its CloudTrail.
    pub trail: Trail,
    /// Its EC2.
    pub ec2: Ec2,
}

/// The clients cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoClients {
    /// There is no Region.
    #[error("neither REGIONS nor AWS_REGION is set: name the Regions that servers are in")]
    NoRegion,
    /// The client of EC2 lacks something.
    #[error(transparent)]
    Ec2(#[from] larder_lambda::NotSet),
}

impl Clients {
    /// By `settings` and `aws`, whose Region it is where the settings name none. None of them connects.
    pub fn new(settings: &RuntimeSettings, aws: &SdkConfig) -> Result<Self, NoClients> {
        let mut names = settings.regions.clone();
        if names.is_empty() {
            let own = aws.region().ok_or(NoClients::NoRegion)?;
            names.push(own.to_string());
        }
        let regions = names.into_iter().map(|name| Region::new(name, aws));
        let dynamodb = aws_sdk_dynamodb::Client::new(aws);
        Ok(Self {
            regions: regions.collect::<Result<_, _>>()?,
            ledger: Ledger::new(dynamodb.clone(), &settings.ledger_table),
            servers: Servers::new(dynamodb, &settings.servers_table),
        })
    }
}

impl Region {
    fn new(name: String, aws: &SdkConfig) -> Result<Self, larder_lambda::NotSet> {
        Ok(Self {
            trail: Trail::new(aws, &name),
            ec2: Ec2::new(aws, &name)?,
            name,
        })
    }
}

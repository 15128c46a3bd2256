//! Fleets of EC2 servers whose every second is known before any event of them exists.
//!
//! A fleet is what really happened. [`crate::cloudtrail`] and [`crate::ec2`] tell of it as AWS does; who computes
//! minutes from what they tell is compared with [`Server::ran`].

mod random;
mod record;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub use random::Habits;
pub use record::Record;

/// For how long EC2 describes a server that was terminated: about an hour.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// After so long a terminated server has no tags any more, while EC2 still describes it.
const TAGGED: SignedDuration = SignedDuration::from_mins(40);

/// What really happened, in one Region.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Where.
    pub region: String,
    servers: BTreeMap<String, Server>,
    records: Vec<Record>,
}

/// A server and its life.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its id.
    pub id: String,
    tags: BTreeMap<String, String>,
    changes: Vec<(Timestamp, Change)>,
}

/// What happens to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is made, and started.
    Launch,
    /// It is started.
    Start,
    /// It is stopped by a call.
    Stop,
    /// It is terminated by a call.
    Terminate,
    /// It is a spot server, and taken back.
    Reclaim,
    /// It shuts itself down: no call, so CloudTrail has nothing of it. EC2 may say when, or not.
    Shutdown {
        /// Whether it does.
        dated: bool,
    },
}

/// How long it takes, at most, from an accepted start or stop to what follows.
const TAKES: i64 = 40;

impl Change {
    const fn starts(self) -> bool {
        matches!(self, Self::Launch | Self::Start)
    }

    const fn is_final(self) -> bool {
        matches!(self, Self::Terminate | Self::Reclaim)
    }

    /// What a server is at once, and after a while.
    const fn states(self) -> [&'static str; 2] {
        match self {
            Self::Launch | Self::Start => ["pending", "running"],
            Self::Stop | Self::Shutdown { .. } => ["stopping", "stopped"],
            Self::Terminate | Self::Reclaim => ["shutting-down", "terminated"],
        }
    }

    /// The call or the event that CloudTrail has of it.
    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Launch => "RunInstances",
            Self::Start => "StartInstances",
            Self::Stop => "StopInstances",
            Self::Terminate => "TerminateInstances",
            Self::Reclaim => "BidEvictedEvent",
            Self::Shutdown { .. } => return None,
        })
    }
}

impl Fleet {
    /// One without servers.
    #[must_use]
    pub fn new(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            servers: BTreeMap::new(),
            records: Vec::new(),
        }
    }

    /// Adds a server that does not exist yet.
    pub fn add(&mut self, id: &str, tags: &[(&str, &str)]) {
        let tags = tags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let server = Server {
            id: id.to_owned(),
            tags: tags.collect(),
            changes: Vec::new(),
        };
        self.servers.insert(id.to_owned(), server);
    }

    /// Has all of `ids` change at `at`, later than anything before; by one call, if by any.
    pub fn change(&mut self, at: Timestamp, change: Change, ids: &[&str]) {
        let before: Vec<_> = ids.iter().map(|id| self.state(id, at)).collect();
        for id in ids {
            if let Some(server) = self.servers.get_mut(*id) {
                server.changes.push((at, change));
            }
        }
        if let Some(name) = change.name() {
            let [after, _] = change.states();
            let of = ids.iter().zip(before);
            let of = of.map(|(id, before)| ((*id).to_owned(), before, after));
            self.note(at, name, None, of.collect());
        }
    }

    /// Has somebody ask for `name` of all of `ids`, and be refused with `error`; or, without one, get what is so already.
    pub fn ask_in_vain(
        &mut self,
        at: Timestamp,
        name: &'static str,
        error: Option<&'static str>,
        ids: &[&str],
    ) {
        let of = ids.iter().map(|id| {
            let state = self.state(id, at);
            ((*id).to_owned(), state, state)
        });
        let of = of.collect();
        self.note(at, name, error, of);
    }

    fn state(&self, id: &str, at: Timestamp) -> &'static str {
        let server = self.servers.get(id);
        server
            .and_then(|server| server.state(at))
            .unwrap_or("pending")
    }

    fn note(
        &mut self,
        at: Timestamp,
        name: &'static str,
        error: Option<&'static str>,
        of: Vec<(String, &'static str, &'static str)>,
    ) {
        let number = self.records.len();
        self.records.push(Record {
            at,
            name,
            error,
            of,
            id: format!("{}-{number:08x}", self.region),
        });
    }

    /// Its servers.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.values()
    }

    /// The server of this id.
    #[must_use]
    pub fn server(&self, id: &str) -> Option<&Server> {
        self.servers.get(id)
    }

    /// What CloudTrail has of it.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The notifications that EventBridge sends of what happened between two moments, in order.
    #[must_use]
    pub fn notifications(&self, from: Timestamp, until: Timestamp) -> Vec<Value> {
        let all = self.servers.values().flat_map(|server| {
            let states = server.states();
            states.map(|(at, state)| (at, state, server.id.as_str()))
        });
        let mut all: Vec<_> = all.filter(|(at, ..)| (from..until).contains(at)).collect();
        all.sort_unstable();
        all.into_iter()
            .map(|(at, state, id)| notification(&self.region, id, state, at))
            .collect()
    }
}

/// `events` as EventBridge may bring them: some of them twice or three times, and in no order.
#[must_use]
pub fn disturbed(events: Vec<Value>, seed: u64) -> Vec<Value> {
    let mut random = fastrand::Rng::with_seed(seed);
    let copies = events.into_iter().flat_map(|event| {
        let times = random.usize(1..=3);
        std::iter::repeat_n(event, times)
    });
    let mut events: Vec<_> = copies.collect();
    random.shuffle(&mut events);
    events
}

/// An event that EventBridge sends ("EC2 Instance State-change Notification").
#[must_use]
pub fn notification(region: &str, id: &str, state: &str, at: Timestamp) -> Value {
    json!({
        "version": "0",
        "id": format!("{id}-{state}-{}", at.as_second()),
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "account": "123456789012",
        "time": format!("{at:.0}"),
        "region": region,
        "resources": [format!("arn:aws:ec2:{region}:123456789012:instance/{id}")],
        "detail": { "instance-id": id, "state": state },
    })
}

/// When a change that began then is done.
fn settled(at: Timestamp) -> Timestamp {
    at + SignedDuration::from_secs(5 + at.as_second() % (TAKES - 5))
}

impl Server {
    /// What it was from when on.
    fn states(&self) -> impl Iterator<Item = (Timestamp, &'static str)> {
        let next = self.changes.iter().skip(1).map(|(at, _)| *at);
        let until = next.chain([Timestamp::MAX]);
        self.changes
            .iter()
            .zip(until)
            .flat_map(|((at, change), until)| {
                let [first, then] = change.states();
                let settled = settled(*at);
                [(*at, first)]
                    .into_iter()
                    .chain((settled < until).then_some((settled, then)))
            })
    }

    /// The last change before `at`.
    fn last(&self, at: Timestamp) -> Option<&(Timestamp, Change)> {
        let known = self.changes.partition_point(|(since, _)| *since <= at);
        self.changes.get(known.checked_sub(1)?)
    }

    /// Its state at `at`; none before its launch.
    #[must_use]
    pub fn state(&self, at: Timestamp) -> Option<&'static str> {
        let (since, change) = self.last(at)?;
        let [first, then] = change.states();
        Some(if at < settled(*since) { first } else { then })
    }

    /// For how many seconds it really ran between two moments.
    #[must_use]
    pub fn ran(&self, from: Timestamp, until: Timestamp) -> i64 {
        let (mut seconds, mut since) = (0, None);
        let end = [(until, None)];
        let changes = self.changes.iter().map(|(at, change)| (*at, Some(*change)));
        for (at, change) in changes.chain(end) {
            let at = at.clamp(from, until);
            match (since, change) {
                (None, Some(change)) if change.starts() => since = Some(at),
                (Some(started), change) if change.is_none_or(|change| !change.starts()) => {
                    seconds += at.duration_since(started).as_secs();
                    since = None;
                }
                _ => {}
            }
        }
        seconds
    }

    /// How many times it shut itself down between two moments: CloudTrail has nothing of these, and EC2 may say no more when
    /// it was, if it is started again before it is looked at.
    #[must_use]
    pub fn shutdowns(&self, from: Timestamp, until: Timestamp) -> usize {
        let shutdown = |(at, change): &&(Timestamp, Change)| {
            (from..=until).contains(at) && matches!(change, Change::Shutdown { .. })
        };
        self.changes.iter().filter(shutdown).count()
    }

    /// When it was started last before `at`.
    #[must_use]
    pub fn launched(&self, at: Timestamp) -> Option<Timestamp> {
        let starts = self.changes.iter().rev();
        let mut starts = starts.filter(|(since, change)| *since <= at && change.starts());
        starts.next().map(|(since, _)| *since)
    }

    /// Why it is what it is, as `StateTransitionReason` has it.
    #[must_use]
    pub fn reason(&self, at: Timestamp) -> String {
        match self.last(at) {
            Some((since, Change::Stop | Change::Terminate | Change::Shutdown { dated: true })) => {
                format!(
                    "User initiated ({} GMT)",
                    since.strftime("%Y-%m-%d %H:%M:%S")
                )
            }
            Some((_, Change::Reclaim)) => "Server.SpotInstanceTermination".to_owned(),
            _ => String::new(),
        }
    }

    /// Its tags at `at`, by which time a server that was terminated may have none.
    pub fn tags(&self, at: Timestamp) -> impl Iterator<Item = (&str, &str)> {
        let last = self.last(at);
        let gone = last
            .is_some_and(|(since, change)| change.is_final() && at.duration_since(*since) > TAGGED);
        let tags = self.tags.iter().filter(move |_| !gone);
        tags.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether EC2 describes it.
    #[must_use]
    pub fn is_described(&self, at: Timestamp) -> bool {
        self.last(at).is_some_and(|(since, change)| {
            !change.is_final() || at.duration_since(*since) <= REMEMBERED
        })
    }
}

//! The fold of transitions against fleets whose every second is known: thousands of them, drawn at random, told of by
//! CloudTrail, EventBridge and EC2 as these do.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use local_aws::fleet::{Fleet, Habits, Server, disturbed};
use runtime_ledger::{
    Account, Described, InstanceId, Known, Looks, Month, Observation, Quality, State, StateChange,
    Timeline, Total, moment_in_reason, parse_record,
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What EC2 says of a server.
fn described(server: &Server, now: Timestamp) -> Option<Described> {
    server.is_described(now).then(|| Described {
        instance: server.id.parse().unwrap(),
        state: server.state(now).unwrap().parse().unwrap(),
        launched: server.launched(now).unwrap(),
        changed: moment_in_reason(&server.reason(now)),
        at: now,
    })
}

/// What CloudTrail says of all servers, from one moment to another.
fn recorded(fleet: &Fleet, from: Timestamp, until: Timestamp) -> Vec<(InstanceId, Observation)> {
    let records = fleet.records().iter();
    let records = records.filter(|record| (from..=until).contains(&record.at));
    let transitions = records.flat_map(|record| {
        let of = record.of.iter().map(|(id, ..)| id.parse().unwrap());
        parse_record(
            &record.body("us-east-1").to_string(),
            &of.collect::<Vec<_>>(),
        )
        .unwrap()
    });
    transitions.map(|it| (it.instance, it.observed)).collect()
}

/// What EventBridge says, however often and in whatever order.
fn notified(fleet: &Fleet, from: Timestamp, until: Timestamp) -> Vec<(InstanceId, Observation)> {
    let events = disturbed(fleet.notifications(from, until), 1);
    let transitions = events.into_iter().map(|event| {
        let change: StateChange = serde_json::from_value(event).unwrap();
        change.transition()
    });
    transitions.map(|it| (it.instance, it.observed)).collect()
}

/// A month in a time zone, some moment in it, and a fleet.
struct Case {
    fleet: Fleet,
    month: Month,
    zone: TimeZone,
    now: Timestamp,
    random: Rng,
}

/// As far back as CloudTrail goes.
const HORIZON: SignedDuration = SignedDuration::from_hours(90 * 24);
const ZONES: [&str; 5] = [
    "UTC",
    "America/New_York",
    "Asia/Bangkok",
    "Europe/Berlin",
    "Pacific/Auckland",
];

impl Case {
    fn draw(seed: u64, shutdowns: bool) -> Self {
        let mut random = Rng::with_seed(seed);
        let zone = TimeZone::get(ZONES[random.usize(..ZONES.len())]).unwrap();
        let month: Month = format!("2026-{:02}", random.u8(1..=12)).parse().unwrap();
        let start = month.start(&zone);
        let now = start + SignedDuration::from_secs(random.i64(1..31 * 86_400));
        let habits = Habits {
            servers: 4,
            from: start - SignedDuration::from_hours(24 * 20),
            until: now,
            stays: SignedDuration::from_mins([100, 700, 5_000, 20_000][random.usize(..4)]),
            steady: 20,
            shutdowns,
            ends: random.bool(),
        };
        Self {
            fleet: Fleet::random("us-east-1", &habits, seed),
            month,
            zone,
            now,
            random,
        }
    }

    /// Holds what follows from `told`, and from what EC2 says now, against the truth; and counts what is exact.
    fn check(
        &mut self,
        seed: u64,
        told: &[(InstanceId, Observation)],
        all_is_seen: bool,
    ) -> (usize, usize) {
        let (mut exact, mut all) = (0, 0);
        for server in self.fleet.servers() {
            let id: InstanceId = server.id.parse().unwrap();
            let of = told.iter().filter(|(of, _)| *of == id);
            let mut observations: Vec<_> = of.map(|(_, observed)| *observed).collect();
            if let Some(described) = described(server, self.now) {
                observations.extend(described.observations());
            } else if observations.is_empty() {
                continue;
            }
            self.random.shuffle(&mut observations);
            let timeline = Timeline::fold(&mut observations, self.now);
            let total = Total::of(&timeline, self.month, &self.zone);
            let (start, end) = (self.month.start(&self.zone), self.month.end(&self.zone));
            let truth = server.ran(start, end.min(self.now));
            let said =
                format!("seed {seed}, {id}: {truth} s in truth, {total:?}, of {observations:?}");
            let (lower, upper) = (total.seconds, total.seconds + total.doubtful);
            assert!((lower - 1..=upper + 1).contains(&truth), "{said}");
            assert_eq!(total.days.iter().sum::<i64>(), total.seconds, "{said}");
            assert!(total.doubtful == 0 || !all_is_seen, "{said}");
            all += 1;
            exact += usize::from(total.quality() == Quality::Exact);
        }
        (exact, all)
    }
}

#[test]
fn minutes_by_cloudtrail_and_ec2_are_the_truth_where_all_is_seen() {
    for seed in 0..1_000 {
        let mut case = Case::draw(seed, false);
        let told = recorded(&case.fleet, case.now - HORIZON, case.now);
        case.check(seed, &told, true);
    }
}

#[test]
fn where_servers_shut_themselves_down_the_truth_is_between_the_bounds() {
    let (mut exact, mut all) = (0, 0);
    for seed in 0..1_000 {
        let mut case = Case::draw(seed, true);
        let told = recorded(&case.fleet, case.now - HORIZON, case.now);
        let counted = case.check(seed, &told, false);
        (exact, all) = (exact + counted.0, all + counted.1);
    }
    assert!(exact > all / 2 && exact < all, "{exact} of {all}");
}

#[test]
fn notifications_make_them_exact_however_often_and_in_whatever_order_they_come() {
    for seed in 0..1_000 {
        let mut case = Case::draw(seed, true);
        let mut told = recorded(&case.fleet, case.now - HORIZON, case.now);
        told.extend(notified(&case.fleet, case.now - HORIZON, case.now));
        case.check(seed, &told, true);
    }
}

#[test]
fn a_server_that_ran_since_before_the_1st_counts_from_the_1st() {
    let mut fleet = Fleet::new("us-east-1");
    fleet.add("i-0000000a", &[]);
    fleet.change(
        at("2026-07-01T00:00:00Z"),
        local_aws::fleet::Change::Launch,
        &["i-0000000a"],
    );
    let now = at("2026-11-21T12:00:00Z");
    let server = fleet.server("i-0000000a").unwrap();
    let mut observations: Vec<_> = described(server, now).unwrap().observations().collect();
    let timeline = Timeline::fold(&mut observations, now);
    let total = Total::of(&timeline, "2026-11".parse().unwrap(), &TimeZone::UTC);
    assert_eq!(total.minutes().to_string(), "29520.00");
}

/// What the ledger and a server's total keep from one hour to the next.
#[derive(Default)]
struct Kept {
    news: Vec<Observation>,
    looks: Option<Looks>,
}

fn check_hour(server: &Server, (start, now): (Timestamp, Timestamp), account: &Account, seed: u64) {
    let total = Total::of(
        &account.timeline,
        "2026-11".parse().unwrap(),
        &TimeZone::UTC,
    );
    let truth = server.ran(start, now);
    let said = format!(
        "seed {seed}, {}, {now}: {truth} s in truth, {total:?}",
        server.id
    );
    let (lower, upper) = (total.seconds, total.seconds + total.doubtful);
    assert!((lower - 1..=upper + 1).contains(&truth), "{said}");
    // Each shutdown of which nobody tells leaves the time between two looks in doubt, and no more.
    let unseen = server.shutdowns(start, now);
    let doubtful = i64::try_from(unseen).unwrap() * 3_600;
    assert!(total.doubtful <= doubtful, "{said}, {unseen} unseen");
}

/// Three days of hourly runs over one fleet, in which CloudTrail tells of everything some minutes late.
fn by_the_hour(seed: u64) {
    let start = at("2026-11-01T00:00:00Z");
    let mut random = Rng::with_seed(seed);
    let delay = SignedDuration::from_mins(random.i64(0..120));
    let end = start + SignedDuration::from_hours(72);
    let habits = Habits {
        servers: 3,
        from: start - SignedDuration::from_hours(48),
        until: end,
        stays: SignedDuration::from_mins([20, 200, 2_000][random.usize(..3)]),
        steady: 20,
        shutdowns: true,
        ends: false,
    };
    let fleet = Fleet::random("us-east-1", &habits, seed);
    let told = recorded(&fleet, start, end);
    for server in fleet.servers() {
        let id: InstanceId = server.id.parse().unwrap();
        let opening = server
            .state(start)
            .map(|state| (start, state.parse::<State>().unwrap().power()));
        let mut kept = Kept::default();
        for hour in 1..=72 {
            let now = start + SignedDuration::from_hours(hour);
            let Some(described) = described(server, now) else {
                continue;
            };
            let by_then = told
                .iter()
                .filter(|(of, it)| *of == id && it.at + delay <= now);
            let known = Known {
                recorded: by_then
                    .map(|(_, it)| *it)
                    .chain(kept.news.iter().copied())
                    .collect(),
                since: start,
                covered: start,
                opening,
                looks: kept.looks,
                described: Some(&described),
            };
            let account = Account::of(known, now);
            // What CloudTrail has not told of yet cannot be known.
            let is_late = |(of, it): &(InstanceId, Observation)| {
                *of == id && it.at <= now && it.at + delay > now
            };
            if !told.iter().any(is_late) {
                check_hour(server, (start, now), &account, seed);
            }
            kept.news.extend(account.news);
            kept.looks = Some(account.looks);
        }
    }
}

#[test]
fn hour_after_hour_doubt_is_bounded_by_the_looks_around_it() {
    for seed in 0..400 {
        by_the_hour(seed);
    }
}

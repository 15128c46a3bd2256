use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::known::Listing;

fn item(text: &str) -> Item {
    Item::parse(text).unwrap()
}

fn items(texts: &[&str]) -> Vec<Item> {
    texts.iter().map(|text| item(text)).collect()
}

fn listing(under: &str, paths: &[&str]) -> Listing {
    let mut listing = Listing::new(under);
    for path in paths {
        listing.push(item(path).as_str()).unwrap();
    }
    listing.sort();
    listing
}

fn count(of: usize) -> u64 {
    of.try_into().unwrap()
}

fn planned(changed: &[&str], known: Known<'_>, price: Price) -> Vec<String> {
    let plan = plan(&items(changed), known, price, Room::ALL).unwrap();
    plan.items.iter().map(Item::to_string).collect()
}

#[test]
fn a_prefix_that_changed_as_a_whole_is_one_item_and_clears_nothing_else() {
    let known = listing("/", &["/a/1", "/a/2", "/a/3", "/b/1", "/b/2"]);
    let changed = ["/a/1", "/a/2", "/a/3", "/b/1"];
    assert_eq!(
        planned(&changed, Known::Listed(&known), Price::FREE),
        ["/a/*", "/b/1"]
    );
    assert_eq!(
        planned(&changed, Known::Listed(&known), Price::PAID),
        ["/*"]
    );
}

#[test]
fn without_a_listing_nothing_is_cleared_but_what_changed() {
    let changed = ["/t/1", "/t/2", "/u"];
    assert_eq!(planned(&changed, Known::Nothing, Price::PAID), changed);
    assert_eq!(
        planned(&changed, Known::Owned("/t/"), Price::PAID),
        ["/t/*", "/u"]
    );
    assert_eq!(planned(&changed, Known::Owned("/t/"), Price::FREE), changed);
}

#[test]
fn what_a_wildcard_covers_is_dropped() {
    let given = ["/a*", "/ab*", "/a/1", "/b", "/b", "#v1"];
    assert_eq!(
        planned(&given, Known::Nothing, Price::FREE),
        ["#v1", "/a*", "/b"]
    );
    assert_eq!(
        planned(&["/*", "/a*", "#v1", "/b"], Known::Nothing, Price::FREE),
        ["/*"]
    );
}

#[test]
fn no_wildcard_is_cut_within_a_letter() {
    for (changed, wildcard) in [
        (["/%C3%A4", "/%C3%B6"], "/*"),
        (["/x/%C3%A4", "/x/%C4%A4"], "/x/*"),
        (["/x/%C3%A4/1", "/x/%C3%A4/2"], "/x/%C3%A4/*"),
        (["/x/%C3%A4", "/x/%C3%A4b"], "/x/%C3%A4*"),
        (["/x/%E2%82%AC", "/x/%E2%82%A1"], "/x/*"),
    ] {
        let known = listing("/", &changed);
        let planned = planned(&changed, Known::Listed(&known), Price::FREE);
        assert_eq!(planned, [wildcard], "{changed:?}");
    }
}

#[test]
fn more_paths_than_there_is_room_for_are_folded_or_refused() {
    let paths: Vec<_> = (0..MAX_EXACT + 2)
        .map(|n| format!("/d{}/{n}", n % 2))
        .collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let refused = plan(&items(&paths), Known::Nothing, Price::FREE, Room::ALL).unwrap_err();
    assert_eq!(refused.needed.exact, MAX_EXACT + 2);
    assert!(
        refused
            .to_string()
            .starts_with("3002 paths and 0 wildcards are to be cleared")
    );
    let others = ["/d0/x", "/d1/x"];
    let known = listing("/", &[&paths[..], &others].concat());
    let plan = plan(
        &items(&paths),
        Known::Listed(&known),
        Price::FREE,
        Room::ALL,
    )
    .unwrap();
    assert!(
        plan.of(Kind::Exact) <= MAX_EXACT && plan.wildcards() > 0,
        "{:?}",
        plan.items.len()
    );
    let wild: Vec<_> = (0..16).map(|n| item(&format!("/{n:02}/*"))).collect();
    assert!(super::plan(&wild, Known::Nothing, Price::FREE, Room::ALL).is_err());
}

/// What a set of items costs, if it clears all of `changed`: by looking at each path.
fn cost(
    items: &BTreeSet<String>,
    changed: &BTreeSet<String>,
    known: &BTreeSet<String>,
    price: Price,
) -> Option<u64> {
    let clears = |path: &String| {
        items.iter().any(|item| match item.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => item == path,
        })
    };
    if !changed.iter().all(clears) {
        return None;
    }
    let extra = known
        .difference(changed)
        .filter(|path| clears(path))
        .count();
    Some(price.item * count(items.len()) + price.object * count(extra))
}

/// The cheapest of all sets of `most` wildcards at most: all prefixes of changed paths, in all combinations.
fn brute_force(
    changed: &BTreeSet<String>,
    known: &BTreeSet<String>,
    price: Price,
    most: usize,
) -> u64 {
    let prefixes: BTreeSet<_> = changed
        .iter()
        .flat_map(|path| (1..=path.len()).map(|end| path[..end].to_owned()))
        .collect();
    let prefixes: Vec<_> = prefixes.into_iter().collect();
    let mut best = u64::MAX;
    let mut chosen: Vec<usize> = Vec::new();
    loop {
        let wild = || chosen.iter().map(|at| &prefixes[*at]);
        let mut items: BTreeSet<_> = wild().map(|prefix| format!("{prefix}*")).collect();
        items.extend(
            changed
                .iter()
                .filter(|path| !wild().any(|prefix| path.starts_with(prefix.as_str())))
                .cloned(),
        );
        best = best.min(cost(&items, changed, known, price).unwrap());
        // The next combination, in the order of a depth-first walk.
        let next = chosen.last().map_or(0, |last| last + 1);
        if chosen.len() < most && next < prefixes.len() {
            chosen.push(next);
            continue;
        }
        loop {
            match chosen.pop() {
                None => return best,
                Some(last) if last + 1 < prefixes.len() => {
                    chosen.push(last + 1);
                    break;
                }
                Some(_) => {}
            }
        }
    }
}

/// Paths over a few letters, so that many begin alike; one is often the beginning of another.
fn a_path() -> impl Strategy<Value = String> {
    "[ab/]{0,4}".prop_map(|rest| format!("/{rest}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_set_of_items_is_cheaper(
        changed in proptest::collection::btree_set(a_path(), 1..7),
        others in proptest::collection::btree_set(a_path(), 0..12),
        item in 1..400_u64,
        object in 1..100_u64,
        most in 0..4_usize,
    ) {
        let price = Price { item, object };
        let known: BTreeSet<_> = changed.union(&others).cloned().collect();
        let mut listing = Listing::new("/");
        for path in &known {
            listing.push(path).unwrap();
        }
        listing.sort();
        let asked: Vec<_> = changed.iter().map(|path| Item::parse(path).unwrap()).collect();
        let room = Room { wildcards: most, ..Room::ALL };
        let plan = plan(&asked, Known::Listed(&listing), price, room).unwrap();
        let items: BTreeSet<_> = plan.items.iter().map(Item::to_string).collect();
        prop_assert!(plan.wildcards() <= most);
        let extra = known.difference(&changed).filter(|path| {
            plan.items.iter().any(|item| item.covers(&Item::parse(path).unwrap()))
        });
        prop_assert_eq!(plan.over_invalidated, count(extra.count()));
        let found = cost(&items, &changed, &known, price);
        prop_assert_eq!(found, Some(brute_force(&changed, &known, price, most)), "{:?}", items);
    }

    #[test]
    fn a_plan_clears_all_that_changed_and_fits_in_any_room(
        changed in proptest::collection::btree_set("/[abc]{1,3}/[a-z0-9]{1,6}", 1..120),
        deleted in any::<bool>(),
        wildcards in 0..15_usize,
        exact in 0..60_usize,
    ) {
        let listing = if deleted { listing("/", &[]) } else {
            let paths: Vec<_> = changed.iter().map(String::as_str).collect();
            listing("/", &paths)
        };
        let asked: Vec<_> = changed.iter().map(|path| item(path)).collect();
        let room = Room { exact, wildcards };
        match plan(&asked, Known::Listed(&listing), Price::FREE, room) {
            Ok(plan) => {
                for path in &asked {
                    prop_assert!(plan.items.iter().any(|item| item.covers(path)), "{} {:?}", path, plan.items);
                }
                prop_assert!(plan.wildcards() <= wildcards && plan.of(Kind::Exact) <= exact);
                prop_assert_eq!(plan.over_invalidated, 0);
            }
            Err(refused) => {
                prop_assert!(wildcards == 0 || asked.len() == 1, "{}", refused);
                prop_assert_eq!(refused.needed.exact, asked.len());
            }
        }
    }
}

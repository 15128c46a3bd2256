//! What plans bill and clear, for deployments of several shapes, beside the rules that others go by.

use std::{collections::BTreeSet, time::Instant};

use anyhow::{Context as _, ensure};
use benches::measure::{Goal, Page, Samples};
use cdn::{Item, Kind, Known, Listing, Price, Room, plan};

/// What a deployment changes of a site.
struct Shape {
    name: &'static str,
    changed: Vec<String>,
}

/// Measures how long planning takes, and compares plans.
pub(crate) fn measure(page: &mut Page) -> anyhow::Result<()> {
    planning(page)?;
    shapes(page)
}

/// 10,000 changed of 1,000,000 known paths, here and there and in whole folders.
fn planning(page: &mut Page) -> anyhow::Result<()> {
    const KNOWN: usize = 1_000_000;
    let path = |n: usize| format!("/site/{}/{}/page-{n:07}.html", n / 10_000, n / 100 % 100);
    let before = resident()?;
    let mut listing = Listing::new("/");
    for n in 0..KNOWN {
        listing.push(&path(n))?;
    }
    let listed = Instant::now();
    listing.sort();
    let sorted = listed.elapsed();
    let held = resident()? - before;
    // Half of them in whole folders of a hundred, half of them anywhere else.
    let whole = (0..50).flat_map(|folder| (0..100).map(move |n| folder * 20_000 + n));
    let mut random = fastrand::Rng::with_seed(1);
    let anywhere = (0..5_000).map(|_| random.usize(0..KNOWN));
    let changed: BTreeSet<_> = whole.chain(anywhere).collect();
    let changed: Result<Vec<_>, _> = changed.iter().map(|n| Item::parse(&path(*n))).collect();
    let changed = changed?;
    let mut samples = [const { Samples::new() }; 2];
    let prices = [Price::FREE, Price::PAID];
    let mut items = [0; 2];
    for _ in 0..10 {
        for ((price, samples), items) in prices.iter().zip(&mut samples).zip(&mut items) {
            let began = Instant::now();
            let made = plan(
                &changed,
                Known::Listed(&listing),
                *price,
                Room {
                    exact: 10_000,
                    ..Room::ALL
                },
            )?;
            samples.push(began.elapsed());
            *items = made.items.len();
        }
    }
    let grown = resident()? - before - held;
    page.section(
        "Planning",
        &format!(
            "{} changed paths of {KNOWN} known ones, on one thread.",
            changed.len()
        ),
    );
    let [free, paid] = &samples;
    page.figure("while items are free", free, "ms");
    page.figure("once they are paid for", paid, "ms");
    page.ratio(
        "a plan ÷ a second",
        free.median() / 1_000.0,
        Goal::AtMost(1.0),
    );
    let [free, paid] = items;
    page.note(&format!(
        "{free} and {paid} items. The listing takes {held:.0} MiB and {:.0} ms to be sorted; ten plans of each price took {grown:.0} MiB more at the most.",
        sorted.as_secs_f64() * 1e3
    ));
    Ok(())
}

/// What this process has in memory, in MiB.
fn resident() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u32 = line
        .context("no VmRSS")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(f64::from(kib) / 1024.0)
}

/// A site of 10,000 pages in a hundred folders, and its assets.
fn site() -> Vec<String> {
    let pages = (0..10_000).map(|n| format!("/docs/{:02}/page-{n:05}.html", n / 100));
    let assets = (0..40).map(|n| format!("/assets/bundle-{n:02}.js"));
    pages
        .chain(assets)
        .chain(["/index.html".to_owned()])
        .collect()
}

fn deployments(site: &[String]) -> Vec<Shape> {
    let pages = |of: &dyn Fn(usize) -> bool| {
        let pages = site.iter().enumerate().take(10_000).filter(|(n, _)| of(*n));
        pages.map(|(_, path)| path.clone()).collect::<Vec<_>>()
    };
    let assets = || site.iter().skip(10_000).cloned().collect::<Vec<_>>();
    let shape = |name, changed| Shape { name, changed };
    vec![
        shape("a page", pages(&|n| n == 4_242)),
        shape("12 pages here and there", pages(&|n| n % 850 == 7)),
        shape(
            "two whole folders",
            pages(&|n| n / 100 == 3 || n / 100 == 77),
        ),
        shape(
            "a third of one folder",
            pages(&|n| n / 100 == 5 && n % 3 == 0),
        ),
        shape("all assets and the first page", assets()),
        shape(
            "every page of ten folders, and ten pages elsewhere",
            pages(&|n| n / 1_000 == 2 || n % 1_000 == 999),
        ),
        shape(
            "600 pages here and there",
            pages(&|n| n % 16 == 3 && n < 9_600),
        ),
        shape("everything", site.to_vec()),
    ]
}

fn shapes(page: &mut Page) -> anyhow::Result<()> {
    let site = site();
    let mut listing = Listing::new("/");
    for path in &site {
        listing.push(path)?;
    }
    listing.sort();
    let mut rows = Vec::new();
    for Shape { name, changed } in deployments(&site) {
        let items: Result<Vec<_>, _> = changed.iter().map(|path| Item::parse(path)).collect();
        let items = items?;
        let plan_for = |price| plan(&items, Known::Listed(&listing), price, Room::ALL);
        let mut row = vec![name.to_owned(), changed.len().to_string()];
        for price in [Price::FREE, Price::PAID] {
            let made = plan_for(price)?;
            let told: Vec<_> = made.items.iter().map(Item::to_string).collect();
            let cleared = cleared(&told, &changed, &site);
            ensure!(
                cleared == Some(made.over_invalidated),
                "{name}: {cleared:?} and not {}",
                made.over_invalidated
            );
            ensure!(made.of(Kind::Exact) <= 3_000, "{name}");
            row.push(format!("{}, {}", told.len(), made.over_invalidated));
        }
        for others in [
            changed.clone(),
            folders_up_to_eight(&changed),
            vec!["/*".to_owned()],
        ] {
            let extra = cleared(&others, &changed, &site);
            let extra = extra.map_or("**not all**".to_owned(), |extra| extra.to_string());
            let over = if others.len() > 3_000 {
                " (refused)"
            } else {
                ""
            };
            row.push(format!("{}{over}, {extra}", others.len()));
        }
        rows.push(row);
    }
    page.table(
        "What is billed, and what is cleared without need",
        "Items, and objects that did not change, of a site of 10,041 objects. By files: each changed file is an item. By eight: the rule of s3deploy 2, which replaces \
         what lies deepest by folders until eight items are left, or else by everything (`normalizeInvalidationPaths`, read in its source and written anew here). \
         `/*`: the AWS CDK's default.",
        &["a deployment changes", "objects", "larder, free", "larder, paid", "by files", "by eight", "`/*`"],
        &rows,
    );
    Ok(())
}

/// How many objects that did not change are cleared; none if not all that changed are.
fn cleared(items: &[String], changed: &[String], site: &[String]) -> Option<u64> {
    let exact: BTreeSet<_> = items.iter().map(String::as_str).collect();
    let prefixes: Vec<_> = items
        .iter()
        .filter_map(|item| item.strip_suffix('*'))
        .collect();
    let clears =
        |path: &str| exact.contains(path) || prefixes.iter().any(|prefix| path.starts_with(prefix));
    if !changed.iter().all(|path| clears(path)) {
        return None;
    }
    let changed: BTreeSet<_> = changed.iter().collect();
    let extra = site
        .iter()
        .filter(|path| clears(path) && !changed.contains(path))
        .count();
    u64::try_from(extra).ok()
}

/// Up to eight items, folders' first pages under their own names: folders in the place of what lies deepest, level by level, and everything where that does not do.
fn folders_up_to_eight(changed: &[String]) -> Vec<String> {
    const MOST: usize = 8;
    let everything = || vec!["/*".to_owned()];
    let depth = |path: &str| path.matches('/').count();
    let mut items: BTreeSet<_> = changed.iter().cloned().collect();
    let mut level = changed
        .iter()
        .map(|path| depth(path))
        .max()
        .unwrap_or_default();
    while items.len() > MOST {
        if level == 0 {
            return everything();
        }
        let folded = items.into_iter().map(|path| {
            if depth(&path) <= level {
                return path;
            }
            let folders: Vec<_> = path.split('/').skip(1).collect();
            let kept = folders
                .len()
                .saturating_sub(if folders.len() > 2 { 2 } else { 1 });
            format!(
                "/{}/*",
                folders.into_iter().take(kept).collect::<Vec<_>>().join("/")
            )
        });
        items = folded.collect();
        level -= 1;
    }
    if items.contains("/*") {
        everything()
    } else {
        items.into_iter().collect()
    }
}

//! The cache against its floors and its peers. Names of sections as arguments measure only those, and write no page.

mod allocations;
mod data;
mod disk;
mod faults;
mod memory;
mod outside;
mod processes;
mod server;
mod turns;
mod zipf;

use std::io::Write as _;

use benches::measure::Page;
use local_network::Profile;
use local_servers::helper::workspace_root;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

const SECTIONS: [&str; 13] = [
    "memory",
    "concurrent",
    "allocations",
    "disk",
    "open",
    "churn",
    "server",
    "batch",
    "stampede",
    "outage",
    "thaw",
    "skew",
    "zipf",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    if let Some((processes::CHILD, told)) = wanted
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        return processes::child(told).await;
    }
    let unknown = wanted
        .iter()
        .find(|name| !SECTIONS.contains(&name.as_str()));
    if let Some(unknown) = unknown {
        anyhow::bail!("there is no section {unknown:?}: give any of {SECTIONS:?}, or none for all");
    }
    let (mut page, mut region) = (Page::default(), Page::default());
    for section in SECTIONS {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == section) {
            continue;
        }
        writeln!(std::io::stderr(), "measuring {section}…")?;
        match section {
            "memory" => memory::hit(&mut page).await?,
            "concurrent" => memory::concurrent(&mut page).await?,
            "allocations" => memory::allocations(&mut page).await?,
            "disk" => disk::hit(&mut page).await?,
            "open" => disk::open(&mut page).await?,
            "churn" => disk::churn(&mut page).await?,
            "server" => {
                server::hit(Profile::Loopback, &mut page).await?;
                server::hit(Profile::Region, &mut region).await?;
            }
            "batch" => {
                server::batch(Profile::Loopback, &mut page).await?;
                server::batch(Profile::Region, &mut region).await?;
            }
            "stampede" => processes::stampede(&mut page).await?,
            "outage" => faults::outage(&mut page).await?,
            "thaw" => processes::thaw(&mut page).await?,
            "skew" => faults::skew(&mut page).await?,
            _ => zipf::ratio(&mut page).await?,
        }
    }
    let page = page.beside(region);
    let page = if wanted.is_empty() {
        page.write(&workspace_root().join("docs/benchmarks-cache.md"))?
    } else {
        page.told()
    };
    writeln!(std::io::stdout(), "{page}")?;
    Ok(())
}

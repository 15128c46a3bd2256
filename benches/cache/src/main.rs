//! The cache against its floors: what the library underneath takes for the same. Names of sections as arguments
//! measure only those, and write no page.

mod near;
mod turns;

use std::io::Write as _;

use benches::measure::Page;
use local_servers::helper::workspace_root;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Cargo adds `--bench`.
    let wanted: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let mut page = Page::default();
    if is_wanted("memory") {
        near::memory(&mut page).await?;
    }
    if is_wanted("sqlite") {
        near::sqlite(&mut page).await?;
    }
    if is_wanted("redis") {
        near::redis(&mut page).await?;
    }
    if is_wanted("batch") {
        near::batch(&mut page).await?;
    }
    let page = if wanted.is_empty() {
        page.write(&workspace_root().join("docs/benchmarks-cache.md"))?
    } else {
        page.told()
    };
    writeln!(std::io::stdout(), "{page}")?;
    Ok(())
}

//! The cache's tiers against their floors: what the library underneath takes for the same.

mod near;
mod turns;

use std::io::Write as _;

use benches::measure::Page;
use local_aws::helper::workspace_root;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut page = Page::default();
    near::memory(&mut page).await?;
    near::sqlite(&mut page).await?;
    near::redis(&mut page).await?;
    near::batch(&mut page).await?;
    let page = page.write(&workspace_root().join("docs/benchmarks-cache.md"))?;
    writeln!(std::io::stdout(), "{page}")?;
    Ok(())
}

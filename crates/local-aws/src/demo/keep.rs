//! What a run leaves for people to look at: charts and PDFs.

use std::path::Path;

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// Writes the chart and the PDF of a report's answer into `dir`, if it has any.
pub(super) async fn pictures(answer: &Value, dir: &Path) -> anyhow::Result<()> {
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let (Some(ticker), Some(language)) = (text("ticker"), text("language")) else {
        return Ok(());
    };
    if let Some(chart) = text("chart_b64") {
        let png = STANDARD.decode(chart).context("the chart is no Base64")?;
        write(&dir.join(format!("{ticker}.png")), &png)?;
    }
    if let Some(url) = text("pdf_url") {
        let client = crate::http_client()?;
        let response = client.get(url).send().await?.error_for_status()?;
        let pdf = response
            .bytes()
            .await
            .context("the PDF's link leads nowhere")?;
        write(&dir.join(format!("{ticker}.{language}.pdf")), &pdf)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("could not write {}", path.display()))
}

//! The doors of report-generator's URL, opened through `cargo lambda watch` by clients that are not ours: Python's, and a browser
//! where there is one.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use local_aws::{lambda::TMP, watch::Watch};
use url::Url;

use crate::{clients::said, report_world::Desk, world::program};

/// Names of Chromium's program.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// The first of [`BROWSERS`] in the search path.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let paths = BROWSERS
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.into_iter().find(|path| path.is_file())
}

/// Renders the page at `url` in `browser` and returns its DOM.
async fn seen(browser: &Path, profile: &Path, url: &str) -> String {
    let mut command = tokio::process::Command::new(browser);
    command
        // A container's root has no sandbox, and the pages are our own.
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-dev-shm-usage", "--no-first-run"])
        .args(["--no-proxy-server", "--disable-background-networking"])
        .arg(profile_argument(profile))
        .args(["--dump-dom", url])
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_mins(3), command.output()).await;
    let output = output.expect("the browser ends").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{url}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn profile_argument(profile: &Path) -> std::ffi::OsString {
    let mut argument = OsStr::new("--user-data-dir=").to_owned();
    argument.push(profile);
    argument
}

/// The address behind the link to `text` on a page.
fn link(page: &str, text: &str, at: &Url) -> Url {
    let (before, _) = page.split_once(&format!("\">{text}</a>")).unwrap();
    let (_, href) = before.rsplit_once("href=\"").unwrap();
    at.join(&href.replace("&amp;", "&")).unwrap()
}

/// Prints the log of `cargo lambda watch` where the test fails.
struct Log(PathBuf);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.0).unwrap_or_default();
            eprintln!("{}:\n{log}", self.0.display());
        }
    }
}

/// Starts report-generator under `cargo lambda watch`.
async fn watch(desk: &Desk, tmp: &Path, log: &Log) -> Watch {
    program("report-generator");
    let tmp_path = tmp.to_string_lossy();
    let config = desk.by_rules();
    let mut variables: BTreeMap<_, _> = config
        .env
        .into_iter()
        .map(|(name, value)| (name, value.replace(TMP, &tmp_path)))
        .collect();
    for (name, value) in [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    Watch::start(&variables, Some(&log.0)).await.unwrap()
}

#[tokio::test]
async fn every_door_opens_through_cargo_lambda_watch() {
    let desk = Desk::new().await;
    let tmp = tempfile::tempdir().unwrap();
    let log = Log(tmp.path().join("watch.log"));
    let watch = watch(&desk, tmp.path(), &log).await;
    let url: Url = watch.function_url("report-generator", "/").parse().unwrap();
    let secret = desk.reports.channel_secret();
    let answer = said("doors.py", &[url.as_str(), secret]).await;
    assert_eq!(answer, "ok\n");

    let Some(browser) = browser() else {
        // Past the capture of tests' output: what was left out is to be seen.
        let _ = writeln!(
            std::io::stderr(),
            "no Chromium here: the doors of report-generator were opened by Python's urllib alone"
        );
        watch.stop().await;
        return;
    };
    let profile = tmp.path().join("profile");
    let open = async |url: &Url| seen(&browser, &profile, url.as_str()).await;
    let index = open(&url).await;
    assert!(index.contains("<h1>Reports</h1>"), "{index}");
    let report = link(&index, "DBS19", &url);
    let page = open(&report).await;
    assert!(page.contains("<html lang=\"th\">"), "{page}");
    assert!(page.contains("src=\"data:image/png;base64,"), "{page}");
    let pdf = link(&page, "PDF", &report);
    assert!(pdf.path().ends_with("/reports/DBS19/report.pdf"), "{pdf}");
    // Chromium gives a picture that it can draw a title with its size.
    let chart = open(&url.join("reports/DBS19/chart.png").unwrap()).await;
    assert!(chart.contains("<title>chart.png (1600"), "{chart}");
    let unknown = url.join("reports/DBX19").unwrap();
    let refusal = open(&unknown).await;
    assert!(refusal.contains("<h1>Not found</h1>"), "{refusal}");
    assert!(refusal.contains("did you mean DBS19?"), "{refusal}");
    assert_eq!(link(&refusal, "All reports", &unknown), url);
    // Away, and not kept yet.
    desk.reports
        .market
        .prices
        .set_fault_for_all(Some(local_aws::market::Fault::ServerError));
    let away = open(&url.join("reports/PTT19").unwrap()).await;
    assert!(away.contains("<h1>Not available</h1>"), "{away}");
    watch.stop().await;
}

//! What the command takes.

use std::path::PathBuf;

use cdn::release::TEMPLATES;
use clap::{ArgGroup, Args, Parser, Subcommand};
use larder_lambda::event::is_name;
use url::Url;

use crate::{binary::Given, metadata::MIN_RUNNER};

const MONITOR_EXAMPLES: &str = "\
Examples:
  larder-publish monitor --monitor slack --version 2025.08.31.200811-da23b42 --binary target/release/status-monitor \\
      --stack larder-prod --url https://releases.watchy.cloud --sign-key minisign.key --function cdn-invalidator --verify
  larder-publish monitor --monitor slack --version 1.4 --binary linux-x86_64=x/monitor --binary linux-aarch64=arm/monitor --gzip \\
      --bucket releases --url https://releases.watchy.cloud --distribution E2BX1E7RR7IV8R --wait 60 --json

The objects come first and metadata.json last, so whoever reads that finds what it names. Run it again after a failure: it does the rest.
The key's password is read from MINISIGN_PASSWORD.";

const TEMPLATES_EXAMPLES: &str = "\
Examples:
  larder-publish templates --dir customer-templates --stack larder-prod --domain templates.watchy.cloud
  larder-publish templates --dir customer-templates --bucket templates --delete --dry-run --no-invalidate

What is to be cleared is noted in the bucket before the first upload, and the note removed once it was cleared: a run that dies in between
loses nothing, if it is run again.";

const INVALIDATE_EXAMPLES: &str = "\
Examples:
  larder-publish invalidate --domain releases.watchy.cloud /binaries/slack-monitor/metadata.json
  larder-publish invalidate --distribution E2BX1E7RR7IV8R --wait 60 '/binaries/slack-monitor/*' '/customer-templates/*'";

/// Publishes monitors and templates to a bucket behind CloudFront, and clears exactly what changed.
#[derive(Debug, Parser)]
#[command(name = "larder-publish", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish a monitor: its versioned object, `latest`, and metadata.json.
    #[command(after_help = MONITOR_EXAMPLES)]
    Monitor(Box<Monitor>),
    /// Publish a folder: the files of it that changed.
    #[command(after_help = TEMPLATES_EXAMPLES)]
    Templates(Box<Templates>),
    /// Have paths cleared by hand.
    #[command(after_help = INVALIDATE_EXAMPLES)]
    Invalidate(Invalidate),
    /// Tell how an invalidation stands.
    Status(Status),
}

#[derive(Args, Debug)]
#[expect(clippy::struct_field_names, reason = "each is called as its option is")]
pub(crate) struct Monitor {
    /// The monitor's name, such as slack.
    #[arg(long, value_parser = name)]
    pub(crate) monitor: String,
    /// Its version, the one that is compiled into it. A version's object never changes.
    #[arg(long, value_parser = version)]
    pub(crate) version: String,
    /// The program, once for each platform: linux-x86_64 or linux-aarch64, its own where it is not said. The one without a platform,
    /// else the first, is what readers get that know of one only.
    #[arg(long, value_name = "[PLATFORM=]FILE", required = true)]
    pub(crate) binary: Vec<Given>,
    #[command(flatten)]
    pub(crate) bucket: Bucket,
    /// Where the bucket is served, such as `https://releases.watchy.cloud`.
    #[arg(long, value_parser = base)]
    pub(crate) url: Url,
    /// What the objects' names begin with.
    #[arg(long, default_value = "watchy", value_parser = name)]
    pub(crate) prefix: String,
    /// Pack the objects with gzip.
    #[arg(long)]
    pub(crate) gzip: bool,
    /// Sign the release with the minisign secret key in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_key: Option<PathBuf>,
    /// A number in what is signed that only ever grows; readers refuse a signed release under the highest they have seen. Seconds since
    /// 1970 by default: now, or give the commit's, so that a pipeline that was late cannot undo a later one.
    #[arg(long, value_name = "N")]
    pub(crate) epoch: Option<u64>,
    /// Go back to an earlier release on purpose: at the epoch after the one that is published, so that this is refused from then on,
    /// and later ones can follow.
    #[arg(long, conflicts_with = "epoch")]
    pub(crate) rollback: bool,
    /// For how many days the signature is good. Unchanged, a release is signed again once half of them are over.
    #[arg(long, default_value_t = 14, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=366))]
    pub(crate) valid_days: u16,
    /// The first version of Larder that can run it.
    #[arg(long, default_value = MIN_RUNNER, value_name = "VERSION")]
    pub(crate) min_runner: semver::Version,
    /// The commit that it was built from.
    #[arg(long, value_name = "SHA")]
    pub(crate) git_commit: Option<String>,
    /// The number of the pipeline's run.
    #[arg(long, value_name = "N")]
    pub(crate) build_number: Option<String>,
    /// What it is made with.
    #[arg(long, default_value = "rust", value_name = "NAME")]
    pub(crate) binary_type: String,
    #[command(flatten)]
    pub(crate) clearing: Clearing,
    #[command(flatten)]
    pub(crate) manner: Manner,
}

#[derive(Args, Debug)]
pub(crate) struct Templates {
    /// The folder.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) bucket: Bucket,
    /// Where the bucket is served, such as `https://templates.watchy.cloud`: for --verify, and to find the distribution.
    #[arg(long, value_parser = base)]
    pub(crate) url: Option<Url>,
    /// What the objects' keys begin with.
    #[arg(long, default_value = TEMPLATES, value_name = "PREFIX", value_parser = folder)]
    pub(crate) under: String,
    /// Remove objects that are not in the folder any more.
    #[arg(long)]
    pub(crate) delete: bool,
    /// For how long what is uploaded may be kept.
    #[arg(long, default_value = "public, max-age=300", value_name = "VALUE")]
    pub(crate) cache_control: String,
    #[command(flatten)]
    pub(crate) clearing: Clearing,
    #[command(flatten)]
    pub(crate) manner: Manner,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).args(["domain", "distribution"]))]
pub(crate) struct Invalidate {
    /// The domain that the distribution serves.
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// The distribution's id.
    #[arg(long, value_name = "ID")]
    pub(crate) distribution: Option<String>,
    /// Have the function cdn-invalidator do it.
    #[arg(long, value_name = "NAME", requires = "domain", value_parser = function)]
    pub(crate) function: Option<String>,
    /// Because of what. The same paths because of the same are cleared once; by default each call is a new one.
    #[arg(long, value_name = "CONTENT")]
    pub(crate) version: Option<String>,
    /// Wait for it to be completed, for so long at most.
    #[arg(long, default_value_t = 0, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=840))]
    pub(crate) wait: u64,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
    /// Paths: `/a`, `/a/*` for all that begins so, or `#tag`.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    /// The distribution's id.
    #[arg(long, value_name = "ID")]
    pub(crate) distribution: String,
    /// The invalidation's id.
    #[arg(long, value_name = "ID")]
    pub(crate) invalidation: String,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which bucket.
#[derive(Args, Debug)]
#[expect(clippy::struct_field_names, reason = "each is called as its option is")]
#[command(group = ArgGroup::new("where").required(true).args(["bucket", "stack"]))]
pub(crate) struct Bucket {
    /// The bucket.
    #[arg(long)]
    pub(crate) bucket: Option<String>,
    /// The CloudFormation stack that says its bucket's name in an output.
    #[arg(long, value_name = "NAME")]
    pub(crate) stack: Option<String>,
    /// That output: by default `ReleasesBucketName` for a monitor, `TemplatesBucketName` for templates.
    #[arg(long, value_name = "KEY", conflicts_with = "bucket")]
    pub(crate) output: Option<String>,
}

/// How caches are told.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("way").args(["function", "distribution", "no_invalidate"]))]
pub(crate) struct Clearing {
    /// Have the function cdn-invalidator clear what changed.
    #[arg(long, value_name = "NAME", value_parser = function)]
    pub(crate) function: Option<String>,
    /// Clear what changed on this distribution. Without any of the three it is found by its domain.
    #[arg(long, value_name = "ID")]
    pub(crate) distribution: Option<String>,
    /// Clear nothing, where the bucket's events have it done.
    #[arg(long)]
    pub(crate) no_invalidate: bool,
    /// The domain that the distribution serves, if it is not the URL's.
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// Ask for so many wildcards at most: as many as the function may have in progress (its `MAX_WILDCARDS`).
    #[arg(long, default_value_t = 13, value_name = "N", value_parser = clap::value_parser!(u8).range(..=15))]
    pub(crate) wildcards: u8,
    /// Wait for it to be completed, for so long at most.
    #[arg(long, default_value_t = 0, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=840))]
    pub(crate) wait: u64,
}

/// How it is done, and told.
#[derive(Args, Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Manner {
    /// Read back by the URL what was published, for a minute at most, until it is what was published.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Fail if caches could not be told, or what is read back is not what was published. Otherwise that is only told.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Tell what would be uploaded and cleared, and what it would cost; change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err("it is not up to 64 small letters, digits and hyphens, the first no hyphen".to_owned())
}

/// A version that its reader takes, and that is found under its URL.
fn version(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.contains('+') {
        return Err("it has `+`, which S3 takes for a blank in a URL: write `-`".to_owned());
    }
    if text.starts_with("latest") {
        return Err("it begins with `latest`, which is the object that changes".to_owned());
    }
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    // Room for the platform behind it, within the 128 that its reader takes.
    if !starts_well || text.len() > 100 || !text.chars().all(plain) {
        return Err(
            "it is not up to 100 letters, digits and ._-, the first a letter or a digit".to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// A URL that keys follow, without the slash between.
fn base(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let plain = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if plain && url.has_host() && matches!(url.scheme(), "https" | "http") {
        return Ok(url);
    }
    Err("it is not https:// and a domain, and nothing behind".to_owned())
}

/// A prefix that is a folder.
fn folder(text: &str) -> Result<String, String> {
    let path = text.trim_matches('/');
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.split('/').any(odd) {
        return Err("it is not the name of a folder, such as customer-templates/".to_owned());
    }
    Ok(format!("{path}/"))
}

fn function(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_:$".contains(c);
    if (1..=256).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("it is neither a function's name nor its ARN".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_readers_or_caches_would_not_take_is_refused() {
        assert!(version("2025.08.31.200811-da23b42").is_ok());
        for bad in ["", "latest", "1.0+build", "-1", "1/2", &"1".repeat(101)] {
            assert!(version(bad).is_err(), "{bad}");
        }
        for good in [
            "https://a.example",
            "https://a.example/",
            "http://127.0.0.1:80",
        ] {
            assert!(base(good).is_ok(), "{good}");
        }
        for bad in [
            "a.example",
            "ftp://a.example",
            "https://a.example/b",
            "https://u:p@a.example",
        ] {
            assert!(base(bad).is_err(), "{bad}");
        }
        assert_eq!(folder("/a/b").as_deref(), Ok("a/b/"));
        for bad in ["", "/", "a//b", "../a"] {
            assert!(folder(bad).is_err(), "{bad}");
        }
        assert!(
            function("arn:aws:lambda:us-east-1:1:function:f").is_ok() && function("a/b").is_err()
        );
    }

    #[test]
    fn one_way_of_clearing_is_enough() {
        let parse = |more: &[&str]| {
            let all = ["larder-publish", "templates", "--dir", "d", "--bucket", "b"];
            Arguments::try_parse_from(all.iter().chain(more))
        };
        assert!(parse(&[]).is_ok());
        assert!(parse(&["--function", "f"]).is_ok());
        for more in [
            &["--function", "f", "--distribution", "E1"][..],
            &["--no-invalidate", "--distribution", "E1"][..],
            &["--stack", "s"][..],
            &["--output", "o"][..],
        ] {
            assert!(parse(more).is_err(), "{more:?}");
        }
    }
}

//! Which distribution serves a domain, or a bucket. Pure.

use serde::{Deserialize, Serialize};

/// A distribution, as far as it has to be known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// Its id, such as `E2BX1E7RR7IV8R`.
    pub id: String,
    /// Its own domain, such as `d111111abcdef8.cloudfront.net`.
    pub domain_name: String,
    /// The domains that it serves beside; `*.example.com` stands for all with one label more.
    pub aliases: Vec<String>,
    /// Where its objects come from.
    pub origins: Vec<Origin>,
    /// Whether it is there for a test of a change, and serves a share of another one's readers.
    pub is_staging: bool,
}

/// Where objects come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// A host's name, such as `bucket.s3.us-east-1.amazonaws.com`.
    pub domain_name: String,
    /// What stands before each path there: empty, or `/prod`.
    pub path: String,
}

/// How many names an error tells.
const TOLD: usize = 20;

/// No distribution was found, or more than one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotFound {
    /// None serves the domain.
    #[error(
        "no distribution of this account serves {domain}; there are {seen}. Give one of them this alias, or name one by its id"
    )]
    NoAlias {
        /// The domain.
        domain: String,
        /// What is served.
        seen: String,
    },
    /// Several do, which can be of a test only.
    #[error("{domain} is served by several distributions, {ids}: name one by its id")]
    Several {
        /// The domain.
        domain: String,
        /// Their ids.
        ids: String,
    },
    /// None serves the bucket.
    #[error(
        "no distribution of this account serves the bucket {0}: stop its events, or name one by its id"
    )]
    NoOrigin(String),
}

/// The one that serves `domain`: by that very alias, else by a wildcard's, else by its own name. Those for tests do not count.
pub fn by_alias<'a>(all: &'a [Distribution], domain: &str) -> Result<&'a Distribution, NotFound> {
    let live = || all.iter().filter(|it| !it.is_staging);
    let has =
        |it: &Distribution, fits: &dyn Fn(&str) -> bool| it.aliases.iter().any(|alias| fits(alias));
    let exact = |alias: &str| alias.eq_ignore_ascii_case(domain);
    let wild = |alias: &str| is_below(domain, alias);
    let ways: [&dyn Fn(&Distribution) -> bool; 3] =
        [&|it| has(it, &exact), &|it| has(it, &wild), &|it| {
            exact(&it.domain_name)
        }];
    for way in ways {
        let found: Vec<_> = live().filter(|it| way(it)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                let ids: Vec<_> = several.iter().map(|it| it.id.as_str()).collect();
                return Err(NotFound::Several {
                    domain: domain.to_owned(),
                    ids: ids.join(" and "),
                });
            }
        }
    }
    Err(NotFound::NoAlias {
        domain: domain.to_owned(),
        seen: seen(live()),
    })
}

/// A distribution that serves a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its id.
    pub distribution: String,
    /// What of a key its paths do not have: `prod/` where the origin's path is `/prod`.
    pub cut: String,
    /// Whether it has other origins, of whose paths a listing of this bucket tells nothing.
    pub has_others: bool,
}

impl Served {
    /// A bucket, whole, in a distribution of which nothing else is known.
    #[must_use]
    pub fn whole(distribution: String) -> Self {
        Self {
            distribution,
            cut: String::new(),
            has_others: true,
        }
    }

    /// Whether a folder of the bucket is served below that path, which begins with no slash.
    #[must_use]
    pub fn is_below(&self, folder: &str, path: &str) -> bool {
        let served = folder.strip_prefix(self.cut.as_str());
        served.is_some_and(|served| served.starts_with(path))
    }
}

/// Those that serve objects of `bucket`: all that have it as an origin, those for tests of a change, too, which serve a share of
/// readers from caches of their own ("Learn how continuous deployment works" in the Developer Guide). And those of the domains at
/// which it is known to be served, which may come by it through a proxy; unless others were found, and these have other buckets alone.
pub fn by_bucket(
    all: &[Distribution],
    bucket: &str,
    domains: &[&str],
) -> Result<Vec<Served>, NotFound> {
    let mut found = Vec::new();
    for distribution in all {
        let origins = distribution.origins.iter();
        for origin in origins.filter(|origin| is_bucket(&origin.domain_name, bucket)) {
            let path = origin.path.trim_matches('/');
            let served = Served {
                distribution: distribution.id.clone(),
                cut: if path.is_empty() {
                    String::new()
                } else {
                    format!("{path}/")
                },
                has_others: distribution.origins.iter().any(|other| other != origin),
            };
            if !found.contains(&served) {
                found.push(served);
            }
        }
    }
    let is_found = !found.is_empty();
    for domain in domains {
        match by_alias(all, domain) {
            Ok(it) if found.iter().any(|served| served.distribution == it.id) => {}
            Ok(it) if is_found && it.origins.iter().all(|of| is_s3(&of.domain_name)) => {}
            Ok(it) => found.push(Served::whole(it.id.clone())),
            // It is served at another name, then.
            Err(_) if is_found => {}
            Err(why) => return Err(why),
        }
    }
    if found.is_empty() {
        return Err(NotFound::NoOrigin(bucket.to_owned()));
    }
    Ok(found)
}

/// Whether `domain` has one label more than the rest of `*.rest`.
fn is_below(domain: &str, alias: &str) -> bool {
    let rest = alias.strip_prefix("*.");
    let parent = domain.split_once('.');
    rest.zip(parent).is_some_and(|(rest, (label, parent))| {
        !label.is_empty() && parent.eq_ignore_ascii_case(rest)
    })
}

/// Whether a host is that bucket's: `bucket.s3.amazonaws.com`, with its Region or as a website, too.
fn is_bucket(host: &str, bucket: &str) -> bool {
    let rest = host
        .strip_prefix(bucket)
        .and_then(|rest| rest.strip_prefix(".s3"));
    let is_end = |rest: &str| rest.starts_with('.') || rest.starts_with('-');
    rest.is_some_and(|rest| is_end(rest) && is_of_aws(host))
}

/// Whether a host is some bucket's, by its own name. One that is an access point's may be any bucket's.
fn is_s3(host: &str) -> bool {
    let is_point = host.contains("-s3alias.") || host.contains(".accesspoint.");
    is_of_aws(host) && host.contains(".s3") && !is_point
}

fn is_of_aws(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

fn seen<'a>(all: impl Iterator<Item = &'a Distribution>) -> String {
    let names = |it: &Distribution| {
        let aliases = it.aliases.join(", ");
        if aliases.is_empty() {
            it.domain_name.clone()
        } else {
            aliases
        }
    };
    let mut seen: Vec<_> = all.map(|it| format!("{} ({})", it.id, names(it))).collect();
    let more = seen.len().saturating_sub(TOLD);
    seen.truncate(TOLD);
    match (seen.is_empty(), more) {
        (true, _) => "none at all".to_owned(),
        (false, 0) => seen.join(", "),
        (false, more) => format!("{} and {more} more", seen.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(id: &str, aliases: &[&str]) -> Distribution {
        Distribution {
            id: id.to_owned(),
            domain_name: format!("{}.cloudfront.net", id.to_lowercase()),
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            ..Distribution::default()
        }
    }

    #[test]
    fn an_exact_alias_comes_before_a_wildcard_and_both_before_a_name() {
        let mut staging = distribution("E0", &["releases.example.com"]);
        staging.is_staging = true;
        let all = [
            staging,
            distribution("E1", &["*.example.com"]),
            distribution("E2", &["Releases.Example.com", "other.example.org"]),
            distribution("E3", &[]),
        ];
        let found = |domain: &str| by_alias(&all, domain).map(|it| it.id.as_str());
        assert_eq!(found("releases.example.com"), Ok("E2"));
        assert_eq!(found("www.example.com"), Ok("E1"));
        assert_eq!(found("e3.cloudfront.net"), Ok("E3"));
        for missing in ["a.b.example.com", "example.com", ".example.com"] {
            let told = found(missing).unwrap_err().to_string();
            assert!(
                told.contains(
                    "E2 (Releases.Example.com, other.example.org), E3 (e3.cloudfront.net)"
                ),
                "{told}"
            );
        }
        let none = by_alias(&[], "a.example.com").unwrap_err().to_string();
        assert!(none.contains("none at all"), "{none}");
    }

    #[test]
    fn two_that_serve_the_same_are_an_error_that_names_both() {
        let all = [
            distribution("E1", &["*.example.com"]),
            distribution("E2", &["*.EXAMPLE.com"]),
        ];
        let told = by_alias(&all, "a.example.com").unwrap_err().to_string();
        assert!(told.contains("E1 and E2"), "{told}");
    }

    #[test]
    fn a_bucket_is_found_by_its_origin_in_all_that_serve_it() {
        let with = |id: &str, host: &str, path: &str| Distribution {
            origins: vec![Origin {
                domain_name: host.to_owned(),
                path: path.to_owned(),
            }],
            ..distribution(id, &[])
        };
        let all = [
            with("E1", "releases.s3.us-east-1.amazonaws.com", ""),
            with("E2", "releases.s3-website-us-east-1.amazonaws.com", "/prod"),
            with("E3", "my-releases.s3.amazonaws.com", ""),
            with("E4", "releases.s3.evil.example.com", ""),
        ];
        let found = by_bucket(&all, "releases", &[]).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.distribution.as_str(), it.cut.as_str(), it.has_others))
            .collect();
        assert_eq!(found, [("E1", "", false), ("E2", "prod/", false)]);
        assert!(by_bucket(&all, "s3", &[]).is_err());
        let mut two = all.clone();
        two[0].origins.push(Origin {
            domain_name: "api.example.com".to_owned(),
            path: String::new(),
        });
        assert!(by_bucket(&two, "releases", &[]).unwrap()[0].has_others);
    }

    #[test]
    fn a_domain_that_is_named_for_a_bucket_is_served_by_it_unless_it_has_another_one() {
        let with = |id: &str, host: &str, alias: &str| Distribution {
            origins: vec![Origin {
                domain_name: host.to_owned(),
                path: String::new(),
            }],
            ..distribution(id, &[alias])
        };
        let (bucket, other) = (
            "bucket.s3.us-east-1.amazonaws.com",
            "other.s3.us-east-1.amazonaws.com",
        );
        let point = "point-x-s3alias.s3.us-east-1.amazonaws.com";
        let proxy = "proxy.example.com";
        let mut mixed = with("E5", proxy, "mixed.example.com");
        mixed.origins.extend(with("", other, "").origins);
        let all = [
            with("E1", bucket, "own.example.com"),
            with("E2", proxy, "proxied.example.com"),
            with("E3", other, "other.example.com"),
            with("E4", point, "point.example.com"),
            mixed,
        ];
        let found = |bucket: &str, domains: &[&str]| {
            let found = by_bucket(&all, bucket, domains)?;
            let ids = found.into_iter().map(|served| served.distribution);
            Ok::<_, NotFound>(ids.collect::<Vec<_>>())
        };
        for (bucket, domains, ids) in [
            ("bucket", &[][..], &["E1"][..]),
            ("bucket", &["own.example.com"], &["E1"]),
            ("bucket", &["proxied.example.com"], &["E1", "E2"]),
            (
                "bucket",
                &["other.example.com", "nobody.example.com"],
                &["E1"],
            ),
            ("bucket", &["point.example.com"], &["E1", "E4"]),
            ("bucket", &["mixed.example.com"], &["E1", "E5"]),
            ("elsewhere", &["proxied.example.com"], &["E2"]),
            ("alias", &["other.example.com"], &["E3"]),
        ] {
            assert_eq!(found(bucket, domains).unwrap(), ids, "{bucket} {domains:?}");
        }
        assert!(found("elsewhere", &["nobody.example.com"]).is_err());
    }
}

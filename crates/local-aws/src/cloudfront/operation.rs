//! The operations: what is asked, and what is done and answered.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, Method, Uri, header};
use url::form_urlencoded;

use super::{
    Request, Shared,
    batch::Batch,
    refusal::Refusal,
    xml::{self, Listed},
};

/// How many entries a page has unless fewer are asked for.
const PAGE: usize = 100;

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    CreateInvalidation(String),
    GetInvalidation(String, String),
    ListInvalidations(String, Query),
    ListDistributions(Query),
    GetDistribution(String),
    /// Nothing that is here.
    Unknown,
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) header: Option<(HeaderName, String)>,
    pub(super) xml: String,
}

/// Which part of a list is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    marker: String,
    max_items: Option<String>,
}

impl Operation {
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let mut query = Query::default();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "Marker" => query.marker = value.into_owned(),
                "MaxItems" => query.max_items = Some(value.into_owned()),
                _ => {}
            }
        }
        let (get, post) = (method == Method::GET, method == Method::POST);
        let Some(path) = uri.path().strip_prefix("/2020-05-31/distribution") else {
            return Self::Unknown;
        };
        let parts: Vec<_> = path.split('/').skip(1).collect();
        match parts.as_slice() {
            [] if get => Self::ListDistributions(query),
            [id] if get => Self::GetDistribution((*id).to_owned()),
            [id, "invalidation"] if get => Self::ListInvalidations((*id).to_owned(), query),
            [id, "invalidation"] if post => Self::CreateInvalidation((*id).to_owned()),
            [id, "invalidation", invalidation] if get => {
                Self::GetInvalidation((*id).to_owned(), (*invalidation).to_owned())
            }
            _ => Self::Unknown,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::CreateInvalidation(..) => "CreateInvalidation",
            Self::GetInvalidation(..) => "GetInvalidation",
            Self::ListInvalidations(..) => "ListInvalidations",
            Self::ListDistributions(..) => "ListDistributions",
            Self::GetDistribution(..) => "GetDistribution",
            Self::Unknown => "Unknown",
        }
    }

    pub(super) fn distribution(&self) -> Option<&str> {
        match self {
            Self::CreateInvalidation(id)
            | Self::GetInvalidation(id, _)
            | Self::ListInvalidations(id, _)
            | Self::GetDistribution(id) => Some(id),
            Self::ListDistributions(_) | Self::Unknown => None,
        }
    }

    /// Notes what `body` asks for, whether or not that is done.
    pub(super) fn note(&self, body: &[u8], request: &mut Request) {
        if let (Self::CreateInvalidation(_), Ok(batch)) = (self, Batch::read(body)) {
            request.items = batch.items;
            request.reference = Some(batch.reference);
        }
    }

    /// Does it.
    pub(super) fn perform(
        &self,
        shared: &Arc<Shared>,
        body: &[u8],
        request: &mut Request,
    ) -> Result<Answer, Refusal> {
        match self {
            Self::CreateInvalidation(id) => {
                self.note(body, request);
                create(shared, id, body, request)
            }
            Self::GetInvalidation(id, invalidation) => {
                let account = shared.account();
                let invalidation = account.known(id)?.invalidation(invalidation)?;
                Ok(Answer::of(xml::invalidation(invalidation)))
            }
            Self::ListInvalidations(id, query) => {
                let account = shared.account();
                let invalidations = account.known(id)?.invalidations.iter().rev();
                let listed = query.listed(invalidations, |one| &one.id, account.page)?;
                Ok(Answer::of(xml::invalidations(&listed)))
            }
            Self::ListDistributions(query) => {
                let account = shared.account();
                let all = account.distributions().iter();
                let listed = query.listed(all, |known| &known.distribution.id, account.page)?;
                Ok(Answer::of(xml::distributions(&listed)))
            }
            Self::GetDistribution(id) => {
                let account = shared.account();
                let known = account.known(id)?;
                let in_progress = known.batches_in_progress();
                Ok(Answer {
                    header: Some((header::ETAG, known.distribution.etag())),
                    ..Answer::of(known.distribution.whole(in_progress))
                })
            }
            Self::Unknown => Err(Refusal::new(
                404,
                "NoSuchResource",
                "There is no such operation here.",
            )),
        }
    }
}

impl Answer {
    fn of(xml: String) -> Self {
        Self {
            status: 200,
            header: None,
            xml,
        }
    }
}

fn create(
    shared: &Arc<Shared>,
    distribution: &str,
    body: &[u8],
    request: &mut Request,
) -> Result<Answer, Refusal> {
    let mut account = shared.account();
    account.call()?;
    account.known(distribution)?;
    let (mut invalidation, made) = account.create(distribution, Batch::read(body)?)?;
    let delay = account.delay;
    drop(account);
    request.made = made;
    let id = invalidation.id.clone();
    if made && delay.is_zero() {
        shared.complete(distribution, &id);
        let account = shared.account();
        invalidation = account.known(distribution)?.invalidation(&id)?.clone();
    } else if made {
        complete_after(delay, shared, distribution, &id);
    }
    // AWS names itself, wherever it was asked.
    let location = format!(
        "https://cloudfront.amazonaws.com/2020-05-31/distribution/{distribution}/invalidation/{id}"
    );
    Ok(Answer {
        status: 201,
        header: Some((header::LOCATION, location)),
        xml: xml::invalidation(&invalidation),
    })
}

/// Completes an invalidation later, unless the endpoint is gone by then.
fn complete_after(delay: Duration, shared: &Arc<Shared>, distribution: &str, id: &str) {
    let shared = Arc::downgrade(shared);
    let (distribution, id) = (distribution.to_owned(), id.to_owned());
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        if let Some(shared) = shared.upgrade() {
            shared.complete(&distribution, &id);
        }
    });
}

impl Query {
    /// The part of `all` that is asked for: what comes behind the marker, which is the id of the last one shown.
    fn listed<'a, T>(
        &self,
        all: impl Iterator<Item = &'a T>,
        id: fn(&T) -> &str,
        bound: Option<usize>,
    ) -> Result<Listed<'a, T>, Refusal> {
        let most =
            match &self.max_items {
                None => PAGE,
                Some(most) => most.parse().ok().filter(|&most| most > 0).ok_or_else(|| {
                    Refusal::invalid_argument("The parameter MaxItems is invalid.")
                })?,
            };
        let mut rest: Vec<_> = all.collect();
        if !self.marker.is_empty() {
            let at = rest.iter().position(|one| id(one) == self.marker);
            let at =
                at.ok_or_else(|| Refusal::invalid_argument("The parameter Marker is invalid."))?;
            rest.drain(..=at);
        }
        let shown = most.min(PAGE).min(bound.unwrap_or(PAGE));
        let is_truncated = rest.len() > shown;
        rest.truncate(shown);
        let last = rest.last().filter(|_| is_truncated);
        Ok(Listed {
            marker: self.marker.clone(),
            next: last.map(|last| id(last).to_owned()),
            most,
            items: rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &Method, uri: &'static str) -> Operation {
        Operation::of(method, &Uri::from_static(uri))
    }

    #[test]
    fn an_operation_is_told_by_method_and_path() {
        let list = of(
            &Method::GET,
            "/2020-05-31/distribution?Marker=E%31&MaxItems=2",
        );
        let query = Query {
            marker: "E1".to_owned(),
            max_items: Some("2".to_owned()),
        };
        assert_eq!(list, Operation::ListDistributions(query));
        let get = of(&Method::GET, "/2020-05-31/distribution/E1/invalidation/I1");
        assert_eq!(
            (get.name(), get.distribution()),
            ("GetInvalidation", Some("E1"))
        );
        for (method, uri) in [
            (Method::DELETE, "/2020-05-31/distribution/E1"),
            (Method::POST, "/2020-05-31/distribution"),
            (Method::GET, "/2020-05-31/distribution/E1/config"),
            (Method::GET, "/2019-03-26/distribution"),
        ] {
            assert_eq!(of(&method, uri), Operation::Unknown, "{method} {uri}");
        }
    }

    #[test]
    fn a_list_goes_on_behind_its_marker() {
        let all: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();
        let page = |marker: &str, most: Option<&str>, bound| {
            let query = Query {
                marker: marker.to_owned(),
                max_items: most.map(str::to_owned),
            };
            let listed = query.listed(all.iter(), String::as_str, bound);
            listed.map(|listed| (listed.items.len(), listed.next))
        };
        assert_eq!(page("", None, None), Ok((3, None)));
        assert_eq!(page("", Some("2"), None), Ok((2, Some("b".to_owned()))));
        assert_eq!(page("b", Some("2"), None), Ok((1, None)));
        assert_eq!(page("", Some("2"), Some(1)), Ok((1, Some("a".to_owned()))));
        assert_eq!(page("c", None, None), Ok((0, None)));
        for (marker, most) in [("x", None), ("", Some("0")), ("", Some("many"))] {
            let refusal = page(marker, most, None).unwrap_err();
            assert_eq!(refusal.code, "InvalidArgument");
        }
    }
}

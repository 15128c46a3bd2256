//! The port to the bucket behind a CDN: which objects there are below a prefix.

use aws_sdk_s3::Client;

use crate::{
    error::told,
    item::Item,
    known::{Full, Listing},
    release::PENDING,
};

/// A bucket could not be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// S3 has refused, or gave no answer.
    #[error("the bucket {bucket} cannot be listed: {cause}")]
    Refused {
        /// Which one.
        bucket: String,
        /// Why.
        cause: String,
    },
    /// There are more objects than were to be listed.
    #[error("there are more than {0} objects")]
    TooMany(usize),
    /// There is no room for all of their paths.
    #[error(transparent)]
    Full(#[from] Full),
}

/// The paths of all objects whose keys begin with `prefix`, at most `most` of them; publishers' own notes aside. `cut` is what of
/// each key the paths do not have, as an origin's path is not.
pub async fn list(
    client: &Client,
    bucket: &str,
    (prefix, cut): (&str, &str),
    most: usize,
) -> Result<Listing, ListError> {
    let path = |key: &str| Item::of_key(key.strip_prefix(cut)?).ok();
    let under = path(prefix).map_or_else(|| "/".to_owned(), |item| item.to_string());
    let mut listing = Listing::new(&under);
    let list = client.list_objects_v2().bucket(bucket).prefix(prefix);
    let mut pages = list.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ListError::Refused {
            bucket: bucket.to_owned(),
            cause: told(&error),
        })?;
        if listing.len() + page.contents().len() > most {
            return Err(ListError::TooMany(most));
        }
        let keys = page.contents().iter().filter_map(|object| object.key());
        for key in keys.filter(|key| !key.ends_with(PENDING)) {
            if let Some(item) = path(key) {
                listing.push(item.as_str())?;
            }
        }
    }
    listing.sort();
    Ok(listing)
}

//! What is in a bucket: objects, what their uploaders have said of them, and lists.

use std::collections::HashMap;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use larder_artifact::Compression;

use super::{COMPRESSION, GZIP, SHA256, Store, StoreError, status};
use crate::digest::Sha256;

/// More objects than any folder of templates has: whoever lists more has named the wrong folder.
const MOST_OBJECTS: usize = 100_000;

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) size: u64,
    pub(crate) sha256: Option<String>,
    pub(crate) compression: Compression,
    /// Tells it from what was there before, and from the same once it is written anew.
    pub(crate) identity: String,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) size: u64,
    pub(crate) etag: String,
}

/// A small object with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    pub(crate) etag: String,
}

impl Store {
    /// What is there under a key, if anything is.
    pub(crate) async fn find(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let head = self.client.head_object().bucket(&self.bucket).key(key);
        let found = match head.send().await {
            Ok(found) => found,
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(self.refused("HeadObject", key, &error)),
        };
        let of = |name: &str| Some(found.metadata()?.get(name)?.clone());
        let compression = match of(COMPRESSION).as_deref() {
            Some(GZIP) => Compression::Gzip,
            _ => Compression::None,
        };
        let modified = found.last_modified();
        let modified = modified.map_or(0, aws_sdk_s3::primitives::DateTime::secs);
        Ok(Some(Found {
            identity: format!("{} {modified}", found.e_tag().unwrap_or_default()),
            size: unsigned(found.content_length()),
            sha256: of(SHA256),
            compression,
        }))
    }

    /// A small object, if it is there.
    pub(crate) async fn get(&self, key: &str, most: usize) -> Result<Option<Held>, StoreError> {
        let mut bytes = Vec::new();
        let etag = self.read(key, |chunk| {
            let fits = bytes.len() + chunk.len() <= most;
            if fits {
                bytes.extend_from_slice(chunk);
            }
            fits
        });
        let etag = etag.await?;
        Ok(etag.map(|etag| Held { bytes, etag }))
    }

    /// The SHA-256 of an object's bytes, read through, if it is there.
    pub(crate) async fn sha256(&self, key: &str) -> Result<Option<String>, StoreError> {
        let mut hash = Sha256::new();
        let read = self.read(key, |chunk| {
            hash.update(chunk);
            true
        });
        Ok(read.await?.map(|_| hash.finish()))
    }

    /// Reads an object in pieces while they are taken, and returns its `ETag`.
    async fn read(
        &self,
        key: &str,
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Result<Option<String>, StoreError> {
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        let mut found = match get.send().await {
            Ok(found) => found,
            Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => {
                return Ok(None);
            }
            Err(error) => return Err(self.refused("GetObject", key, &error)),
        };
        while let Some(chunk) = found.body.next().await {
            let chunk = chunk.map_err(|error| StoreError::Refused {
                operation: "GetObject",
                key: key.to_owned(),
                bucket: self.bucket.clone(),
                cause: DisplayErrorContext(&error).to_string(),
            })?;
            if !take(&chunk) {
                let most = "what is published there".to_owned();
                return Err(StoreError::TooLarge(key.to_owned(), most));
            }
        }
        Ok(Some(found.e_tag.unwrap_or_default()))
    }

    /// All objects whose keys begin with `prefix`.
    pub(crate) async fn list(&self, prefix: &str) -> Result<HashMap<String, Listed>, StoreError> {
        let mut all = HashMap::new();
        let list = self.client.list_objects_v2().bucket(&self.bucket);
        let mut pages = list.prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.refused("ListObjectsV2", prefix, &error))?;
            for object in page.contents() {
                let Some(key) = object.key() else { continue };
                let etag = object.e_tag().unwrap_or_default();
                let listed = Listed {
                    size: unsigned(object.size()),
                    etag: etag.trim_matches('"').to_owned(),
                };
                all.insert(key.to_owned(), listed);
            }
            if all.len() > MOST_OBJECTS {
                let most = format!("{MOST_OBJECTS} objects");
                return Err(StoreError::TooLarge(format!("{prefix:?}"), most));
            }
        }
        Ok(all)
    }
}

fn unsigned(size: Option<i64>) -> u64 {
    u64::try_from(size.unwrap_or_default()).unwrap_or_default()
}

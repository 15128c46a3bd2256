//! What stands for memory in a program without that feature: there never is one.

use std::{any::Any, sync::Arc};

use crate::{
    clock::WallMillis,
    held::Held,
    key::{Ident, Key},
    stats::Tally,
};

#[derive(Debug)]
pub(crate) enum Memory {}

impl Memory {
    pub(crate) fn width(&self) -> usize {
        match *self {}
    }

    pub(crate) fn hit<K: Key + ?Sized>(
        &self,
        _: (u64, &K),
        _: &[Tally],
        _: impl FnOnce(&Held) -> bool,
    ) -> Option<(Arc<dyn Any + Send + Sync>, WallMillis)> {
        match *self {}
    }

    pub(crate) fn get(&self, _: &Ident) -> Option<Held> {
        match *self {}
    }

    pub(crate) fn put(&self, _: &Ident, _: Held) {
        match *self {}
    }

    pub(crate) fn remove(&self, _: &Ident) {
        match *self {}
    }

    pub(crate) fn clear(&self) {
        match *self {}
    }

    pub(crate) fn size(&self) -> (u64, u64) {
        match *self {}
    }

    pub(crate) fn sweep(&self, _: WallMillis) {
        match *self {}
    }
}

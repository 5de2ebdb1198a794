//! Finding a place for the slots where the fence holds best.

use std::path::Path;

use super::policy::{Fence, FenceConfig, FenceError};
use super::{Reason, State};
use crate::{
    sandbox::slot::{Places, SlotError, Slots},
    threads::blocking,
};

/// Why a server cannot have a fence and slots.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No place for the slots.
    #[error(transparent)]
    Slots(#[from] SlotError),
    /// The fence is required and cannot be had.
    #[error(transparent)]
    Fence(#[from] FenceError),
}

impl Fence {
    /// Opens `count` slots in the first of the `places` where a view can be had, or else in the
    /// first usable one, and probes the fence there.
    ///
    /// # Errors
    /// [`StartError::Slots`] if no place is usable, [`StartError::Fence`] as [`Fence::probe`].
    pub async fn start(
        config: &FenceConfig,
        places: &Places,
        count: usize,
        workspace: Option<&Path>,
    ) -> Result<(Self, Slots), StartError> {
        let mut second_best = None;
        let mut unusable = None;
        for root in &places.slot_roots {
            let slots = match open(root, count, places).await {
                Ok(slots) => slots,
                Err(error) => {
                    unusable.get_or_insert(error);
                    continue;
                }
            };
            let slot = slots.acquire().await?;
            let fence = Self::probe(config, places, slot.dirs(), workspace).await?;
            let view = &fence.status().view;
            let elsewhere =
                view.state == State::Unavailable && view.reason == Some(Reason::FileSystem);
            if !elsewhere {
                return Ok((fence, slots));
            }
            second_best.get_or_insert((fence, slots));
        }
        match (second_best, unusable) {
            (Some(found), _) => Ok(found),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Err(SlotError::NoPlace.into()),
        }
    }

    /// This fence for other places on the same machine, with slots in the best of them. What holds was
    /// tried when this one was probed; a run whose fence can't be set up there fails all the same.
    ///
    /// # Errors
    /// As [`Fence::start`].
    pub async fn elsewhere(
        &self,
        places: &Places,
        count: usize,
    ) -> Result<(Self, Slots), StartError> {
        let root = places.slot_roots.first().ok_or(SlotError::NoPlace)?;
        let slots = open(root, count, places).await?;
        Ok((self.at(places).await, slots))
    }
}

async fn open(root: &Path, count: usize, places: &Places) -> Result<Slots, SlotError> {
    let (root, user_config) = (root.to_owned(), places.user_config.clone());
    blocking(move || Slots::open(&root, count, &user_config)).await
}

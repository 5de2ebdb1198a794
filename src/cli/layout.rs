//! Writes the account's models into OpenCode's configuration, grouped by the flags, else as before.

use std::sync::Arc;

use anyhow::Context as _;

use crate::{
    models::Listing,
    opencode::{self, Committed, ConfigError, ConfigTarget, DesiredProvider, Layout, ModelOptions},
};

/// The flags of the grouping.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ShapeFlags {
    /// Add one entry per family of models, with its members as variants
    #[arg(long)]
    variants: bool,

    /// Leave out the members' own entries
    #[arg(long, requires = "variants", conflicts_with = "plain")]
    compact: bool,

    /// One entry per model, without variants [default for a new configuration]
    #[arg(long, conflicts_with = "variants")]
    plain: bool,
}

/// What was written, or would be.
pub struct Synced {
    /// The wanted provider.
    pub desired: DesiredProvider,
    /// What that has changed.
    pub outcome: Committed,
    /// The grouping of the models.
    pub shape: Layout,
    /// Whether that was taken from the configuration.
    is_kept: bool,
}

/// Writes the models for a provider, whose grouping the flags say.
///
/// # Errors
/// The configuration can't be read, understood or written.
pub async fn sync(
    target: ConfigTarget,
    flags: ShapeFlags,
    provider: ModelOptions,
    listing: &Arc<Listing>,
    dry_run: bool,
) -> anyhow::Result<Synced> {
    let listing = Arc::clone(listing);
    let work = move || {
        let asked = flags.shape();
        let kept = || opencode::shape(&target, &provider.provider);
        let shape = asked.map_or_else(kept, Ok)?;
        let desired = DesiredProvider::new(&listing, &ModelOptions { shape, ..provider });
        Ok::<_, ConfigError>(Synced {
            outcome: opencode::commit(&target, &desired, dry_run)?,
            desired,
            shape,
            is_kept: asked.is_none(),
        })
    };
    let worker = tokio::task::spawn_blocking(work);
    Ok(worker.await.context("the change was interrupted")??)
}

impl ShapeFlags {
    fn shape(self) -> Option<Layout> {
        match (self.plain, self.variants, self.compact) {
            (true, ..) => Some(Layout::Plain),
            (_, true, false) => Some(Layout::Variants),
            (_, true, true) => Some(Layout::Compact),
            _ => None,
        }
    }
}

impl Synced {
    /// A note for the user if the grouping comes from the configuration.
    pub fn note(&self) -> Option<String> {
        let flags = self.flags();
        let is_worth_it = self.is_kept && !flags.is_empty();
        is_worth_it.then(|| format!("grouped as before:{flags} (--plain lists every model)"))
    }

    /// The flags that ask for the grouping, each after a space.
    pub fn flags(&self) -> &'static str {
        match self.shape {
            Layout::Plain => "",
            Layout::Variants => " --variants",
            Layout::Compact => " --variants --compact",
        }
    }
}

//! How `sync-models` and `install` group the models: by the flags, else as before.

use crate::opencode::{self, ConfigError, ConfigTarget, Layout};

/// The flags of the grouping.
#[derive(Debug, clap::Args)]
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

/// The grouping of the models.
#[derive(Debug, Clone, Copy)]
pub struct Chosen {
    /// The grouping.
    pub shape: Layout,
    /// Whether it was taken from the configuration.
    pub is_kept: bool,
}

impl ShapeFlags {
    /// The grouping of the flags, else the one that `target` has. Blocking.
    pub fn choose(&self, target: &ConfigTarget, provider: &str) -> Result<Chosen, ConfigError> {
        let asked = match (self.plain, self.variants, self.compact) {
            (true, ..) => Some(Layout::Plain),
            (_, true, false) => Some(Layout::Variants),
            (_, true, true) => Some(Layout::Compact),
            _ => None,
        };
        Ok(Chosen {
            is_kept: asked.is_none(),
            shape: asked.map_or_else(|| opencode::shape(target, provider), Ok)?,
        })
    }
}

impl Chosen {
    /// A note for the user if the grouping comes from the configuration.
    pub fn note(self) -> Option<String> {
        let flags = self.flags();
        let is_worth_it = self.is_kept && !flags.is_empty();
        is_worth_it.then(|| format!("grouped as before:{flags} (--plain lists every model)"))
    }

    /// The flags that ask for it, each after a space.
    pub fn flags(self) -> &'static str {
        match self.shape {
            Layout::Plain => "",
            Layout::Variants => " --variants",
            Layout::Compact => " --variants --compact",
        }
    }
}

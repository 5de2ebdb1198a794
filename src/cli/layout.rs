//! How `sync-models` and `install` present the models: as asked for, else as they did before.

use crate::opencode::{self, ConfigError, Layout, Target};

/// The flags that say it.
#[derive(Debug, clap::Args)]
pub struct ShapeFlags {
    /// Add an entry per family, with its members as OpenCode variants
    #[arg(long)]
    variants: bool,

    /// Hide the members behind their family's entry
    #[arg(long, requires = "variants")]
    compact: bool,

    /// An entry per model, without variants [default: as it was before, and at first this]
    #[arg(long, conflicts_with = "variants")]
    plain: bool,
}

/// What the models are presented as.
#[derive(Debug, Clone, Copy)]
pub struct Chosen {
    /// The shape itself.
    pub shape: Layout,
    /// Whether no flag asked for it.
    pub is_kept: bool,
}

impl ShapeFlags {
    /// What is asked for, else what `target` has. Blocking.
    pub fn choose(&self, target: &Target, provider: &str) -> Result<Chosen, ConfigError> {
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
    /// What to tell of a choice that nobody made this time.
    pub fn note(self) -> Option<String> {
        let flags = self.flags();
        let is_worth_it = self.is_kept && !flags.is_empty();
        is_worth_it.then(|| format!("kept as it was:{flags} (--plain lists every model instead)"))
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

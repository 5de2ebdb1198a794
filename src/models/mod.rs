//! Cursor's models: the list, the meaning of their ids, the one that a request names, their limits
//! and prices.
//!
//! ```text
//! `cursor-agent models` ─ list ─> ListedModel ─ id, family ─> Family ─┬─ resolve ─> an id for --model
//!            └ catalog: memory, disk, one fetch at a time        ├─ limits, pricing (data/*.toml)
//!                                                                └─ explain
//! ```
//!
//! Pure but for [`ModelCatalog`], which keeps one file. The caller provides the list with a
//! closure. Must not know HTTP, OpenCode or how the agent is started.

mod alias;
mod catalog;
mod entry;
mod explain;
mod family;
mod id;
mod limits;
mod list;
mod nearest;
mod pricing;
mod resolve;

pub use catalog::{Listing, ListingOrigin, ModelCatalog};
pub use entry::{Capabilities, Entry};
pub use explain::{ExplainedFamily, ExplainedModel, Explanation, explain};
pub use family::{Family, Member, group};
pub use id::{Effort, Marks, ModelId};
pub use limits::{ModelLimits, limits_of};
pub use list::{ListError, ListedModel, parse};
pub use nearest::nearest;
pub use pricing::{LongPrice, Price, lacks_price, price_of};
pub use resolve::{AUTO, ModelRequest, UnknownModel, resolve};

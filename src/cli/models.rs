//! `open-cursor models`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use serde_json::json;

use super::{
    SHOW,
    agent_flag::AgentFlag,
    catalog,
    dirs::UserDirs,
    render::{self, FAINT, NAME},
};
use crate::{
    models::{
        ExplainedFamily, ExplainedModel, Explanation, Listing, ListingOrigin, ModelCatalog,
        explain, lacks_price, parse,
    },
    opencode::{DesiredProvider, Layout, ModelOptions},
};

/// List the account's models with their context, limits and prices
///
/// Prices are Cursor's list prices in US dollars per million tokens; an unknown price, context or
/// output limit is shown as `-`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor models
  open-cursor models --explain
  open-cursor models --json | jq -r '.groups[].id'")]
pub struct ModelsArgs {
    #[command(flatten)]
    agent: AgentFlag,

    /// Show the families: which model each name stands for, and its variants
    #[arg(long, conflicts_with = "unpriced")]
    explain: bool,

    /// Print JSON, explanation included
    #[arg(long, conflicts_with = "unpriced")]
    json: bool,

    /// List only the ids that lack a price; exit code 1 if there are any
    #[arg(long)]
    unpriced: bool,

    /// Read the list from a file instead of the agent
    #[arg(long, value_name = "FILE", hide = true)]
    fixture: Option<PathBuf>,
}

/// Prints the models.
pub async fn run(args: ModelsArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let catalog = catalog(dirs, &args.agent, SHOW)?;
    let listing = listing(args.fixture.as_deref(), &catalog).await?;
    if args.unpriced {
        return Ok(unpriced(&listing));
    }
    let explained = explain(&listing.families);
    if args.json {
        print_json(&listing, &explained)?;
    } else if args.explain {
        explained.groups.iter().for_each(print_family);
        let [plain, variants, compact] = entries_written(&listing);
        render::line(format_args!(
            "\n`open-cursor sync-models` writes {plain} entries, with --variants {variants}, \
             with --variants --compact {compact}."
        ));
    } else {
        print_models(&explained);
    }
    Ok(ExitCode::SUCCESS)
}

/// The account's models, or those of a recorded list. Notes on stderr when they may be out of date.
///
/// # Errors
/// When there is no list, not even an earlier one.
pub(super) async fn listing(
    fixture: Option<&Path>,
    catalog: &ModelCatalog,
) -> anyhow::Result<Arc<Listing>> {
    if let Some(file) = fixture {
        let text = tokio::fs::read_to_string(file).await;
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        return Ok(Arc::new(Listing::live(&parse(&text)?)));
    }
    let waiting = render::progress("asking the agent for the list of models");
    let listing = catalog.list().await;
    drop(waiting);
    let problem = listing.problem.as_deref().unwrap_or_default();
    match listing.origin {
        ListingOrigin::Live => {}
        ListingOrigin::Earlier => {
            render::note(format_args!(
                "note: this list may be out of date: {problem}"
            ));
        }
        ListingOrigin::Builtin => {
            return Err(render::hinted(
                format_args!("the list of models is not available: {problem}"),
                "run `open-cursor doctor`: it checks Cursor's CLI and its login",
            ));
        }
    }
    Ok(listing)
}

fn unpriced(listing: &Listing) -> ExitCode {
    let ids: Vec<String> = listing.entries().map(|entry| entry.id).collect();
    let gaps: Vec<&String> = ids.iter().filter(|id| lacks_price(id)).collect();
    for id in &gaps {
        render::line(id);
    }
    render::note(format_args!(
        "{} of {} models have no known price",
        gaps.len(),
        ids.len()
    ));
    ExitCode::from(u8::from(!gaps.is_empty()))
}

fn print_json(listing: &Listing, explained: &Explanation) -> anyhow::Result<()> {
    let mut value = serde_json::to_value(explained)?;
    value["source"] = json!(listing.origin);
    if let Some(problem) = &listing.problem {
        value["problem"] = json!(problem);
    }
    let [plain, variants, compact] = entries_written(listing);
    value["syncModels"] = json!({"plain": plain, "variants": variants, "compact": compact});
    Ok(render::json(&value)?)
}

fn print_models(explained: &Explanation) {
    let models = explained.groups.iter().flat_map(|family| &family.members);
    let rows = models.map(|model| [model.id.clone(), model.name.clone(), facts(model)]);
    render::list(&rows.collect::<Vec<_>>());
}

fn print_family(family: &ExplainedFamily) {
    render::line(format_args!("{NAME}{}{NAME:#}  {}", family.id, family.name));
    let row = |key: String, id: &str| {
        let member = family.members.iter().find(|member| member.id == id);
        [key, id.to_owned(), member.map(facts).unwrap_or_default()]
    };
    let mut rows = vec![row(String::new(), &family.default_cursor_model)];
    if family.variants.is_empty() {
        render::line(format_args!("    {FAINT}{}{FAINT:#}", rows[0][2]));
        return;
    }
    let variants = family.variants.iter();
    rows.extend(variants.map(|(key, id)| row(format!(":{key}"), id.as_str().unwrap_or_default())));
    let [keys, ids, _] = render::widths(&rows);
    for [key, id, facts] in &rows {
        render::line(format_args!(
            "    {key:keys$}  {id:ids$}  {FAINT}{facts}{FAINT:#}"
        ));
    }
}

/// How many entries `sync-models` writes: plain, with `--variants`, with `--compact` as well.
fn entries_written(listing: &Listing) -> [usize; 3] {
    [Layout::Plain, Layout::Variants, Layout::Compact].map(|shape| {
        let options = ModelOptions {
            provider: String::new(),
            base_url: String::new(),
            api_key: None,
            shape,
        };
        DesiredProvider::new(listing, &options)
            .models()
            .map_or(0, serde_json::Map::len)
    })
}

/// `1M context, 128k output, $5 in, $25 out`; `-` where nothing is known.
fn facts(model: &ExplainedModel) -> String {
    let mut facts = Vec::new();
    facts.extend(model.context.map(|n| format!("{} context", tokens(n))));
    facts.extend(model.output.map(|n| format!("{} output", tokens(n))));
    facts.extend(
        model
            .price
            .map(|price| format!("${} in, ${} out", price.input, price.output)),
    );
    if facts.is_empty() {
        return "-".to_owned();
    }
    facts.join(", ")
}

fn tokens(count: u64) -> String {
    match count {
        n if n % 1_000_000 == 0 => format!("{}M", n / 1_000_000),
        n if n % 1_000 == 0 => format!("{}k", n / 1_000),
        n if n % 1_024 == 0 => format!("{}Ki", n / 1_024),
        n => n.to_string(),
    }
}

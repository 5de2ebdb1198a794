use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

const LIST: &str = "Available models\n\nauto - Auto (default)\ngpt-5.2 - GPT-5.2\n";
const LONGER: &str = "auto - Auto\ngpt-5.2 - GPT-5.2\ngpt-6 - GPT-6\n";

/// A catalog whose agent gives the answers in turn, the last one for ever, each after a second.
fn catalog(
    answers: &'static [Result<&'static str, &'static str>],
    file: Option<PathBuf>,
) -> (Arc<ModelCatalog>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let fetch = move || {
        let turn = counter
            .fetch_add(1, Ordering::SeqCst)
            .min(answers.len() - 1);
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            answers[turn].map(str::to_owned)
        }
    };
    (Arc::new(ModelCatalog::new(fetch, file)), asked)
}

fn named(model: &str) -> ModelRequest<'_> {
    ModelRequest {
        model: Some(model),
        ..ModelRequest::default()
    }
}

#[tokio::test(start_paused = true)]
async fn one_fetch_serves_all_who_wait_and_lasts_five_minutes() {
    let (catalog, asked) = catalog(&[Ok(LIST)], None);
    let (a, b, c) = tokio::join!(
        catalog.list(),
        catalog.list(),
        catalog.resolve(named("gpt-5.2"))
    );
    assert_eq!((a.entries().count(), b.entries().count()), (2, 2));
    assert_eq!(c.as_deref(), Ok("gpt-5.2"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    tokio::time::sleep(FRESH - Duration::from_secs(10)).await;
    catalog.list().await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    // A known id asks for nothing, however old the list is.
    assert!(catalog.resolve(named("gpt-5.2")).await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    catalog.list().await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_asks_again_but_not_in_a_row() {
    let (catalog, asked) = catalog(&[Ok(LIST), Ok(LONGER)], None);
    catalog.list().await;
    assert!(catalog.resolve(named("gpt-6")).await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    tokio::time::sleep(RETRY).await;
    assert_eq!(
        catalog.resolve(named("gpt-6")).await.as_deref(),
        Ok("gpt-6")
    );
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn auto_needs_no_list() {
    let (catalog, asked) = catalog(&[Err("no agent")], None);
    assert_eq!(
        catalog.resolve(named("cursor-acp/auto")).await.as_deref(),
        Ok("auto")
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn without_the_agent_names_are_handed_on() {
    let (catalog, asked) = catalog(&[Err("no agent"), Ok(LIST)], None);
    let listing = catalog.list().await;
    assert_eq!(listing.origin, ListingOrigin::Builtin);
    assert_eq!(listing.problem.as_deref(), Some("no agent"));
    assert_eq!(
        catalog.resolve(named("gpt-9")).await.as_deref(),
        Ok("gpt-9")
    );
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "a failure is not repeated at once"
    );
    tokio::time::sleep(RETRY).await;
    assert_eq!(catalog.list().await.origin, ListingOrigin::Live);
    assert!(catalog.resolve(named("gpt-9")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_keeps_the_list_but_not_its_authority() {
    let (catalog, _) = catalog(
        &[Ok(LIST), Ok("No models available for this account.")],
        None,
    );
    catalog.list().await;
    tokio::time::sleep(FRESH).await;
    let listing = catalog.list().await;
    assert_eq!(
        (listing.origin, listing.entries().count()),
        (ListingOrigin::Earlier, 2)
    );
    assert_eq!(
        catalog.resolve(named("gpt-9")).await.as_deref(),
        Ok("gpt-9")
    );
}

#[tokio::test]
async fn the_disk_serves_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("new/models.txt");
    let (online, _) = catalog(&[Ok(LIST)], Some(file.clone()));
    online.list().await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), LIST);
    let (offline, _) = catalog(&[Err("offline")], Some(file));
    let listing = offline.list().await;
    assert_eq!(
        (listing.origin, listing.entries().count()),
        (ListingOrigin::Earlier, 2)
    );
    assert_eq!(listing.problem.as_deref(), Some("offline"));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_blocks_nobody() {
    let (catalog, asked) = catalog(&[Ok(LIST)], None);
    let impatient = tokio::time::timeout(Duration::from_millis(1), catalog.list()).await;
    assert!(impatient.is_err());
    assert_eq!(catalog.list().await.origin, ListingOrigin::Live);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

//! The same over a file, with the results in it, too.

use std::path::Path;
use std::sync::Arc;

use quintette_tasks::TaskSettings;
use quintette_tasks::brokers::SqlaBroker;
use quintette_tasks::results::DatabaseResults;

use crate::scenes;
use crate::site::Site;

fn site(directory: &Path) -> Site {
    let file = format!("sqlite:///{}", directory.join("tasks.db").display());
    let results = DatabaseResults::new(&format!("db+{file}"), None).unwrap();
    Site {
        broker: Arc::new(SqlaBroker::new(&format!("sqla+{file}")).unwrap()),
        results: Arc::new(results),
        settings: TaskSettings::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_file_all_tasks_run_once() {
    let directory = tempfile::tempdir().unwrap();
    scenes::all_run_once(&site(directory.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_file_a_late_task_of_a_killed_worker_runs_again() {
    let directory = tempfile::tempdir().unwrap();
    let (dying, site) = (site(directory.path()), site(directory.path()));
    scenes::a_late_task_of_a_killed_worker_runs_again(&dying, &site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_file_poison_is_set_aside_and_can_be_replayed() {
    let directory = tempfile::tempdir().unwrap();
    scenes::poison_is_set_aside_and_can_be_replayed(&site(directory.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_file_a_warm_shutdown_gives_back_what_has_not_begun() {
    let directory = tempfile::tempdir().unwrap();
    scenes::a_warm_shutdown_gives_back_what_has_not_begun(&site(directory.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_file_a_task_that_waits_for_its_time_is_held_and_runs_once() {
    let directory = tempfile::tempdir().unwrap();
    let held = site(directory.path());
    scenes::a_task_that_waits_for_its_time_is_held_and_runs_once(&held).await;
    let directory = tempfile::tempdir().unwrap();
    let parked = site(directory.path()).set(|settings| settings.worker_eta_task_limit = 5);
    scenes::a_task_that_waits_for_its_time_is_held_and_runs_once(&parked).await;
}

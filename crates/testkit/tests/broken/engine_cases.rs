use std::sync::Arc;

use quintette_testkit::{EngineSuite, FreshEngine};

use super::engine::{Broken, Defect};

fn suite(defect: Defect) -> EngineSuite {
    EngineSuite::new("broken", move || async move {
        Ok(FreshEngine::new(Arc::new(Broken::new(defect))))
    })
}

/// All of these cases fail for this defect.
fn fails(defect: Defect, cases: &[&str]) {
    let suite = suite(defect);
    for case in cases {
        assert!(suite.cases().contains(case), "there is no case {case}");
        assert!(suite.run(case).is_err(), "{defect:?} passes {case}");
    }
}

#[test]
fn a_lost_update_is_found() {
    fails(
        Defect::LastWriterWins,
        &[
            "replacing_a_stale_revision_is_a_conflict_and_changes_nothing",
            "of_many_who_replace_one_revision_at_once_one_does",
            "requests_that_write_different_keys_at_once_lose_none",
            "requests_that_update_one_counter_at_once_count_exactly",
            "a_save_that_met_another_one_says_so",
        ],
    );
}

#[test]
fn a_comparison_that_is_not_one_step_with_the_write_is_found() {
    fails(
        Defect::LooksThenWrites,
        &[
            "of_many_who_replace_one_revision_at_once_one_does",
            "requests_that_write_different_keys_at_once_lose_none",
            "requests_that_update_one_counter_at_once_count_exactly",
            "removing_and_inserting_at_once_does_both",
        ],
    );
    let sequential = "replacing_a_stale_revision_is_a_conflict_and_changes_nothing";
    suite(Defect::LooksThenWrites).run(sequential).unwrap();
}

#[test]
fn a_resurrection_is_found() {
    fails(
        Defect::Resurrects,
        &[
            "replacing_a_deleted_session_is_gone_and_brings_nothing_back",
            "an_unknown_key_is_none_and_creates_nothing",
            "a_session_flushed_during_a_slow_request_is_not_brought_back",
            "a_session_flushed_during_a_save_is_not_brought_back",
            "writers_during_a_flush_bring_nothing_back",
            "a_write_after_a_cycle_is_interrupted",
        ],
    );
    fails(
        Defect::TouchResurrects,
        &[
            "touching_a_deleted_session_is_gone_and_brings_nothing_back",
            "a_session_flushed_during_a_touch_is_not_brought_back",
        ],
    );
}

#[test]
fn an_overwriting_creation_is_found() {
    fails(
        Defect::CreatesOver,
        &[
            "creating_under_a_key_that_exists_is_taken_and_leaves_it_as_it_was",
            "of_many_who_create_one_key_at_once_one_has_it",
        ],
    );
}

#[test]
fn a_wrong_deletion_is_found() {
    fails(
        Defect::DeletesWhatever,
        &[
            "deleting_a_stale_revision_is_a_conflict_and_deletes_nothing",
            "of_a_delete_and_a_replace_at_once_one_is_done",
            "a_write_during_a_cycle_moves_along",
        ],
    );
    fails(Defect::DeletesOnlyOnce, &["deleting_twice_is_fine"]);
}

#[test]
fn a_stale_cache_is_found() {
    fails(
        Defect::ServesTheDeleted,
        &[
            "deleting_removes_whatever_is_stored",
            "flushing_deletes_at_once_and_the_cookie_goes",
        ],
    );
    fails(
        Defect::ReadsAreStale,
        &[
            "replacing_the_newest_revision_stores_and_gives_the_next_revision",
            "what_one_request_stores_the_next_one_reads",
            "a_read_after_an_acknowledged_save_is_never_older",
        ],
    );
}

#[test]
fn a_wrong_expiry_is_found() {
    fails(
        Defect::NeverExpires,
        &[
            "a_session_that_is_created_expired_is_none",
            "replacing_moves_the_expiry",
            "touching_moves_the_expiry_back",
            "writing_to_an_expired_session_is_gone_and_brings_nothing_back",
            "a_session_whose_time_has_passed_is_gone",
        ],
    );
    fails(
        Defect::TouchKeepsTheExpiry,
        &[
            "touching_moves_the_expiry_back",
            "touching_moves_the_expiry_on",
        ],
    );
}

#[test]
fn a_touch_that_rewrites_is_found() {
    fails(
        Defect::TouchForgetsTheData,
        &[
            "touching_keeps_the_data_byte_for_byte",
            "a_session_that_is_saved_on_every_request_keeps_its_data",
        ],
    );
}

#[test]
fn wrong_keys_are_found() {
    fails(Defect::IgnoresCase, &["a_key_is_matched_to_the_letter"]);
    fails(
        Defect::RefusesOddKeys,
        &[
            "a_hostile_key_is_none_and_creates_nothing",
            "a_hostile_cookie_is_an_empty_session",
        ],
    );
}

#[test]
fn wrong_values_are_found() {
    fails(
        Defect::ConvertsNumbers,
        &[
            "a_number_keeps_its_spelling",
            "what_a_request_did_not_touch_stays_byte_for_byte",
        ],
    );
    fails(Defect::SortsKeys, &["the_order_of_the_keys_is_kept"]);
}

#[test]
fn a_wrong_sweep_or_list_is_found() {
    fails(
        Defect::ClearsTheLiving,
        &["clearing_what_has_expired_removes_exactly_that_and_counts_it"],
    );
    fails(
        Defect::PagesOverlap,
        &["pages_of_a_list_lose_none_and_repeat_none"],
    );
    fails(
        Defect::ListsTheExpired,
        &["a_list_is_without_the_expired_and_the_deleted"],
    );
}

#[test]
fn a_load_for_an_update_without_a_revision_is_found() {
    fails(
        Defect::LoadsWithoutRevision,
        &[
            "what_one_request_stores_the_next_one_reads",
            "a_session_flushed_during_a_save_is_not_brought_back",
        ],
    );
}

#[test]
fn a_store_that_answers_nothing_is_found() {
    fails(
        Defect::AnswersNothing,
        &[
            "an_empty_session_is_a_session",
            "plain_values_come_back_as_they_were",
        ],
    );
}

#[test]
fn a_case_that_does_not_exist_is_an_error() {
    assert!(suite(Defect::NeverExpires).run("no such case").is_err());
}

#[test]
fn a_store_that_cannot_be_made_fails_every_case_with_its_reason() {
    let suite = EngineSuite::new("missing", || async {
        Err("redis is not installed: apt-get install redis-server".into())
    });
    let error = suite.run("an_empty_session_is_a_session").unwrap_err();
    assert!(error.contains("apt-get install redis-server"), "{error}");
}

//! The ledger's rules, each proved on SQLite and on PostgreSQL by the same code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

#[macro_use]
mod databases;

mod audit;
mod batches;
mod belonging;
mod cancelling;
mod clients;
mod counts;
mod exchange;
mod forgetting;
mod granted;
mod grants;
mod listing;
mod meanwhile;
mod orphans;
mod outbox;
mod pruning;
mod restored;
mod siblings;
mod signups;
mod size;
mod support;
mod sweeping;
mod tokens;
mod waiting;
mod young;

/// The rules that need nothing but the ledger.
macro_rules! all_rules {
    ($ledger:path) => {
        rules!($ledger:
            clients::a_token_keeps_the_client_that_it_was_given_to,
            clients::the_client_of_an_earlier_token_is_written_down_once,
            belonging::a_ledger_is_rebound_from_the_foxy_that_it_belongs_to_while_no_worker_has_a_lease,
            belonging::a_ledger_takes_the_first_foxy_and_keeps_it,
            belonging::of_two_foxys_that_come_first_at_once_one_is_taken,
            signups::a_new_signup_is_leased_with_its_intent_and_a_repeat_is_known,
            signups::many_are_accepted_at_once_each_signup_id_once,
            signups::workers_that_claim_at_the_same_time_never_get_the_same_row,
            signups::what_was_begun_is_claimed_first_and_what_was_not_has_its_share,
            signups::what_waits_is_tried_after_its_pause_though_the_clock_was_set_back,
            signups::a_lease_lasts_no_longer_though_the_clock_was_set_back,
            sweeping::one_sweep_moves_all_whose_leases_have_expired,
            sweeping::one_sweep_sets_the_times_of_all_back,
            signups::a_provisioning_takes_three_transactions_and_keeps_one_token,
            signups::a_record_written_again_is_the_one_it_was,
            tokens::a_late_owner_writes_nothing_but_the_token_it_holds,
            signups::an_announced_call_whose_worker_vanished_becomes_unknown_never_due,
            signups::only_what_a_retry_can_mend_is_retried,
            waiting::a_pause_of_our_own_is_cut_short_and_nothing_else_changes,
            waiting::no_try_is_made_before_the_time_that_foxy_or_the_rate_allows,
            waiting::what_is_in_doubt_is_looked_up_no_sooner_for_being_asked,
            signups::a_correction_takes_the_place_of_what_is_parked_once,
            signups::what_was_in_doubt_is_looked_up_after_a_retry_too,
            signups::a_doubt_ends_with_its_call_or_at_the_latest_with_its_lease,
            signups::another_try_settles_no_doubt_and_drops_an_earlier_refusal,
            tokens::a_token_given_up_for_lost_is_taken_when_it_comes_after_all,
            tokens::what_is_in_the_escrow_is_drained_into_the_ledger_once,
            tokens::an_escrow_file_that_can_not_be_read_is_named_and_kept,
            tokens::a_token_of_another_ledger_stays_in_the_escrow,
            exchange::a_judgment_on_what_has_changed_since_is_asked_for_again,
            exchange::what_keeps_changing_is_left_as_it_is_for_another_try,
            exchange::a_token_beside_another_takes_its_place_only_if_it_is_judged_to,
            tokens::a_token_that_comes_while_its_row_is_parked_is_not_left_beside_it,
            tokens::a_token_of_an_earlier_key_resumes_nothing,
            signups::the_next_events_are_each_signup_s_oldest_but_for_kinds_that_rest,
            cancelling::a_cancelled_signup_is_closed_where_it_stood_and_told_of_behind_what_was_told_before,
            cancelling::a_user_token_outlives_a_cancelled_signup_only_where_it_is_kept,
            cancelling::only_what_rests_as_it_was_judged_is_cancelled,
            cancelling::a_late_owner_of_a_cancelled_signup_brings_nothing_but_its_token,
            cancelling::whoever_was_told_nothing_is_told_of_no_end_unless_asked_for,
            cancelling::a_lost_user_stays_an_orphan_when_its_signup_is_cancelled,
            cancelling::what_is_told_of_no_provisioning_is_one_event_for_each_id_in_the_order_of_its_signup,
            pruning::a_year_later_the_row_and_its_tokens_say_who_asked_what_was_made_and_when,
            orphans::users_of_superseded_generations_are_orphans_whatever_became_of_their_signup,
            orphans::a_lost_user_is_an_orphan_at_once_only_in_a_mailbox_of_the_platform_s,
            orphans::an_orphan_has_the_address_that_came_with_a_late_token,
            orphans::an_orphan_of_a_template_that_is_gone_is_not_given_another_email,
            listing::the_pages_of_a_list_are_complete_and_in_order,
            listing::what_moves_while_a_list_is_read_is_not_in_it_twice,
            listing::a_list_has_what_is_asked_for_and_nothing_else,
            forgetting::what_is_left_of_a_forgotten_signup_says_nothing_of_the_customer,
            forgetting::a_store_behind_a_link_that_is_not_trusted_keeps_its_domain,
            forgetting::a_repeat_of_a_forgotten_signup_is_known_whatever_its_content,
            forgetting::only_a_signup_at_rest_is_forgotten,
            forgetting::a_user_that_another_signup_needs_is_not_forgotten,
            siblings::two_open_signups_under_one_user_never_hold_one_domain,
            siblings::of_two_that_choose_a_domain_at_the_same_time_one_has_it,
            siblings::a_parked_signup_that_made_nothing_gives_its_domain_away,
            siblings::only_proof_makes_a_store_another_signup_s,
            siblings::a_domain_once_in_doubt_is_contended_for_good,
            siblings::no_address_stands_on_two_rows,
            siblings::a_store_is_the_same_one_under_each_of_foxys_names,
            outbox::one_worker_publishes_until_it_gives_its_lease_back_or_the_lease_is_over,
            outbox::of_many_workers_that_want_to_publish_one_does,
            outbox::a_clock_that_was_set_back_leaves_the_outbox_to_someone,
            outbox::what_was_confirmed_is_marked_also_for_a_worker_that_has_lost_its_lease,
            restored::whatever_is_open_in_a_restored_ledger_is_looked_up_first,
            restored::a_ledger_is_marked_once_for_each_copy,
            restored::a_ledger_is_not_marked_while_it_is_worked_on_or_for_a_wrong_time,
            restored::a_restored_row_is_in_doubt_under_whatever_key_it_tries,
            restored::a_retry_of_a_restored_row_looks_first,
            forgetting::a_token_that_comes_after_its_customer_was_forgotten_is_wiped,
            forgetting::what_was_not_to_be_forgotten_is_kept_also_if_it_comes_later,
            batches::each_entry_of_a_batch_has_the_answer_that_is_its_own,
            batches::a_user_s_token_that_comes_with_the_end_is_wiped_with_the_others,
            batches::answers_that_are_lost_are_given_when_they_are_asked_for_again,
            grants::a_signup_has_one_grant_at_a_time_and_each_is_told_of,
            grants::a_trip_is_shown_to_the_browser_that_began_it,
            grants::of_many_that_ask_at_once_one_opens_a_grant,
            grants::nothing_is_asked_for_a_signup_that_has_changed_or_was_forgotten,
            grants::a_trip_is_spent_once_and_only_by_the_browser_that_began_it,
            grants::of_many_that_spend_one_trip_at_once_one_does,
            grants::no_trip_begins_for_a_grant_that_is_over,
            grants::grants_that_no_one_completes_expire_once,
            grants::a_signup_that_is_cancelled_or_forgotten_asks_no_one_any_more,
            grants::what_a_grant_expects_moves_with_a_ledger_that_is_rebound,
            grants::nothing_is_told_of_grants_where_no_outcome_events_are_made,
            grants::trips_are_pruned_by_age_and_their_grants_stay,
            granted::a_granted_store_closes_its_signup_as_provisioned_once,
            granted::a_granted_user_lets_its_signup_continue,
            granted::a_store_in_doubt_is_looked_up_before_anything_else_under_a_granted_user,
            granted::a_token_for_a_signup_that_moved_on_is_kept_beside_what_it_has,
            granted::a_reconnected_store_uses_the_newest_token_and_keeps_the_others,
            granted::of_keeping_and_cancelling_at_once_one_is_first,
            granted::a_granted_token_steers_no_signup_that_is_at_work,
            granted::no_store_is_granted_to_two_signups,
            granted::a_store_that_no_one_expected_waits_to_be_confirmed,
            granted::a_granted_token_out_of_the_escrow_does_what_the_grant_would_have_done,
            granted::a_user_that_was_taken_over_is_not_kept_for_a_signup_that_was_cancelled,
            granted::what_is_granted_after_its_customer_was_forgotten_is_wiped,
            signups::the_schema_goes_down_and_up_again,
        );
    };
}

/// The rules that somebody else meddles with.
macro_rules! all_rules_with_a_meddler {
    ($ledger:path) => {
        rules_with_a_meddler!($ledger:
            batches::an_error_that_a_row_has_caused_is_that_row_s_alone,
            batches::a_signup_under_load_costs_few_statements_and_a_fraction_of_a_commit,
            audit::the_audit_is_appended_to_never_changed,
            counts::counts_are_those_of_a_full_count_whatever_was_done,
            counts::counts_begin_with_what_was_there_before_them,
            counts::wrong_counts_are_put_right_by_what_operations_says,
            counts::counts_agree_after_many_writers_and_sweeps_at_once,
            size::no_statement_reads_or_sorts_a_whole_table,
            outbox::an_event_of_an_unknown_kind_is_passed_over_with_what_is_behind_it,
            outbox::a_damaged_event_holds_up_nothing_behind_it,
            outbox::a_signup_goes_on_though_what_was_told_of_it_is_damaged,
            outbox::a_signup_is_forgotten_whatever_stands_in_its_events,
            outbox::a_long_outbox_is_looked_at_in_parts,
            pruning::what_foxy_may_have_beside_the_row_stays_in_the_evidence,
            pruning::events_of_open_signups_and_events_that_wait_stay_whatever_their_age,
            pruning::of_many_workers_that_prune_at_once_each_piece_of_evidence_is_one_s,
        );
    };
}

mod sqlite {
    use foxden_ledger::Ledger;

    use crate::databases::{file, file_with_url};

    #[tokio::test]
    async fn one_damaged_row_does_not_hold_up_the_others() {
        let (ledger, dir) = file().await;
        let url = format!("sqlite:{}/ledger.db", dir.path().display());
        crate::signups::one_damaged_row_does_not_hold_up_the_others(ledger, &url).await;
    }

    all_rules!(file);
    all_rules_with_a_meddler!(file_with_url);

    #[tokio::test]
    async fn what_was_forgotten_is_gone_from_the_file() {
        let (ledger, dir) = file().await;
        crate::forgetting::what_was_forgotten_is_gone_from_the_file(ledger, dir.path()).await;
    }

    #[tokio::test]
    async fn two_processes_on_one_file_migrate_and_write_side_by_side() {
        let (one, dir) = file().await;
        let two = Ledger::connect(&format!("sqlite:{}/ledger.db", dir.path().display()), 1).await.unwrap();
        two.migrate_up().await.unwrap();
        let custody = crate::support::custody();
        let many = |prefix: &str| (0..50).map(|n| crate::support::signup(&custody, &format!("{prefix}{n}"))).collect();
        let (a, b) = tokio::join!(one.accept_queued(many("a")), two.accept_queued(many("b")));
        assert_eq!((a.unwrap().len(), b.unwrap().len()), (50, 50));
        assert_eq!(one.standings().await.unwrap()[0].count, 100);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_open_a_fresh_file_at_once() {
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}/ledger.db", dir.path().display());
            let mut openers = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let url = url.clone();
                openers.spawn(async move {
                    let ledger = Ledger::connect(&url, 1).await?;
                    ledger.migrate_up().await
                });
            }
            openers.join_all().await.into_iter().for_each(|opened| opened.unwrap());
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_ledgers_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (_ledger, dir) = file().await;
        let mode = std::fs::metadata(dir.path().join("ledger.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

/// Needs the server that `DATABASE_URL` names; `make test` brings one up.
mod servers {
    mod postgres {
        use crate::databases::{database, database_with_url};

        all_rules!(database);
        all_rules_with_a_meddler!(database_with_url);
        rules_with_a_meddler!(database_with_url:
            young::plans_of_an_empty_ledger_read_no_whole_table_once_it_has_grown,
            meanwhile::a_token_that_is_committed_while_a_batch_waits_for_its_row_is_wiped_with_the_others,
            meanwhile::what_one_statement_has_recorded_is_answered_before_a_transaction_begins,
            meanwhile::a_lease_that_passes_on_while_its_renewal_waits_for_the_row_is_not_renewed,
            meanwhile::a_batch_that_is_rolled_back_in_a_deadlock_is_written_after_it,
            meanwhile::a_row_that_changes_while_a_batch_waits_for_its_lock_is_looked_at_again,
        );

        #[tokio::test]
        async fn one_damaged_row_does_not_hold_up_the_others() {
            let (ledger, url) = database().await;
            crate::signups::one_damaged_row_does_not_hold_up_the_others(ledger, &url).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_count_that_is_read_while_changes_are_folded_is_right() {
            let (ledger, url) = database().await;
            crate::counts::a_count_that_is_read_while_changes_are_folded_is_right(ledger, &url).await;
        }

        #[tokio::test]
        async fn pruning_waits_for_no_lock() {
            let (ledger, url) = database().await;
            crate::pruning::pruning_waits_for_no_lock(ledger, &url).await;
        }

        /// Statistics of a small table make PostgreSQL run a limited subquery of `IN` once for each row.
        #[tokio::test]
        async fn a_claim_takes_no_more_than_it_asks_for_whatever_the_statistics() {
            let (ledger, url) = database().await;
            let custody = crate::support::custody();
            ledger.accept_queued(vec![crate::support::signup(&custody, "s0")]).await.unwrap();
            crate::support::meddle(&url, "ANALYZE provisionings").await;
            ledger
                .accept_queued((1..8).map(|n| crate::support::signup(&custody, &format!("s{n}"))).collect())
                .await
                .unwrap();
            let claims = ledger.claim(&foxden_ledger::WorkerId::new(), 2, crate::support::LEASE).await.unwrap();
            assert_eq!(claims.claimed.len(), 2);
        }
    }
}

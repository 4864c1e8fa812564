//! Custody's rules, each proved on SQLite and on PostgreSQL by the same code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

#[macro_use]
#[path = "../../../ledger/tests/ledger/databases.rs"]
mod databases;
#[path = "../../../ledger/tests/ledger/support.rs"]
mod support;

mod ended;
mod keys;
mod on_disk;
mod opening;
mod renewal;
mod rotation;
mod two_tokens;
mod whose;

/// The rules that need nothing but the ledger.
macro_rules! all_rules {
    ($ledger:path) => {
        rules!($ledger:
            two_tokens::what_does_not_open_in_its_place_takes_no_token_s_key_and_is_put_aside,
            two_tokens::a_file_that_can_not_be_put_aside_holds_up_none_behind_it,
            two_tokens::a_file_under_a_key_that_is_not_here_stays_where_it_is,
            two_tokens::of_two_tokens_of_one_call_both_are_kept_and_that_of_its_answer_is_used,
            two_tokens::a_token_that_is_here_under_another_envelope_is_no_second_one,
            two_tokens::a_store_of_a_domain_that_was_given_up_is_listed_once_its_token_comes,
            two_tokens::a_store_whose_domain_is_given_up_after_its_token_came_is_listed,
            renewal::another_token_takes_the_place_of_the_one_that_was_used,
            renewal::what_is_parked_for_a_refused_user_token_continues_once_its_successor_is_here,
            renewal::a_refusal_of_a_user_token_that_was_replaced_meanwhile_parks_nothing,
            renewal::of_two_processes_that_renew_at_once_both_tokens_are_kept,
            renewal::a_renewal_waits_in_the_escrow_while_the_ledger_is_away,
            renewal::renewals_are_drained_in_the_order_in_which_they_came,
            renewal::a_token_that_was_resealed_meanwhile_makes_room,
            renewal::a_token_that_was_wiped_stays_wiped,
            renewal::a_token_that_is_kept_beside_changes_places_with_one_that_is_refused,
            renewal::an_earlier_release_leaves_a_renewal_alone,
            keys::every_key_in_use_is_found_and_counted,
            keys::every_envelope_moves_to_the_first_key_and_none_is_changed,
            keys::a_walk_that_was_cut_short_is_gone_on_with_by_another,
            keys::a_fingerprint_is_renewed_with_its_event_and_stays_where_that_is_wiped,
            keys::what_does_not_open_is_named_and_left_as_it_is,
            keys::a_key_that_the_ring_lacks_is_passed_over,
            keys::an_event_that_is_wiped_meanwhile_stays_wiped,
            keys::of_two_walks_at_once_each_envelope_is_moved_by_one,
            opening::a_token_is_opened_on_the_record,
            opening::no_token_is_opened_for_an_address_that_is_not_foxys,
            opening::a_store_that_was_left_behind_gives_no_token,
        );
    };
}

/// The rules that somebody else meddles with.
macro_rules! all_rules_with_a_meddler {
    ($ledger:path) => {
        rules_with_a_meddler!($ledger:
            opening::without_a_record_no_token_is_opened,
            opening::the_example_opens_a_stores_token,
            ended::fxd1_ends_once_none_is_left,
            ended::an_old_copy_put_back_after_the_end_is_refused,
            ended::a_file_of_fxd1_stays_in_the_escrow_after_the_end,
            ended::no_token_of_fxd1_is_written_after_an_end_that_has_not_counted_it,
            ended::a_token_beside_an_fxd1_that_was_put_back_is_kept,
            ended::a_renewal_of_an_fxd1_stays_in_the_escrow_after_the_end,
            ended::a_walk_heeds_an_end_that_comes_while_it_walks,
            whose::a_closed_row_under_another_signups_id_gives_no_token,
            whose::an_open_row_under_another_signups_id_gives_neither_contents_nor_token,
            whose::an_address_edited_to_another_store_of_the_same_foxy_gets_no_token,
            whose::a_token_of_an_earlier_call_in_a_later_ones_row_is_noticed,
            whose::what_an_earlier_release_sealed_says_whose_it_is_once_it_is_resealed,
            whose::a_row_that_contradicts_itself_is_not_vouched_for,
            whose::members_of_a_later_release_survive_a_reseal,
        );
    };
}

mod sqlite {
    use crate::databases::{file, file_with_url};

    all_rules!(file);
    all_rules_with_a_meddler!(file_with_url);
}

/// Needs the server that `DATABASE_URL` names; `make test` brings one up.
mod servers {
    mod postgres {
        use crate::databases::{database, database_with_url};

        all_rules!(database);
        all_rules_with_a_meddler!(database_with_url);
    }
}

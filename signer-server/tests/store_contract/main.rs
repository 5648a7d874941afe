//! What every storage engine must do, as one suite. A test name begins with the requirement it proves.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod attempts;
mod ceremonies;
mod certificates;
mod clients;
mod credentials;
mod displays;
mod fixture;
mod fleets;
mod groups;
mod history;
mod installations;
mod keks;
mod lease;
mod model;
#[path = "../support/postgres.rs"]
mod postgres;
mod races;
mod refresh;
mod reports;
mod requests;
mod rest;
mod tokens;
mod webhooks;

use fixture::{Postgres, Sqlite};

/// Runs the suite against an engine.
macro_rules! store_contract {
    ($engine:ident: $type:ident) => {
        mod $engine {
            use super::*;
            store_contract!(@tests $type;
                attempts: att_001_an_attempt_is_counted_before_it_is_evaluated,
                attempts: att_003_success_and_server_fault_give_the_attempt_back,
                attempts: att_003_a_wrong_pin_stays_counted_and_locks,
                attempts: att_006_the_same_payload_gets_its_outcome_for_a_day,
                attempts: att_011_cheating_ends_the_key,
                attempts: att_012_nothing_is_signed_for_a_closed_request,
                attempts: att_012_nothing_is_released_for_a_frozen_or_revoked_installation,
                attempts: att_013_refusals_come_in_order,
                lease: att_002_a_reservation_holds_against_everybody,
                lease: att_007_the_same_payload_takes_a_dead_lease_up_again,
                lease: att_007_a_reservation_of_a_gone_process_is_taken_up_again,
                lease: att_008_another_payload_takes_over_and_the_old_attempt_stays_counted,
                lease: att_011_a_late_finding_of_cheating_still_ends_the_key,
                refresh: att_012_a_refresh_ends_late_evaluations,
                refresh: att_015_a_confirmation_gives_its_attempt_back_and_nothing_else,
                refresh: att_015_a_confirmation_and_an_approve_exclude_each_other,
                refresh: att_015_of_32_confirmations_and_approves_one_is_granted,
                refresh: att_015_a_confirmation_waits_for_the_end_of_a_lock,
                refresh: att_015_a_cheating_confirmation_ends_the_key,
                refresh: att_015_a_late_finding_of_a_cheating_confirmation_still_ends_the_key,
                refresh: att_015_a_late_confirmation_promotes_nothing,
                refresh: att_015_a_confirmation_that_died_stays_counted_and_the_old_shares_live,
                refresh: att_015_a_fault_of_the_server_leaves_the_old_shares,
                tokens: att_009_the_next_token_becomes_current_even_if_refused,
                tokens: att_009_every_success_gives_out_a_number_of_its_own,
                tokens: att_010_two_phones_with_one_state_give_themselves_away,
                tokens: att_010_a_retired_token_freezes,
                tokens: att_010_a_late_message_is_stale_and_does_not_freeze,
                tokens: att_020_a_late_message_overtakes_no_number,
                tokens: att_020_answers_lost_in_one_second_are_no_copy,
                tokens: att_020_a_success_that_the_phone_did_not_have_freezes,
                tokens: att_010_an_unknown_token_changes_nothing,
                races: att_002_of_64_reservations_one_is_granted,
                groups: sto_201_attempts_of_many_installations_at_once_end_as_each_would_alone,
                races: sto_011_of_32_enrolments_with_one_code_one_is_created,
                races: sto_013_of_32_requests_with_one_key_one_is_added,
                races: sto_016_of_100_burns_one_is_fresh,
                installations: sto_011_a_code_enrols_once_and_not_after_its_end,
                installations: sto_011_a_code_is_used_up_without_an_installation,
                installations: sto_011_an_installation_or_key_exists_once,
                installations: sto_011_a_new_installation_revokes_the_earlier_one,
                refresh: sto_012_promotion_replaces_the_share,
                refresh: sto_140_the_proof_of_an_enrolment_stays,
                refresh: sto_012_promotion_refuses_what_does_not_fit,
                keks: hsm_001_a_generation_is_used_when_all_hold_it_and_retired_when_nothing_is_under_it,
                keks: hsm_006_what_changed_meanwhile_is_not_rewrapped,
                keks: hsm_009_a_leader_that_was_slow_writes_nothing_under_a_retired_key,
                installations: sto_024_revocation_is_final_and_erases,
                ceremonies: sto_160_each_stage_of_a_ceremony_is_left_once,
                ceremonies: sto_161_ceremonies_are_bounded_and_end_by_their_time,
                ceremonies: sto_162_a_ceremony_ends_with_what_it_stands_on,
                certificates: sto_030_a_certificate_comes_with_its_installation,
                certificates: sto_031_the_last_certificate_added_is_in_use,
                certificates: sto_032_a_suspension_is_listed_and_taken_back,
                certificates: sto_033_a_key_that_ends_takes_its_certificates_with_it,
                certificates: sto_034_lists_are_numbered_upwards,
                races: sto_130_of_32_sign_ins_at_once_one_is_added,
                clients: sto_130_a_visit_asks_once_and_a_person_is_asked_to_sign_in_once,
                clients: sto_131_the_same_call_finds_its_question,
                requests: sto_132_what_a_relying_party_keeps_is_counted_and_bounded,
                requests: sto_013_idempotency_is_per_relying_party,
                requests: sto_014_a_request_is_closed_once_by_whom_it_concerns,
                requests: sto_014_a_request_expires_by_time_alone,
                requests: sto_014_pending_requests_are_the_holders_oldest_first,
                requests: sto_100_the_first_choice_of_a_verification_code_decides,
                requests: sto_101_a_link_is_opened_by_one_device,
                requests: sto_102_a_relying_partys_name_for_a_person_is_its_own,
                credentials: sto_015_a_batch_is_added_whole_or_not_at_all,
                credentials: sto_015_one_phone_cannot_fill_the_lists,
                credentials: sto_016_looking_for_a_repeat_uses_nothing_up,
                credentials: sto_016_a_code_is_used_once,
                credentials: sto_017_a_higher_code_supersedes_lower_ones,
                credentials: sto_017_the_same_verifier_gets_the_same_answer_for_a_minute,
                credentials: sto_017_codes_of_a_frozen_installation_are_withdrawn,
                displays: sto_060_a_code_that_is_live_already_moves_a_display_to_its_next_turn,
                displays: sto_060_of_60_displays_with_one_code_one_has_it,
                displays: sto_061_a_device_shows_one_credential_and_the_step_before,
                displays: sto_061_only_living_credentials_of_the_device_are_shown,
                displays: sto_062_one_use_ends_all_codes_of_a_display,
                displays: sto_062_of_90_uses_of_three_codes_one_is_the_first,
                displays: sto_063_a_short_code_ends_with_its_time,
                displays: sto_064_the_same_question_finds_its_check_again,
                displays: sto_064_a_qr_opens_its_check_with_its_burn,
                displays: sto_065_misses_are_counted_and_spent,
                displays: sto_065_many_misses_slow_everybody,
                displays: sto_066_a_check_is_answered_once_by_its_device,
                displays: sto_067_open_checks_are_bounded_for_holder_and_verifier,
                displays: sto_068_displays_checks_and_misses_are_dropped,
                displays: sto_069_a_revoked_verifier_leaves_no_check,
                rest: sto_018_what_has_run_out_is_dropped,
                rest: sto_018_many_rows_are_dropped_in_parts,
                rest: sto_019_a_relying_party_is_found_by_its_token_until_revoked,
                requests: sto_013_one_relying_party_cannot_bury_a_person_in_requests,
                requests: sto_019_revoking_a_relying_party_cancels_what_it_asked,
                rest: sto_020_the_first_key_of_a_purpose_stays,
                rest: sto_021_the_latest_time_never_goes_back,
                rest: sto_023_a_closed_store_says_so,
                fleets: flt_004_places_are_drawn_from_one_table,
                fleets: flt_005_a_code_is_used_once_and_the_next_turn_is_known,
                fleets: flt_006_an_event_ends_what_has_its_place_and_lists_say_so,
                history: sto_080_an_entry_goes_in_with_its_act_and_not_without,
                history: sto_081_entries_are_chained_and_read_in_parts,
                history: sto_082_what_the_store_decides_is_told_too,
                history: sto_083_a_lost_code_finds_its_installation,
                reports: sto_070_an_event_ends_the_credentials_it_is_about,
                reports: sto_071_an_event_is_taken_once_and_in_order,
                reports: sto_072_a_list_says_what_is_revoked_and_what_is_suspended,
                reports: sto_073_keys_follow_one_another_and_trust_lists_only_rise,
                reports: sto_074_a_suspension_and_a_death_end_enrolment_codes,
                reports: sto_075_places_given_out_since_a_moment_are_known,
                clients: sto_090_a_token_and_its_assertion_go_together,
                clients: sto_091_each_authorised_digest_is_fetched_once,
                clients: sto_091_activation_data_end_and_go_with_their_request,
                clients: sto_110_what_is_not_said_of_a_client_stays,
                clients: sto_111_pushed_parameters_are_taken_once_by_their_client,
                clients: sto_112_a_code_is_exchanged_once_by_whom_it_was_given_for,
                clients: sto_113_a_cancelled_visit_leads_nowhere,
                webhooks: sto_120_an_event_is_written_with_the_end_of_its_request,
                webhooks: sto_121_few_deliveries_of_an_address_are_due_at_once,
                model: att_014_random_histories_agree_with_the_model,
            );
        }
    };
    (@tests $type:ident; $($module:ident: $test:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            $module::$test::<$type>().await;
        }
    )*};
}

store_contract!(sqlite: Sqlite);
store_contract!(postgresql: Postgres);

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The border between the test cases (C++) and their runner (kunit_glue.c in the kernel,
 * userspace_main.cc in user space). It lists every suite, every case, and every call that crosses.
 *
 *	kvmpv_test_*	the cases, called by the runner
 *	linux_test_*	implemented by the runner, called by the cases
 *
 * A case is listed here and defined once, as KVMPV_TEST(suite, name). A case that is defined but
 * not listed does not compile. With one that is listed but not defined, the module does not link.
 */
#ifndef KVMPV_KUNIT_BOUNDARY_H
#define KVMPV_KUNIT_BOUNDARY_H

#include <kvmpv/boundary.h>

/* ---- What is tested ------------------------------------------------------------------------- */

#define KVMPV_PVCLOCK_CASES(CASE) \
	CASE(pvclock, scale_exact) \
	CASE(pvclock, scale_against_bit_by_bit) \
	CASE(pvclock, scale_saturates) \
	CASE(pvclock, shift_limits) \
	CASE(pvclock, five_steps_in_order) \
	CASE(pvclock, exact_time) \
	CASE(pvclock, exact_time_for_every_shift) \
	CASE(pvclock, selftest_offsets) \
	CASE(pvclock, impossible_shift) \
	CASE(pvclock, timestamp_ahead_of_tsc) \
	CASE(pvclock, sum_beyond_64_bits) \
	CASE(pvclock, promise_missing) \
	CASE(pvclock, page_of_zeros) \
	CASE(pvclock, odd_version_then_even) \
	CASE(pvclock, odd_version_for_ever) \
	CASE(pvclock, new_version_at_every_look) \
	CASE(pvclock, another_cpu_at_every_look) \
	CASE(pvclock, update_between_any_two_accesses) \
	CASE(pvclock, half_written_system_time) \
	CASE(pvclock, half_written_timestamp) \
	CASE(pvclock, version_wraps) \
	CASE(pvclock, migrate_in_gap_1) \
	CASE(pvclock, migrate_in_gap_2) \
	CASE(pvclock, migrate_in_gap_3) \
	CASE(pvclock, migrate_in_gap_4) \
	CASE(pvclock, migrate_between_any_accesses) \
	CASE(pvclock, migrate_at_random)

#define KVMPV_VERSION_READ_CASES(CASE) \
	CASE(version_read, undisturbed) \
	CASE(version_read, begin_rounds_down) \
	CASE(version_read, odd_then_even) \
	CASE(version_read, update_in_between) \
	CASE(version_read, odd_for_ever) \
	CASE(version_read, new_version_at_every_look) \
	CASE(version_read, last_attempt_counts) \
	CASE(version_read, wraps) \
	CASE(version_read, half_written)

#define KVMPV_GUARD_CASES(CASE) \
	CASE(guard, goes_forward) \
	CASE(guard, holds_back) \
	CASE(guard, equal_is_no_step) \
	CASE(guard, whole_range) \
	CASE(guard, first_value_is_believed) \
	CASE(guard, ahead_of_time) \
	CASE(guard, goes_on_without_the_record) \
	CASE(guard, forgets_the_horizon) \
	CASE(guard, horizon_at_the_end_of_64_bits) \
	CASE(guard, exact_time) \
	CASE(guard, selftest_offsets) \
	CASE(guard, interrupts_off_and_back) \
	CASE(guard, torn_for_ever) \
	CASE(guard, impossible_shift) \
	CASE(guard, timestamp_ahead_of_tsc) \
	CASE(guard, sum_beyond_64_bits) \
	CASE(guard, page_of_zeros) \
	CASE(guard, no_page_but_a_promise) \
	CASE(guard, no_page_and_a_broken_promise) \
	CASE(guard, half_written_system_time) \
	CASE(guard, version_wraps) \
	CASE(guard, cpus_that_disagree) \
	CASE(guard, one_record_far_ahead) \
	CASE(guard, random_pages)

#define KVMPV_GUARD_ANYWHERE_CASES(CASE) \
	CASE(guard_anywhere, exact_time) \
	CASE(guard_anywhere, switches_nothing_off) \
	CASE(guard_anywhere, moves_and_stays) \
	CASE(guard_anywhere, moves_and_comes_back) \
	CASE(guard_anywhere, clock_changes_while_away) \
	CASE(guard_anywhere, half_written_system_time) \
	CASE(guard_anywhere, overtaken_by_a_little) \
	CASE(guard_anywhere, overtaken_by_far) \
	CASE(guard_anywhere, cpus_that_disagree)

#define KVMPV_CPUID_CASES(CASE) \
	CASE(cpuid, first_leaf) \
	CASE(cpuid, behind_another_hypervisor) \
	CASE(cpuid, last_leaf) \
	CASE(cpuid, beyond_last_leaf) \
	CASE(cpuid, no_hypervisor_bit) \
	CASE(cpuid, signature_incomplete) \
	CASE(cpuid, first_of_two) \
	CASE(cpuid, highest_leaf_of_zero) \
	CASE(cpuid, no_features_leaf) \
	CASE(cpuid, every_feature_bit) \
	CASE(cpuid, feature_names) \
	CASE(cpuid, clock_msrs)

#define KVMPV_SLOT_CASES(CASE) \
	CASE(slot, every_decision) \
	CASE(slot, survey_counts) \
	CASE(slot, first_foreign_is_kept) \
	CASE(slot, first_unreadable_is_kept) \
	CASE(slot, mode_names) \
	CASE(slot, find_kernel_on_every_cpu) \
	CASE(slot, find_kernel_on_some_cpus) \
	CASE(slot, find_free) \
	CASE(slot, find_foreign_with_one_cpu) \
	CASE(slot, find_foreign_with_two_cpus) \
	CASE(slot, find_unreadable) \
	CASE(slot, find_unknown) \
	CASE(slot, find_not_offered) \
	CASE(slot, find_disabled_by_parameter) \
	CASE(slot, find_skips_offline_cpus) \
	CASE(slot, find_again) \
	CASE(slot, failed_step) \
	CASE(slot, take_and_put_back_free) \
	CASE(slot, take_and_put_back_foreign) \
	CASE(slot, put_back_foreign_in_kernel_ram) \
	CASE(slot, take_disabled_address) \
	CASE(slot, take_unreadable) \
	CASE(slot, take_write_faults) \
	CASE(slot, take_write_ignored) \
	CASE(slot, disarm_and_arm_again)

#define KVMPV_TEXT_CASES(CASE) \
	CASE(text, numbers) \
	CASE(text, signed_numbers) \
	CASE(text, hexadecimal) \
	CASE(text, columns) \
	CASE(text, pad_past_the_column) \
	CASE(text, table) \
	CASE(text, table_with_wide_values) \
	CASE(text, line_exact_fit) \
	CASE(text, line_cut_off)

#define KVMPV_NAME_CASES(CASE) \
	CASE(name, plain) \
	CASE(name, every_byte) \
	CASE(name, nothing_and_dash) \
	CASE(name, whole) \
	CASE(name, tables_hold)

#define KVMPV_EVENT_RING_CASES(CASE) \
	CASE(event_ring, empty) \
	CASE(event_ring, numbers_from_one) \
	CASE(event_ring, full_is_not_lost) \
	CASE(event_ring, overwritten_is_lost) \
	CASE(event_ring, reader_between_writers)

#define KVMPV_DISRUPTION_CASES(CASE) \
	CASE(disruption, clock_goes_on) \
	CASE(disruption, steps_under_the_promise) \
	CASE(disruption, steps_without_the_promise) \
	CASE(disruption, rate) \
	CASE(disruption, pause) \
	CASE(disruption, promise) \
	CASE(disruption, record_that_cannot_be_read) \
	CASE(disruption, tsc_goes_back) \
	CASE(disruption, cpus_disagree) \
	CASE(disruption, look) \
	CASE(disruption, kinds_have_names)

#define KVMPV_PROMISE_CASES(CASE) \
	CASE(promise, kept) \
	CASE(promise, as_far_apart_as_may_be) \
	CASE(promise, records_disagree) \
	CASE(promise, tscs_disagree) \
	CASE(promise, set_back_for_all) \
	CASE(promise, set_forward_for_all) \
	CASE(promise, wrong_for_a_moment) \
	CASE(promise, set_back_again_and_again)

#define KVMPV_DRIFT_CASES(CASE) \
	CASE(drift, mul_div) \
	CASE(drift, same_rate) \
	CASE(drift, ahead_and_behind) \
	CASE(drift, error_bound) \
	CASE(drift, counter_wraps) \
	CASE(drift, set_back) \
	CASE(drift, no_time_between)

#define KVMPV_STEAL_CASES(CASE) \
	CASE(steal, ticks_to_ns) \
	CASE(steal, goes_on) \
	CASE(steal, stolen_between_any_two_accesses) \
	CASE(steal, asks_little) \
	CASE(steal, glances) \
	CASE(steal, glances_and_time) \
	CASE(steal, many_looks_in_no_time) \
	CASE(steal, many_bursts_in_time) \
	CASE(steal, no_record) \
	CASE(steal, steps_back) \
	CASE(steal, jumps_ahead) \
	CASE(steal, who_is_told_asks) \
	CASE(steal, held_against_time) \
	CASE(steal, tsc_goes_back) \
	CASE(steal, torn_for_ever) \
	CASE(steal, half_written) \
	CASE(steal, version_wraps) \
	CASE(steal, from_afar) \
	CASE(steal, from_afar_held_against_time) \
	CASE(steal, from_afar_and_taken_back) \
	CASE(steal, from_afar_torn) \
	CASE(steal, from_afar_without_record) \
	CASE(steal, from_afar_while_it_begins) \
	CASE(steal, from_afar_by_another_tsc) \
	CASE(steal, from_afar_while_it_looks) \
	CASE(steal, from_afar_and_a_lie_behind_a_look) \
	CASE(steal, from_afar_while_it_is_stopped) \
	CASE(steal, from_afar_by_several) \
	CASE(steal, from_afar_while_it_is_healed) \
	CASE(steal, asked_from_afar) \
	CASE(steal, begins_where_the_kernel_is) \
	CASE(steal, takes_over) \
	CASE(steal, takes_over_a_torn_record) \
	CASE(steal, begins_again) \
	CASE(steal, heals) \
	CASE(steal, heals_nothing) \
	CASE(steal, heals_while_the_host_adds) \
	CASE(steal, heals_a_torn_record) \
	CASE(steal, heals_an_offline_cpu) \
	CASE(steal, heals_what_was_never_asked) \
	CASE(steal, healing_is_verified) \
	CASE(steal, random_host) \
	CASE(steal, buckets) \
	CASE(steal, shape)

#define KVMPV_STEAL_HANDOVER_CASES(CASE) \
	CASE(steal_handover, back_and_forth) \
	CASE(steal_handover, with_a_rate_that_is_not_exact) \
	CASE(steal_handover, back_before_the_first_question) \
	CASE(steal_handover, with_a_host_that_lies) \
	CASE(steal_handover, nobody_was_asked) \
	CASE(steal_handover, asked_from_afar)

#define KVMPV_STEAL_TABLE_CASES(CASE) \
	CASE(steal_table, charges) \
	CASE(steal_table, overflows_into_others) \
	CASE(steal_table, parts_make_the_whole) \
	CASE(steal_table, sorts) \
	CASE(steal_table, pauses_in_long_sorts) \
	CASE(steal_table, merges)

#define KVMPV_HOOK_CASES(CASE) \
	CASE(hook, and_unhook) \
	CASE(hook, place_unknown) \
	CASE(hook, set_fails) \
	CASE(hook, never_hooked) \
	CASE(hook, refuses_below_another) \
	CASE(hook, above_another) \
	CASE(hook, waits_until_on_top) \
	CASE(hook, again_and_again) \
	CASE(hook, switched) \
	CASE(hook, switched_nowhere) \
	CASE(hook, start_fails) \
	CASE(hook, start_fails_below_another) \
	CASE(hook, switched_unhook_fails)

#define KVMPV_PV_EOI_CASES(CASE) \
	CASE(pv_eoi, elided_when_offered) \
	CASE(pv_eoi, written_without_slot) \
	CASE(pv_eoi, idle_is_told_apart) \
	CASE(pv_eoi, written_while_another_is_pending) \
	CASE(pv_eoi, nested) \
	CASE(pv_eoi, exit_between_any_steps) \
	CASE(pv_eoi, given_up_with_the_bit_set) \
	CASE(pv_eoi, given_up_behind_an_elided_end) \
	CASE(pv_eoi, given_up_by_a_host_that_leaves_it_set) \
	CASE(pv_eoi, slot_that_cannot_be_given_up) \
	CASE(pv_eoi, an_eoi_there_would_end_another) \
	CASE(pv_eoi, at_random) \
	CASE(pv_eoi, why_few)

#define KVMPV_CLOCK_LIVE_CASES(CASE) \
	CASE(clock_live, host) \
	CASE(clock_live, agrees_stable_lfence) \
	CASE(clock_live, agrees_stable_rdtscp) \
	CASE(clock_live, agrees_guarded_lfence) \
	CASE(clock_live, agrees_guarded_rdtscp) \
	CASE(clock_live, moving_stable_lfence) \
	CASE(clock_live, moving_stable_rdtscp) \
	CASE(clock_live, moving_guarded_lfence) \
	CASE(clock_live, moving_guarded_rdtscp) \
	CASE(clock_live, warp_locked_stable_lfence) \
	CASE(clock_live, warp_locked_stable_rdtscp) \
	CASE(clock_live, warp_locked_guarded_lfence) \
	CASE(clock_live, warp_locked_guarded_rdtscp) \
	CASE(clock_live, warp_unlocked_stable_lfence) \
	CASE(clock_live, warp_unlocked_stable_rdtscp) \
	CASE(clock_live, warp_unlocked_guarded_lfence) \
	CASE(clock_live, warp_unlocked_guarded_rdtscp) \
	CASE(clock_live, guard_shared_by_all_cpus) \
	CASE(clock_live, nothing_disbelieved) \
	CASE(clock_live, cpu_without_record)

/* Suites that need only memory. They run on the scripted host, in the kernel and in user space. */
#define KVMPV_SCRIPTED_SUITES(SUITE) \
	SUITE(pvclock, KVMPV_PVCLOCK_CASES); \
	SUITE(version_read, KVMPV_VERSION_READ_CASES); \
	SUITE(guard, KVMPV_GUARD_CASES); \
	SUITE(guard_anywhere, KVMPV_GUARD_ANYWHERE_CASES); \
	SUITE(cpuid, KVMPV_CPUID_CASES); \
	SUITE(slot, KVMPV_SLOT_CASES); \
	SUITE(text, KVMPV_TEXT_CASES); \
	SUITE(name, KVMPV_NAME_CASES); \
	SUITE(event_ring, KVMPV_EVENT_RING_CASES); \
	SUITE(disruption, KVMPV_DISRUPTION_CASES); \
	SUITE(promise, KVMPV_PROMISE_CASES); \
	SUITE(drift, KVMPV_DRIFT_CASES); \
	SUITE(hook, KVMPV_HOOK_CASES); \
	SUITE(steal, KVMPV_STEAL_CASES); \
	SUITE(steal_handover, KVMPV_STEAL_HANDOVER_CASES); \
	SUITE(steal_table, KVMPV_STEAL_TABLE_CASES); \
	SUITE(pv_eoi, KVMPV_PV_EOI_CASES)

/*
 * Suites that need a KVM guest. kvmpv_test_<suite>_enter() runs before the cases, _leave() after.
 */
#define KVMPV_LIVE_SUITES(SUITE) \
	SUITE(clock_live, KVMPV_CLOCK_LIVE_CASES)

#ifdef __cplusplus
extern "C" {
#endif

struct kunit;

#define KVMPV_DECLARE_CASE(suite, name) void kvmpv_test_##suite##_##name(struct kunit *handle);
#define KVMPV_DECLARE_SUITE(suite, cases) cases(KVMPV_DECLARE_CASE)
KVMPV_SCRIPTED_SUITES(KVMPV_DECLARE_SUITE);
KVMPV_LIVE_SUITES(KVMPV_DECLARE_SUITE);

/* 0, or a negative errno; then nothing is left changed and no case runs. */
int kvmpv_test_clock_live_enter(void);
void kvmpv_test_clock_live_leave(void);

/* ---- Any runner ----------------------------------------------------------------------------- */

/* The case has failed, but continues. */
void linux_test_fail(struct kunit *test, const char *text);

/* Writes a line to the log of the case. */
void linux_test_log(struct kunit *test, const char *text);

/* ---- Only in a KVM guest -------------------------------------------------------------------- */

/* The case cannot run here and has not failed. This function returns, and the case has to, too. */
void linux_test_skip(struct kunit *test, const char *reason);

/* Logs a line; for kvmpv_test_*_enter(). */
void linux_test_suite_error(const char *text);

/* What CPUID and the record of @cpu say, read by the kernel's own code. @cpu has a record. */
bool linux_test_cpuid_offers_stable(void);
u8 linux_test_record_flags(u32 cpu);
bool linux_test_has_rdtscp(void);

/* Calls the read callback of native kvm-clock. Any context. */
u64 linux_test_native_read(void);

/*
 * The time that this CPU's record and TSC give by the kernel's own arithmetic, without its stable
 * flag and without its guard; and the version that was read. Interrupts off.
 */
u64 linux_test_raw_record_read(u32 *version);
u64 linux_test_interrupts_off(void);
void linux_test_interrupts_on(u64 state);

/* One spinlock for all threads. Not in interrupts. */
void linux_test_lock(void);
void linux_test_unlock(void);

/*
 * Calls @body on every online CPU at the same time, each in a thread that is bound to its CPU. When
 * all have returned, returns how many there were. On error returns a negative errno and calls @body
 * nowhere.
 */
struct linux_test_crew;
int linux_test_on_each_cpu(void (*body)(struct linux_test_crew *crew, void *context, u32 cpu),
			   void *context);

/* Waits until every thread of the crew has called it. All call it the same number of times. */
void linux_test_meet(struct linux_test_crew *crew);

/*
 * Calls @body in a thread of its own. Soon after each linux_test_move() that thread is moved to the
 * next CPU. Returns how often it was moved. On error returns a negative errno and does not call
 * @body.
 */
struct linux_test_trip;
int linux_test_while_moving(void (*body)(struct linux_test_trip *trip, void *context),
			    void *context);
void linux_test_move(struct linux_test_trip *trip);

#ifdef __cplusplus
}
#endif
#endif

# SPDX-License-Identifier: GPL-2.0-only
#
# The test module's own objects. It also links all objects of kvmpv.ko except its entry.

kvmpv-kunit-objects := kunit/kunit_glue.o \
	kunit/pvclock_test.o kunit/version_read_test.o kunit/guard_test.o kunit/guard_anywhere_test.o kunit/cpuid_test.o \
	kunit/slot_test.o kunit/text_test.o kunit/name_test.o kunit/event_ring_test.o kunit/disruption_test.o kunit/promise_test.o kunit/drift_test.o \
	kunit/hook_test.o kunit/steal_test.o kunit/steal_handover_test.o kunit/steal_table_test.o \
	kunit/clock_live_test.o
kvmpv-kunit-objects += kunit/pv_eoi_test.o

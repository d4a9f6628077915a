# SPDX-License-Identifier: GPL-2.0-only
#
# Who traces kvmpv's events, and unloading: an event that is open as perf opens it keeps the module; one that is
# switched on in tracefs does not, and what its buffer holds goes with the module.
. /tests/lib.sh

TRACING=/sys/kernel/tracing
EVENT=$TRACING/events/kvmpv/steal

# The process keeps the event open until descriptor 5 is closed.
opens_the_event() {
	equal answer "$opened" open && contains "$(cat /proc/modules)" '^kvmpv [0-9]+ 1 '
}

rmmod_is_refused() {
	fails_with 'busy|unavailable' rmmod kvmpv && contains "$(cat /proc/modules)" '^kvmpv '
}

rmmod_works_when_it_is_closed() {
	contains "$(cat /proc/modules)" '^kvmpv [0-9]+ 0 ' && rmmod kvmpv
}

# With a mark of our own in the buffer, because nothing need be stolen meanwhile.
buffer_is_emptied() {
	echo 1 > $EVENT/enable && echo 'mark of the test' > $TRACING/trace_marker || return 1
	contains "$(cat $TRACING/trace)" 'mark of the test' || return 1
	rmmod kvmpv && lacks "$(cat $TRACING/trace)" 'mark of the test'
}

# The buffer is emptied for events of kvmpv that were on, and for nothing else.
buffer_stays_where_no_event_was_on() {
	echo 'mark of the test' > $TRACING/trace_marker || return 1
	rmmod kvmpv && contains "$(cat $TRACING/trace)" 'mark of the test'
}

remember
check loads load
mkfifo /tmp/tracer /tmp/opened
/tests/tracing "$(cat $EVENT/id)" < /tmp/tracer > /tmp/opened 2>&1 &
tracer=$!
exec 5> /tmp/tracer
read -r opened < /tmp/opened
check opens_the_event
check rmmod_is_refused
exec 5>&-
wait $tracer
check rmmod_works_when_it_is_closed
check undone_after_the_tracer undone
check loads_again load
check buffer_is_emptied
check loads_once_more load
check buffer_stays_where_no_event_was_on
check everything_is_undone undone
finish

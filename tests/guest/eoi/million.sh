# SPDX-License-Identifier: GPL-2.0-only
#
# 1,000,000 interrupts between CPUs and to the sender itself, beside timers and virtio traffic. None is lost and
# none stays in service. MODE: shared or owned (nopv). The traffic is this script's stderr.
. /tests/lib.sh
. /tests/eoi/lib.sh

CPUS=$(online_cpus)
REMOTE=${REMOTE:-20000}
TOTAL=${TOTAL:-1000000}

# Writes lines to the host, one write each, until the file is removed.
start_traffic() {
	: > /tmp/traffic
	while [ -e /tmp/traffic ]; do
		echo 'traffic' >&2
		read -r -t 0.01 _ <> /tmp/never
	done &
	traffic=$!
}

virtio_interrupts() {
	awk '/virtio/ { for (i = 2; i <= '"$CPUS"' + 1; i++) sum += $i } END { print sum + 0 }' /proc/interrupts
}

result() {
	awk -v name="$1" '$1 == name { print $2 }' $STORM/result
}

send_all() {
	echo $((REMOTE / CPUS)) > $STORM/remote && echo $(((TOTAL - REMOTE) / CPUS)) > $STORM/self
}

every_cpu_has_ticked() {
	awk -v least="$1" '$5 < least { print "CPU " $1 ": " $5 " ticks"; bad = 1 } END { exit bad || NR == 0 }' "$2"
}

mkfifo /tmp/never
insmod /kvmpv/kvmpv_storm.ko
begin eoi
start_traffic
virtio_before=$(virtio_interrupts)
eoi_snapshot > /tmp/before
check sends send_all
eoi_since /tmp/before > /tmp/million
virtio=$(($(virtio_interrupts) - virtio_before))
rm /tmp/traffic
wait $traffic
check "sent_$TOTAL" equal sent "$(result sent)" "$TOTAL"
check all_handled equal handled "$(result handled)" "$TOTAL"
check none_lost equal lost "$(result lost)" 0
check virtio_went_on within virtio "$virtio" 100 100000000
check every_cpu_has_ticked every_cpu_has_ticked 100 /tmp/million
check every_end_is_counted every_end_is_counted /tmp/million
check nothing_in_service equal in_service "$(awk 'NF > 1' $STORM/in_service)" ''
# The timers continue in the background.
eoi_snapshot > /tmp/before
sleep 5
eoi_since /tmp/before > /tmp/behind
check every_cpu_ticks_still every_cpu_has_ticked 5 /tmp/behind
rmmod kvmpv_storm
select_first_clocksource
check unloads rmmod kvmpv
check everything_is_undone undone
check no_word_was_left_set lacks "$(dmesg)" 'kvmpv: eoi: '
report_ends "million, $virtio virtio interrupts" /tmp/million
finish

# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's chronyd with the host's clock as its reference, by ptp_kvm, on kvm-clock and on kvmpv. It tries
# PTP_SYS_OFFSET_PRECISE first and PTP_SYS_OFFSET last, and stays with the first that has worked.
. /tests/lib.sh

# Whether the kernel tells clocks by numbers: if not, there is no precise stamp while kvmpv is the clock.
case $(uname -r) in
6.1.*) IDS=no ;;
*) IDS=yes ;;
esac

# start NAME [OPTION]: a chronyd with the PHC. Four looks a second, of which it makes one sample; -x: it lets
# the guest's clock alone. No sockets: nobody asks it.
start() {
	mkdir /tmp/"$1" && cat > /tmp/"$1"/conf <<- END || return 1
		refclock PHC /dev/ptp0$2 refid PHC poll 0 dpoll -2
		user root
		port 0
		cmdport 0
		bindcmdaddress /
		pidfile /tmp/$1/pid
		logdir /tmp/$1
		log refclocks
	END
	chronyd -x -d -f /tmp/"$1"/conf > /tmp/"$1"/said 2>&1 &
}

# Its log has a line for each look, and one with a - for the number for each sample made of them.
samples() {
	awk '$1 ~ /^[0-9]/ && $3 == "PHC" && $4 == "-" { n++ } END { print n + 0 }' /tmp/"$1"/refclocks.log
}

looks() {
	awk '$1 ~ /^[0-9]/ && $3 == "PHC" && $4 != "-" { n++ } END { print n + 0 }' /tmp/"$1"/refclocks.log
}

alive() {
	kill -0 "$(cat /tmp/"$1"/pid)" || { cat /tmp/"$1"/said; return 1; }
}

# more_samples NAME: four from now on; a busy machine may take its time.
more_samples() {
	tries=0
	until [ -e /tmp/"$1"/refclocks.log ]; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || { cat /tmp/"$1"/said; return 1; }
		sleep 0.1
	done
	wanted=$(($(samples "$1") + 4))
	until [ "$(samples "$1")" -ge $wanted ]; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || { tail /tmp/"$1"/refclocks.log /tmp/"$1"/said; return 1; }
		sleep 0.1
	done
	alive "$1"
}

# What it takes for the time.
selected() {
	more_samples "$1" || return 1
	tries=0
	until grep -q 'Selected source PHC' /tmp/"$1"/said; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || { cat /tmp/"$1"/said; return 1; }
		sleep 0.1
	done
	lacks "$(cat /tmp/"$1"/said)" 'Could not|No such|[Ff]atal'
}

# Not one look in five seconds, in which there would be twenty.
no_more_looks() {
	sleep 1
	had=$(looks "$1")
	sleep 5
	equal looks "$(looks "$1")" "$had" && alive "$1"
}

stop() {
	for name; do
		pid=$(cat /tmp/"$name"/pid)
		kill "$pid" || return 1
		tries=0
		while [ -e /proc/"$pid" ]; do
			tries=$((tries + 1))
			[ $tries -le 300 ] || { cat /tmp/"$name"/said; return 1; }
			sleep 0.1
		done
	done
}

goes_on_where_told_by_number() {
	if [ $IDS = yes ]; then more_samples native; else no_more_looks native; fi
}

remember
check loads_ptp_kvm insmod /tests/ptp_kvm.ko
check loads load
check is_native equal current "$(current_clocksource)" kvm-clock
check starts_on_native start native
check starts_without_precise_stamps start plain :nocrossts
check precise_on_native equal precise "$(/tests/ptp_stamps /dev/ptp0 precise | cut -d ' ' -f 1)" ok
check native_is_selected selected native
check plain_is_selected selected plain
check selects select_clocksource kvmpv
check goes_on_where_told_by_number
check plain_goes_on more_samples plain
check starts_anew start anew
check anew_is_selected selected anew
check back_on_native select_clocksource kvm-clock
check all_go_on_native more_samples native
check all_go_on_anew more_samples anew
check they_end stop native plain anew
report "$(uname -r): looks, samples: native $(looks native) $(samples native), plain $(looks plain) $(samples plain), anew $(looks anew) $(samples anew)"
report "a sample on kvmpv: $(tail -n 1 /tmp/anew/refclocks.log)"
check ptp_kvm_goes rmmod ptp_kvm
end

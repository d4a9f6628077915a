# SPDX-License-Identifier: GPL-2.0-only
#
# docs/debugfs.md has an entry for each file of this kernel, and for each column and field, and no other.
. /tests/lib.sh

# Copied first, so that all are read once.
copies() {
	mkdir -p /tmp/copies && cd $DEBUG || return 1
	find . -type f | sed 's|^\./||' > /tmp/names
	while read -r name; do
		mkdir -p "/tmp/copies/$(dirname "$name")" && cat "$name" > "/tmp/copies/$name" || return 1
	done < /tmp/names
}

differences() {
	cd /tmp/copies && xargs awk -f /tests/files/documented.awk "$1" < /tmp/names | sort
}

everything_is_documented() {
	equal differences "$(differences /tests/debugfs.md)" ''
}

# So that the walk is known to see each kind.
finds_what_is_not() {
	echo 'version 1' > /tmp/copies/unnamed && echo unnamed >> /tmp/names || return 1
	sed 's/`bursts burst_sum_ns`/`bursts no_column`/' /tests/debugfs.md > /tmp/wrong.md
	echo '## /sys/kernel/debug/kvmpv/no_file' >> /tmp/wrong.md
	equal differences "$(differences /tmp/wrong.md)" "no_file is not there
steal/cpus: no entry for burst_sum_ns
steal/cpus: there is no no_column
unnamed has no section"
}

remember
check loads load
check copies
check everything_is_documented
check finds_what_is_not
end

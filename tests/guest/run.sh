# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh SCRIPT...: runs several scripts in one guest, each as a subtest.
echo "KTAP version 1"
echo "1..$#"
number=0
for script; do
	number=$((number + 1))
	sh "/tests/$script.sh" > /tmp/subtest
	sed 's/^/  /' /tmp/subtest
	# A script that stopped early has printed no plan and no results.
	if grep -q '^1\.\.' /tmp/subtest && ! grep -q '^not ok' /tmp/subtest; then
		echo "ok $number $script"
	else
		echo "not ok $number $script"
	fi
done

# SPDX-License-Identifier: GPL-2.0-only
#
# The guest's part of a dialogue (tests/dialogue/talk.py): runs each line that the host sends, and says how it ended.
# What a line starts in the background keeps no descriptor of this shell's output.
. /tests/lib.sh

printf '\nagent: ready\n'
while IFS= read -r line <&9; do
	eval "$line" 2>&1
	printf '\nagent: %s\n' $?
done

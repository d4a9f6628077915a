# SPDX-License-Identifier: GPL-2.0-only
#
# Completion of kvmpv for bash: source it, or put it as `kvmpv` into /usr/share/bash-completion/completions.

_kvmpv() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local at command= file= words

	COMPREPLY=()
	case $before in
	--root | --since)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	-o | --output)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	--exec)
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
		return
		;;
	--interval | --count | --seconds | --limit) return ;;
	esac

	# The command, and its first argument.
	for ((at = 1; at < COMP_CWORD; at++)); do
		case ${COMP_WORDS[at]} in
		--root | --since | --interval | --count | --exec | --output | -o | --seconds | --limit) ((at++)) ;;
		-*) ;;
		*)
			if [ -z "$command" ]; then
				command=${COMP_WORDS[at]}
			elif [ -z "$file" ]; then
				file=${COMP_WORDS[at]}
			else
				return
			fi
			;;
		esac
	done

	case $command in
	'') words="status doctor top watch record report set --root --version --help" ;;
	status | doctor) words="--json --interval --since --help" ;;
	top) words="--json --interval --count --help" ;;
	watch) words="--json --all --count --exec --help" ;;
	record)
		if [[ $word == -* ]]; then
			words="--output --interval --seconds --limit --help"
		else
			mapfile -t COMPREPLY < <(compgen -c -- "$word")
			return
		fi
		;;
	report)
		mapfile -t COMPREPLY < <(compgen -f -- "$word"; compgen -W "--json --help" -- "$word")
		return
		;;
	set)
		if [ -n "$file" ]; then
			words="0 1"
		else
			words="$(kvmpv set --list 2> /dev/null) --list --help"
		fi
		;;
	*) return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _kvmpv kvmpv

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Asks the completion what it would offer, as bash does: COMP_WORDS in, COMPREPLY out.
#	completion.sh ACCEL COMPLETION
set -u
accel=$1 completion=$2 bad=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
. "$completion" || exit 1

complain() {
	echo "$*"
	bad=1
}

# ask WORD…: what may stand for the last word, sorted, on one line.
ask() {
	COMP_WORDS=(accel "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_accel
	printf '%s\n' "${COMPREPLY[@]+"${COMPREPLY[@]}"}" | sort | tr '\n' ' ' | sed 's/ $//'
}

# offers 'WANTED…' WORD…
offers() {
	local wanted=$1 got
	shift
	got=$(ask "$@")
	[ "$got" = "$wanted" ] || complain "accel $*: '$got', not '$wanted'"
}

commands=$("$accel" --describe | cut -f 1)
offers "$(printf '%s\n' $commands help --help | sort | tr '\n' ' ' | sed 's/ $//')" ''
offers run ru
offers '' no-such-command ''
offers '--precision' run --pre
offers 'bf16 fp16 fp32 int8' run --precision ''
offers 'fp16 fp32' run --precision f
offers 'bf16' run --precision = b
offers 'bf16 fp16 fp32 int8' run --precision =
offers 'cpu' bench --device c
offers 'axl-edge axl-pro' compile --target a
offers 'int8 uint8' quantize --activations ''
offers 'fuse' compile --print-after f
offers 'resident' run --disable reside
offers '' run --rtol '' # anything
for command in $commands; do
	for option in $("$accel" "$command" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p'); do
		offered=$(ask "$command" "--$option")
		[[ " $offered " == *" --$option "* ]] || complain "accel $command: --$option is not offered"
	done
done

cd "$folder" || exit 1
mkdir models
touch a.onnx b.axm c.txt
offers 'a.onnx b.axm models' run ''
offers 'a.onnx' run a
offers '' info ''
offers 'models' run --data-set ''
offers 'a.onnx b.axm c.txt models' run --labels ''
exit $bad

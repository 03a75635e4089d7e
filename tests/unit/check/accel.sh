#!/bin/sh
# SPDX-License-Identifier: MIT
#
# accel.sh ACCEL WRITE_MODELS: what the command says to each bad model. accel check: exit code 2, rule and node named, as text and as
# JSON; accel run: the same when the model is refused, and never anything but an answer or a reason.
set -eu
accel=$1
write_models=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
count=0

complain() {
	echo "$1"
	sed 's/^/    /' "$work/text"
	bad=1
}

"$write_models" "$work" >"$work/list"
while read -r name rule node refused; do
	count=$((count + 1))
	[ "$node" != - ] || node=
	code=0
	"$accel" check "$work/$name.onnx" --json "$work/json" >"$work/text" 2>&1 || code=$?
	[ $code -eq 2 ] || complain "check $name: exit code $code"
	grep -qF "[$rule]" "$work/text" || complain "check $name: no $rule"
	grep -F "[$rule]" "$work/text" | grep -qF "$node" || complain "check $name: node $node is not named"
	grep -qF "\"rule\": \"$rule\"" "$work/json" || complain "check $name: no $rule in the JSON"
	code=0
	"$accel" run "$work/$name.onnx" --device cpu >"$work/text" 2>&1 || code=$?
	if [ "$refused" = refused ]; then
		[ $code -eq 2 ] || complain "run $name: exit code $code"
		[ "$rule" = shape-inference ] || grep -qF "[$rule]" "$work/text" || complain "run $name: no $rule"
		grep -qF "$node" "$work/text" || complain "run $name: node $node is not named"
	else
		case $code in
		0 | 2 | 3) ;;
		*) complain "run $name: exit code $code" ;;
		esac
	fi
done <"$work/list"
"$accel" check --rules | grep -q '^ssa-duplicate ' || complain "the rules are not listed"
echo "$count bad models"
exit $bad

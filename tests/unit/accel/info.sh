#!/bin/sh
# SPDX-License-Identifier: MIT
#
# accel info, as text and as JSON: on a bus without an AXL, without a bus, and with two of them, one of which has no driver.
#	info.sh ACCEL
set -u
accel=$1 bad=0
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# says COMMAND-OUTPUT TEXT…: each text is in it
says() {
	output=$1
	shift
	for text in "$@"; do
		case $output in
		*"$text"*) ;;
		*) printf 'not said: %s\n%s\n' "$text" "$output"; bad=1 ;;
		esac
	done
}

# function ADDRESS: without driver and node, otherwise good
function_at() {
	folder=$root/sys/bus/pci/devices/$1
	mkdir -p "$folder"
	echo 0x1b36 >"$folder/vendor"
	echo 0x00a1 >"$folder/device"
	echo 0x120000 >"$folder/class"
	printf '\066\033\241\000\006\000' | cat - /dev/zero | head -c 64 >"$folder/config"
	none="0x0000000000000000 0x0000000000000000 0x0000000000000000"
	printf '%s\n' "0x00000000fe000000 0x00000000fe00ffff 0x0000000000040200" "$none" \
		"0x0000000380000000 0x00000003803fffff 0x0000000000140204" "$none" \
		"0x0000000340000000 0x000000037fffffff 0x000000000014220c" "$none" "$none" >"$folder/resource"
}

says "$("$accel" info --operators)" "ai.onnx.ml" "versions of the standard's are missing"
says "$("$accel" info --operators | grep ' Softmax ')" "device 1-" "T: float"
says "$("$accel" info --operators --json -)" '"name": "TreeEnsemble"' '"takes": ['
says "$("$accel" info --root "$root")" "no PCI bus here" "sim:target=axl-edge" "sim:target=axl-pro"
mkdir -p "$root/sys/bus/pci/devices"
says "$("$accel" info --root "$root")" "no AXL function (1b36:00a1) on the PCI bus; the devices sim: need none" \
	"sim:target=axl-edge" "operators on the device"

function_at 0000:01:00.0
function_at 0000:41:00.0
mkdir -p "$root/sys/bus/pci/drivers/axl" "$root/sys/class/accel"
ln -s ../../drivers/axl "$root/sys/bus/pci/devices/0000:41:00.0/driver"
text=$("$accel" info --root "$root")
says "$text" "PCI function 0000:01:00.0" "PROBLEM no-driver: no driver is bound to it" "driver  none" \
	"to do: the driver axl is loaded and does not have it" "BAR0    64 KiB at 0xfe000000, registers" \
	"BAR2    4 MiB at 0x380000000, 64 bits, doorbells" "BAR4    1 GiB at 0x340000000, 64 bits, prefetchable, local memory" \
	"link    not known" "memory decoding on, bus master on" \
	"PCI function 0000:41:00.0" "driver  axl" "PROBLEM no-accel: the driver is bound and has made no accel device"

[ -z "$("$accel" info --root "$root" --quiet --json "$root/info.json")" ] || { echo "--quiet prints"; bad=1; }
python3 - "$root/info.json" <<'PROGRAM' || bad=1
import json, sys
info = json.load(open(sys.argv[1]))
first, second = info["pci"]
assert info["pci_bus"] and first["address"] == "0000:01:00.0" and second["address"] == "0000:41:00.0", info
assert first["driver"] == "" and second["driver"] == "axl", info
assert [bar["bytes"] for bar in first["bars"]] == [65536, 0, 4 << 20, 0, 1 << 30, 0], first
assert first["bars"][4]["address"] == 0x340000000 and first["bars"][4]["prefetchable"], first
assert [f["name"] for f in first["findings"]] == ["no-driver"] and first["findings"][0]["blocks"], first
assert [f["name"] for f in second["findings"]] == ["no-accel"], second
assert "bind" in first["findings"][0]["action"] and first["link"]["mts"] == 0, first
assert {"sim:target=axl-edge", "sim:target=axl-pro"} <= {d["name"] for d in info["devices"]}, info
assert [t["name"] for t in info["targets"]] == ["axl-edge", "axl-pro"], info
PROGRAM
"$accel" info --json /nowhere/info.json >/dev/null 2>&1 && { echo "a file that can not be written is fine?"; bad=1; }
exit $bad

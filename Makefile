# SPDX-License-Identifier: MIT
#
# The two commands of the project, and what they are made of:
#
#	make run	install what is missing, build, classify the digits test set on the device, draw graph and timeline
#	make check	install what is missing, build three ways (plain, ASan+UBSan, TSan), run every test, in virtual machines too
#	make		build only
#	make vm		a shell in a guest with the driver loaded and accel on the PATH (VM_KERNEL=stock or debug)
#
# Everything is built by meson in $(BUILD); this file only installs, calls and counts.

BUILD ?= build
CI ?=
WERROR := $(if $(CI),true,false)
MESON ?= meson

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja: | deps
	$(MESON) setup $(BUILD) -Dwerror=$(WERROR)

deps:
	@sh tests/install-packages.sh

run: all
	@sh tests/models/digits/run.sh $(BUILD)

check: deps
	@sh tests/check.sh $(BUILD)

vm: all
	@sh tests/vm/vm.sh $(BUILD) $(or $(VM_KERNEL),stock) -

install: all
	DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-clang

.PHONY: all deps run check vm install clean

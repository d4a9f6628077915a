# SPDX-License-Identifier: GPL-2.0-only
#
# The front door. `make help` says what there is.

.DEFAULT_GOAL := modules
MAKEFLAGS += --no-builtin-rules --no-print-directory
VERSION := $(shell sed -n 's/^\#define KVMPV_VERSION "\(.*\)"/\1/p' include/kvmpv/boundary.h)

# ---- Which kernel -------------------------------------------------------------------------------
# KVER=<release> or KDIR=<build folder of a kernel>; the running kernel if neither is given.
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
# Looked at only by the rules that build: make try, check and help need no headers of this kernel.
RELEASE = $(or $(shell sed -n 's/^.*UTS_RELEASE "\(.*\)"/\1/p' \
	$(KDIR)/include/generated/utsrelease.h 2>/dev/null),$(error \
	no headers of kernel $(KVER): install the package linux-headers-$(KVER), or name others with KVER= or KDIR=))
BUILD = build/$(RELEASE)

need-cxx = $(if $(shell command -v g++-12 || command -v g++),,$(error \
	no C++ compiler: install the package g++-12))

.PHONY: modules deps try check check-all bench install uninstall dkms-install dkms-remove clean help

# ---- Building -----------------------------------------------------------------------------------
# Each kernel has a folder of its own below build/, with links to the sources: kbuild builds where
# the sources are, and two kernels must not share objects. The lock is for two builds at once.
sources := Kbuild include src kunit bench scripts/cxx.mk scripts/check-cxx-object

modules:
	$(need-cxx)@mkdir -p '$(BUILD)/scripts'
	@flock '$(BUILD)' $(MAKE) KDIR='$(KDIR)' modules-locked

.PHONY: modules-locked
modules-locked:
	@for source in $(sources); do \
		cp -rsfT "$(CURDIR)/$$source" "$(BUILD)/$$source" || exit 1; \
	done
	@find '$(BUILD)' -xtype l -delete
	@$(MAKE) -s -C '$(KDIR)' M='$(CURDIR)/$(BUILD)' KVMPV_WERROR=$(KVMPV_WERROR) KVMPV_TESTS=$(KVMPV_TESTS) \
		$(if $(wildcard $(KDIR)/vmlinux),,CONFIG_DEBUG_INFO_BTF_MODULES=) modules
	@echo 'built $(BUILD)/kvmpv.ko'

# ---- Trying and testing -------------------------------------------------------------------------
# The scripts' own interpreter: scripts/deps cannot say that it is missing. The package python3-minimal
# alone has no dataclasses.
need-python = $(if $(shell /usr/bin/python3 -c 'import dataclasses' 2>/dev/null && echo yes),,$(error \
	no python3: install the package python3))

deps:
	$(need-python)@scripts/deps

try:
	$(need-python)@scripts/deps try
	@scripts/try $(TRY_ARGS)

check:
	$(need-python)@scripts/deps check
	@tests/check $(CHECK_ARGS)

check-all:
	$(need-python)@scripts/deps check
	@tests/check --all $(CHECK_ARGS)

bench:
	$(need-python)@scripts/deps bench
	@bench/run $(BENCH_ARGS)

# ---- Installing on this machine -----------------------------------------------------------------
# Not by modules_install: it would take the test modules, too, and leaves depmod out where the kernel's
# build folder has no System.map, as Debian's. INSTALL_MOD_PATH= is another root.
INSTALLED = $(INSTALL_MOD_PATH)/lib/modules/$(RELEASE)/updates/kvmpv.ko
DEPMOD = depmod $(if $(INSTALL_MOD_PATH),-b '$(INSTALL_MOD_PATH)') '$(RELEASE)'

install: modules
	install -D -m 644 '$(BUILD)/kvmpv.ko' '$(INSTALLED)'
	$(DEPMOD)

uninstall:
	rm -f '$(INSTALLED)'
	$(DEPMOD)

dkms-source := /usr/src/kvmpv-$(VERSION)

dkms-install:
	@command -v dkms >/dev/null || { echo 'no dkms: install the package dkms' >&2; exit 1; }
	mkdir -p '$(dkms-source)'
	cp -r dkms.conf Makefile Kbuild LICENSE include src kunit bench scripts '$(dkms-source)/'
	dkms install 'kvmpv/$(VERSION)' -k '$(KVER)'

dkms-remove:
	dkms remove 'kvmpv/$(VERSION)' --all
	rm -rf '$(dkms-source)'

clean:
	rm -rf build

help:
	@sed -n 's/^#help //p' $(firstword $(MAKEFILE_LIST))
#help make               build kvmpv.ko for the running kernel into build/<release>/
#help make KVER=6.12...  ... for another installed kernel; KDIR=<folder> for any kernel's build folder
#help make try           boot a guest on real KVM and show the module at work in it
#help make check         build for all supported kernels and run every test in guests
#help make bench         measure the clock against the kernel's own, in guests and on this CPU
#help make check-all     the same, and what takes hours: every scenario on the debug kernel, a million interrupts
#help make deps          install the Debian packages that all of the above need, scripts/deps build what make needs
#help make install       install kvmpv.ko for the kernel (KVER=, KDIR=); make uninstall removes it
#help make dkms-install  have DKMS build and install it for every kernel; make dkms-remove undoes that
#help make clean         remove build/

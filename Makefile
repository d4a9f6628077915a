# SPDX-License-Identifier: GPL-2.0-only
#
# The front door. `make help` says what there is.

.DEFAULT_GOAL := modules
MAKEFLAGS += --no-builtin-rules --no-print-directory
VERSION := $(shell sed -n 's/^\#define KVMPV_VERSION "\(.*\)"/\1/p' src/boundary.h)

# ---- Which kernel -------------------------------------------------------------------------------
# KVER=<release> or KDIR=<build folder of a kernel>; the running kernel if neither is given.
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
# As one word of the shell.
quoted = '$(subst ','\'',$(1))'
# Looked at only by the rules that build: make try, check and help need no headers of this kernel.
RELEASE = $(or $(shell sed -n 's/^.*UTS_RELEASE "\(.*\)"/\1/p' \
	$(call quoted,$(KDIR)/include/generated/utsrelease.h) 2>/dev/null),$(error \
	no headers of kernel $(KVER): install the package linux-headers-$(KVER), or name others with KVER= or KDIR=))
BUILD = build/$(RELEASE)

.PHONY: modules tool deps try check check-all bench install uninstall dkms-install dkms-remove deb pictures clean help

# ---- What is refused ----------------------------------------------------------------------------
# Each in one sentence, before anything is written.
refuse-if = $(if $(strip $(1)),$(error $(2)))
given = $(strip $(foreach name,$(1),$(if $(findstring command,$(origin $(name))),$(name)=)))

# kbuild would build elsewhere, or for another machine. What the environment says of that is meant
# for another project, and is not passed on.
not-ours := O KBUILD_OUTPUT MO KBUILD_EXTMOD KBUILD_EXTMOD_OUTPUT
unexport $(not-ours)
foreign-arch := $(filter-out x86 x86_64,$(ARCH))
ifneq ($(foreign-arch),)
unexport CROSS_COMPILE
endif

# kbuild splits paths at such a character, or takes it for something else.
odd-in = $(shell printf %s $(call quoted,$(1)) | LC_ALL=C tr -d 'A-Za-z0-9._/+@~^!\200-\377-' | \
	LC_ALL=C grep -q . && echo odd)

# What the module cannot do without stands in dkms.conf, so that DKMS passes such a kernel over.
needed-options := $(shell sed -n 's/^BUILD_EXCLUSIVE_CONFIG="\(.*\)"/\1/p' dkms.conf)
missing-options = $(shell for option in $(needed-options); do \
	grep -q "^$$option=[ym]" $(call quoted,$(KDIR)/include/config/auto.conf) || echo $$option; done)

comma := ,
refusals = \
	$(call refuse-if,$(call given,$(not-ours)),$(call given,$(not-ours)) \
		is kbuild's and would build elsewhere: name the kernel's build folder by KDIR= alone) \
	$(call refuse-if,$(and $(call given,ARCH),$(foreign-arch)), \
		ARCH=$(ARCH): kvmpv is for x86-64 only) \
	$(call refuse-if,$(call odd-in,$(CURDIR)),kbuild cannot build in a folder of this name: $(CURDIR): \
		rename it to letters$(comma) digits and . _ / + @ ~ ^ ! -) \
	$(call refuse-if,$(call odd-in,$(KDIR)),kbuild cannot build with a folder of this name: $(KDIR): \
		rename it to letters$(comma) digits and . _ / + @ ~ ^ ! -) \
	$(if $(RELEASE),) \
	$(call refuse-if,$(missing-options),kvmpv cannot run on kernel $(RELEASE)$(comma) \
		which was built without $(missing-options))

# ---- Building -----------------------------------------------------------------------------------
# Each kernel has a folder of its own below build/, with links to the sources. The lock is for two
# builds at once.
modules:
	$(refusals)@scripts/build-folder '$(BUILD)'
	@flock '$(BUILD)/.lock' $(MAKE) modules-locked

.PHONY: modules-locked
modules-locked:
	@scripts/link-sources '$(BUILD)'
	@$(MAKE) -s -C '$(KDIR)' M='$(CURDIR)/$(BUILD)' ARCH=x86 KVMPV_WERROR=$(KVMPV_WERROR) KVMPV_TESTS=$(KVMPV_TESTS) \
		$(if $(wildcard $(KDIR)/vmlinux),,CONFIG_DEBUG_INFO_BTF_MODULES=) modules
	@echo 'built $(BUILD)/kvmpv.ko'

# ---- Trying and testing -------------------------------------------------------------------------
# The scripts' own interpreter: scripts/deps cannot say that it is missing. The package python3-minimal
# alone has no dataclasses.
need-python = $(if $(shell /usr/bin/python3 -c 'import dataclasses' 2>/dev/null && echo yes),,$(error \
	no python3: install the package python3))

deps:
	$(need-python)@scripts/deps

# The program for people. The guests of the tests have it where it is built.
tool:
	$(need-python)@scripts/deps tool
	@scripts/build-folder build/tool
	@flock build/tool/.lock $(MAKE) -s -f tool/Makefile
	@echo 'built build/tool/kvmpv'

try:
	$(need-python)@scripts/deps try
	@$(MAKE) tool
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

# ---- Installing ---------------------------------------------------------------------------------
# Not by modules_install: it would take the test modules, too, and leaves depmod out where the kernel's
# build folder has no System.map, as Debian's. INSTALL_MOD_PATH= is another root, with an index of its
# modules; DESTDIR= is where a package is put together, and its index is made where it is installed.
ROOT = $(DESTDIR)$(INSTALL_MOD_PATH)
MODULES = $(ROOT)/lib/modules/$(RELEASE)
INSTALLED = $(MODULES)/updates/kvmpv.ko
DEPMOD = $(if $(DESTDIR),,depmod $(if $(INSTALL_MOD_PATH),-b $(call quoted,$(INSTALL_MOD_PATH))) '$(RELEASE)')

# Two of one name in updates/: which one modprobe takes is chance.
others = $(shell find $(call quoted,$(MODULES)) -name 'kvmpv.ko*' ! -path '*/updates/kvmpv.ko' 2>/dev/null)

# As root in somebody's tree, what is built stays his.
builder = $(shell stat -c '--reuid %u --regid %g' $(firstword $(wildcard $(BUILD) build .)))
as-builder = $(if $(filter 0,$(shell id -u)),$(if $(findstring --reuid 0 ,$(builder)),, \
	setpriv $(builder) --clear-groups))

install:
	$(call refuse-if,$(others),kvmpv is installed for $(RELEASE) as $(others) already: remove that first \
		(make dkms-remove$(comma) if DKMS put it there))
	@$(as-builder) $(MAKE) modules
	umask 022; install -D -m 644 '$(BUILD)/kvmpv.ko' $(call quoted,$(INSTALLED))
	$(if $(DEPMOD),umask 022; $(DEPMOD))

uninstall:
	rm -f $(call quoted,$(INSTALLED))
	$(if $(DEPMOD),umask 022; $(DEPMOD))

dkms-install dkms-remove:
	$(call refuse-if,$(call given,KDIR),DKMS finds a kernel's headers by itself: name the kernel by KVER=$(comma) not KDIR=)
	@DESTDIR=$(call quoted,$(DESTDIR)) scripts/dkms $(@:dkms-%=%) '$(VERSION)' '$(KVER)'

deb:
	$(need-python)@scripts/deps package
	@scripts/deb

pictures:
	$(need-python)@scripts/deps pictures
	@scripts/pictures

clean:
	rm -rf build

help:
	@sed -n 's/^#help //p' $(firstword $(MAKEFILE_LIST))
#help make               build kvmpv.ko for the running kernel into build/<release>/
#help make KVER=6.12...  ... for another installed kernel; KDIR=<folder> for any kernel's build folder
#help make tool          build the program kvmpv into build/tool/
#help make try           boot a guest on real KVM and show the module at work in it
#help make check         build for all supported kernels and run every test in guests
#help make bench         measure the clock against the kernel's own, in guests and on this CPU
#help make check-all     the same, and what takes hours: every scenario on the debug kernel, a million interrupts
#help make deps          install the Debian packages that all of the above need, scripts/deps build what make needs
#help make install       install kvmpv.ko for the kernel (KVER=, KDIR=, DESTDIR=); make uninstall removes it
#help make dkms-install  have DKMS build and install it for every kernel; make dkms-remove undoes that
#help make pictures      make docs/pictures anew, which takes several minutes
#help make deb           build the Debian package kvmpv-dkms into build/deb/
#help make clean         remove build/

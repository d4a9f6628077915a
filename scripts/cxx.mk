# SPDX-License-Identifier: GPL-2.0-only
#
# How Kbuild compiles C++: with the kernel's own code-generation flags, objtool and the object check.
# Included by Kbuild. Relies on these names of scripts/Makefile.lib and Makefile.build:
#   _c_flags modkern_cflags basename_flags modname_flags cmd_and_fixdep cmd_objtool gen_objtooldep

# The g++ that belongs to the gcc that built the kernel: gcc-12 -> g++-12, also after a target prefix,
# in a folder or after ccache. Only the name of the program is changed, not that of a folder.
CXX_KERNEL := $(shell printf '%s' '$(strip $(CC))' | sed -E 's,(^|[ /-])gcc(-[^ /]+)?( |$$),\1g++\2\3,')
cxx-program := $(filter-out $(CC),$(CXX_KERNEL))
ifeq ($(cxx-program),)
$(error kvmpv is compiled by gcc and its g++ only, and this kernel's compiler is "$(strip $(CC))")
endif
ifeq ($(shell command -v $(cxx-program) 2>/dev/null),)
$(error no C++ compiler "$(cxx-program)": install the package $(lastword $(subst -g++, g++,$(notdir $(cxx-program)))))
endif

# Options that g++ does not know, or that mean something else to it. Every code-generation flag stays:
# retpolines, return thunks, IBT, padding, mcount and the stack protector.
cxx-drop := -std=% -Wstrict-prototypes -Wmissing-prototypes -Wold-style-% -Wdeclaration-after-statement \
	-Wno-pointer-sign -Wno-override-init -Wno-override-init-% -Werror=strict-prototypes \
	-Werror=implicit-% -Werror=incompatible-pointer-types -Werror=designated-init -g -gdwarf-% -I%

# No exceptions, no RTTI, no unwinding by .eh_frame (the kernel unwinds by ORC). Thread-safe statics
# stay on: a function-local static with a constructor then needs __cxa_guard_acquire, and the object
# check refuses it. -g0: pahole fails on C++ DWARF when it makes BTF (docs/internals.md). Members that
# are not named are zero, as the kernel has it in C; not every kernel says so in its flags.
cxxflags-kvmpv := -std=gnu++20 -ffreestanding -fno-exceptions -fno-rtti -fno-unwind-tables -fno-gnu-unique \
	-fno-asynchronous-unwind-tables -Wall -Wextra -Wundef -Wshadow -Wnon-virtual-dtor \
	-Wno-unused-parameter -Wno-missing-field-initializers -g0 -I$(src)/include -I$(src)/src $(if $(KVMPV_WERROR),-Werror)

# scripts/Makefile.lib sets these after this file is read, so they are expanded when a rule runs.
kernel-cflags = $(or $(modkern_cflags),$(error kbuild of this kernel does not set modkern_cflags: \
	scripts/cxx.mk has to learn its new name))

cxx_flags = -Wp,-MMD,$(depfile) $(filter-out $(cxx-drop),$(_c_flags) $(kernel-cflags)) \
	$(cxxflags-kvmpv) $(basename_flags) $(modname_flags)

# Without .group, each object keeps its own copy of an inline function or template. With it, the linker
# drops one copy. On kernels with -fpatchable-function-entry it then fails, because a table still
# refers to that copy.
# Semicolons: kbuild runs this under `set -e`, which ignores a failure on the left of `&&`.
quiet_cmd_cxx_o_cc = CXX $(quiet_modtag)  $@
      cmd_cxx_o_cc = $(CXX_KERNEL) $(cxx_flags) -c -o $@ $<; \
	$(OBJCOPY) --remove-section=.group $@ $(cmd_objtool); \
	$(CONFIG_SHELL) $(src)/scripts/check-cxx-object "$(NM)" "$(READELF)" $@

define rule_cxx_o_cc
	$(call cmd_and_fixdep,cxx_o_cc)
	$(call cmd,gen_objtooldep)
endef

$(obj)/%.o: $(src)/%.cc $(src)/scripts/check-cxx-object FORCE
	$(call if_changed_rule,cxx_o_cc)

# SPDX-License-Identifier: GPL-2.0-only
#
# The test module's own objects; it also links everything of the module but its entry.

kvmpv-kunit-objects :=

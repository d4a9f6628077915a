# SPDX-License-Identifier: GPL-2.0-only
"""The lab: the kernels, hosts and guests in which the module is tested."""


class LabError(Exception):
    """An error that the user can act on. Its text is one line."""

# SPDX-License-Identifier: GPL-2.0-only
"""The laboratory: the kernels, hosts and guests that the module is tried in."""


class LabError(Exception):
    """Something that the person at the keyboard can act on. Its text is one line."""

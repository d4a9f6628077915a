# SPDX-License-Identifier: GPL-2.0-only
"""Reads test results in KTAP with the parser of the kernel's kunit.py.

That parser accepts a list of results without a plan, and then cannot tell that the last ones are missing. Here every
list must have a plan.
"""

from __future__ import annotations

import importlib
import io
import sys
from dataclasses import dataclass
from typing import Any

from lab.kernels import kernel


@dataclass(frozen=True)
class Case:
    name: str
    passed: bool
    detail: str = ""


def _parser() -> Any:
    folder = kernel("kunit").build
    assert folder is not None, "the kunit kernel is built here, so it has a build folder"
    path = str(folder / "tools/testing/kunit")
    if path not in sys.path:
        sys.path.insert(0, path)
    parser: Any = importlib.import_module("kunit_parser")
    # The parser prints each result as it reads it, by a printer that was made at its import.
    parser.stdout = importlib.import_module("kunit_printer").Printer(io.StringIO())
    return parser


def cases(text: str) -> list[Case]:
    """Every test case in the text. Parse errors are a failed case of their own."""
    parser = _parser()
    try:
        result = parser.parse_run_tests(text.splitlines())
    except ValueError as error:  # a list within a list that ends before its plan
        return [Case("ktap", False, f"the parser gives up: {error}")]
    found = _walk(parser, result, "")
    broken = result.counts.errors
    if broken or not found:
        found.append(
            Case("ktap", False, f"{broken} errors in the list of results, {len(found)} cases")
        )
    return found


def _walk(parser: Any, test: Any, path: str) -> list[Case]:
    if not test.subtests:
        if not path:
            return []
        passed = test.status == parser.TestStatus.SUCCESS
        return [Case(path, passed, "" if passed else "\n".join(test.log))]
    found = []
    if test.expected_count is None:
        found.append(Case(f"{path or 'top level'}: plan", False, "no plan line"))
    elif test.expected_count != len(test.subtests):
        found.append(
            Case(f"{path or 'top level'}: plan", False, f"{test.expected_count} were planned")
        )
    for one in test.subtests:
        found += _walk(parser, one, f"{path}.{one.name}" if path else str(one.name))
    return found

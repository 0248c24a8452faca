"""No file that hurts: 20,000 mutations of every format end in one FormatError or in exactly what the bytes say."""

import pytest
from fuzz_table import FORMATS, MUTATIONS, SLACK, fuzz


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_mutations(format):
    outcome = fuzz(format)
    assert outcome.refused + outcome.same + outcome.altered == MUTATIONS >= 20_000
    assert outcome.memory < SLACK
    assert outcome.refused and (outcome.altered == 0 if format.oracle is None else outcome.altered)

"""What docs/causality.md shows of a check runs as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "causality.md"


def test_the_five_lines_run(capsys):
    torch = pytest.importorskip("torch", reason="one line checks a PyTorch module")
    module = torch.nn.Sequential(torch.nn.ZeroPad2d((3, -1, 0, 0)), torch.nn.Conv2d(1, 2, (1, 3)))

    def function(images):
        return np.pad(images, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]  # the pixel to the left

    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(code, {"module": module, "function": function})
    printed = capsys.readouterr().out
    assert printed.count("causal, no output depends on itself or on anything later") == 3

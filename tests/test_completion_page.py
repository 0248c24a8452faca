"""The code of docs/completion.md runs, and more particles do better."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "completion.md"


def test_the_code_of_the_page_runs(capsys):
    text, names = PAGE.read_text(encoding="utf-8"), {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, PAGE.name, "exec"), names)
    one, many, accuracy = capsys.readouterr().out.splitlines()[-3:]
    right = [int(re.search(r"(\d+)% of the hole", line).group(1)) for line in (one, many)]
    assert one.startswith("1 particles") and many.startswith("16 particles") and right[1] > right[0] + 2
    assert int(accuracy.split("%")[0]) > 75
    assert names["entropy"].shape == names["pictures"].shape and names["entropy"].max() <= 0.6932

"""A pytest plugin: the fixture `causality`, and a marker of the same name, whose arguments are passed to every check.

It is beside the package and not in it, because pytest loads it in every run where minipixel is installed; minipixel
itself is imported only when a test uses the fixture for the first time.
"""

from typing import Any

import pytest

MARKER = "causality(image_shape=None, **options): what the `causality` fixture passes to minipixel.check_causality"


class Causality:
    """`minipixel.check_causality` and `minipixel.assert_causal` with the arguments of the test's marker."""

    def __init__(self, image_shape: Any = None, **options: Any) -> None:
        self.image_shape, self.options = image_shape, options

    def check(self, model_or_function: Any, image_shape: Any = None, **options: Any) -> Any:
        """The CausalityReport of a model; arguments are those of minipixel.check_causality."""
        import minipixel

        shape = self.image_shape if image_shape is None else image_shape
        return minipixel.check_causality(model_or_function, shape, **self.options | options)

    def assert_causal(self, model_or_function: Any, image_shape: Any = None, **options: Any) -> None:
        """Let the test fail, with one sentence, if the model leaks or the check cannot decide."""
        __tracebackhide__ = True
        report = self.check(model_or_function, image_shape, **options)
        if not report.ok:
            pytest.fail(f"{report.name}: {report.why}")


@pytest.fixture
def causality(request: pytest.FixtureRequest) -> Causality:
    """Checks that models are causal: `causality.assert_causal(model, image_shape)`, or `causality.check(...)`."""
    marker = request.node.get_closest_marker("causality")
    return Causality(*marker.args, **marker.kwargs) if marker else Causality()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses the fixture, so that `pytest -m causality` selects them."""
    for item in items:
        if "causality" in getattr(item, "fixturenames", ()) and item.get_closest_marker("causality") is None:
            item.add_marker("causality")

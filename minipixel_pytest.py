"""A pytest plugin: the fixture `causality`, and the marker of the same name that says what it is told every time.

It stands beside the package, not in it, since pytest loads it in every run of an environment in which minipixel is
installed: minipixel itself is imported when a test uses the fixture for the first time.
"""

from typing import Any

import pytest

MARKER = "causality(image_shape=None, **options): what the `causality` fixture passes to minipixel.check_causality"


class Causality:
    """`minipixel.check_causality` and `minipixel.assert_causal`, with what the marker of the test says beforehand."""

    def __init__(self, image_shape: Any = None, **options: Any) -> None:
        self.image_shape, self.options = image_shape, options

    def check(self, model_or_function: Any, image_shape: Any = None, **options: Any) -> Any:
        """The CausalityReport."""
        import minipixel

        shape = self.image_shape if image_shape is None else image_shape
        return minipixel.check_causality(model_or_function, shape, **self.options | options)

    def assert_causal(self, model_or_function: Any, image_shape: Any = None, **options: Any) -> None:
        """Let the test fail, in a sentence, unless nothing leaks."""
        __tracebackhide__ = True
        report = self.check(model_or_function, image_shape, **options)
        if not report.ok:
            pytest.fail(f"{report.name}: {report.why}")


@pytest.fixture
def causality(request: pytest.FixtureRequest) -> Causality:
    """Whether a model of any framework is causal: `causality.assert_causal(model, image_shape)`, or `.check(...)`."""
    marker = request.node.get_closest_marker("causality")
    return Causality(*marker.args, **marker.kwargs) if marker else Causality()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses the fixture, so that `pytest -m causality` picks them."""
    for item in items:
        if "causality" in getattr(item, "fixturenames", ()) and item.get_closest_marker("causality") is None:
            item.add_marker("causality")

"""What a report says and draws."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import minipixel as mp
from minipixel.causality import CausalityReport, pictures


def report(dependencies, shape):
    S = int(np.prod(shape))
    return CausalityReport("Model", np.arange(S).reshape(shape), np.asarray(dependencies, bool), np.arange(S))


def test_what_each_sub_pixel_is_to_each_output():
    """0 sees itself, 1 sees 0, 2 is blind to 0 and sees 1."""
    order = np.arange(3).reshape(1, 3, 1)
    kinds = pictures.kinds(order, np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]], bool), np.arange(3))
    np.testing.assert_array_equal(kinds, [[4, 0, 0], [1, 3, 0], [2, 1, 3]])


def test_the_figure_of_a_grey_model(tmp_path):
    figure = mp.check_causality(mp.models.PixelCNN((8, 8, 1), 2, hidden=8, blocks=1)).plot()
    figure.savefig(tmp_path / "figure.png")
    matrix, field, share, _ = figure.axes
    assert matrix.get_title() == "what depends on what" and field.get_title() == "what (5, 4) sees"
    cells = np.asarray(field.images[0].get_array())
    assert cells[5, 4] == pictures.ITSELF and (cells[6:] == pictures.LATER).all() and cells[4, 4] == pictures.SEEN
    assert (np.asarray(matrix.images[0].get_array()) == pictures.LATER).sum() == 64 * 63 // 2
    seen = share.images[0].get_array()
    assert seen.mask[0, 0] and seen[0, 1] == 100 and 0 < seen[7, 7] < 100
    assert [text.get_text() for text in figure.legends[0].get_texts()][:3] == ["itself", "seen", pictures.LEGEND[2]]
    assert to_rgb(pictures.SHADES[pictures.LEAK]) not in {
        handle.get_facecolor()[:3] for handle in figure.legends[0].get_patches()
    }


def test_a_leak_is_ringed_and_its_output_is_shown():
    dependencies = np.tril(np.ones((36, 36), bool), -1)
    dependencies[2, 30] = True
    figure = report(dependencies, (6, 6, 1)).plot()
    (ring,) = figure.axes[0].collections
    np.testing.assert_array_equal(ring.get_offsets(), [[30.5, 2.5]])
    assert figure.axes[1].get_title() == "what (0, 2) sees"
    assert np.asarray(figure.axes[1].images[0].get_array())[5, 0] == pictures.LEAK
    assert pictures.LEGEND[pictures.LEAK] in [text.get_text() for text in figure.legends[0].get_texts()]


def test_one_leak_among_a_million_pairs_keeps_its_dot():
    dependencies = np.tril(np.ones((1024, 1024), bool), -1)
    dependencies[100, 900] = True
    cells = np.asarray(report(dependencies, (32, 32, 1)).plot().axes[0].images[0].get_array())
    assert cells.shape == (342, 342) and (cells == pictures.LEAK).sum() == 1 and cells[33, 300] == pictures.LEAK


def test_colours_have_a_map_each(tmp_path):
    found = mp.check_causality(mp.models.PixelCNN((4, 4, 3), 2, hidden=8, blocks=1))
    figure = found.plot((2, 1, 1))
    figure.savefig(tmp_path / "figure.png")
    assert [ax.get_title() for ax in figure.axes[1:4]] == [
        f"what (2, 1) green sees of {c}" for c in ("red", "green", "blue")
    ]
    here = [np.asarray(ax.images[0].get_array())[2, 1] for ax in figure.axes[1:4]]
    assert here == [pictures.SEEN, pictures.ITSELF, pictures.LATER]


@pytest.mark.parametrize("C", [2, 4, 17])
def test_up_to_four_channels_have_a_map_each_and_more_share_one(C, tmp_path):
    found = mp.check_causality(mp.models.PixelCNN((3, 4, C), 2, hidden=17, blocks=1), images=1, outputs=[5 * C + 1])
    figure = found.plot((1, 1, 1))
    figure.savefig(tmp_path / "figure.png")
    titles = [ax.get_title() for ax in figure.axes[1:-2]]
    if C <= 4:
        assert titles == [f"what (1, 1) channel 1 sees of channel {c}" for c in range(C)]
        return
    assert titles == ["what (1, 1) channel 1 sees of each channel"]
    cells = np.asarray(figure.axes[1].images[0].get_array())  # five abreast, a gap between
    assert [cells[1 + 1, c * 5 + 1] for c in range(5)] == [pictures.SEEN, pictures.ITSELF, *[pictures.LATER] * 3]
    assert [text.get_text() for text in figure.axes[1].texts] == [str(c) for c in range(17)]


def test_some_outputs_alone(tmp_path):
    found = mp.check_causality(lambda x: np.zeros_like(x), (6, 5, 1), outputs=[7, 20])
    figure = found.plot()
    figure.savefig(tmp_path / "figure.png")
    assert figure.axes[0].get_ylabel() == "2 outputs" and figure.axes[1].get_title() == "what (4, 0) sees"
    with pytest.raises(ValueError, match=r"^output: got \(0, 0, 0\), wanted one of the 2 outputs that were looked at$"):
        found.plot((0, 0, 0))


def test_where_images_see_each_other_there_is_nothing_to_draw():
    found = mp.check_causality(lambda x: x - x.mean(axis=0), (3, 3, 1))
    assert not found.ok and "nothing more was tried" in str(found)
    with pytest.raises(ValueError, match=r"^plot: got a report without any outputs, wanted one"):
        found.plot()


def test_other_numbers_of_channels_have_numbers_for_names():
    found = mp.check_causality(np.copy, (2, 2, 4))
    assert "(0, 0) channel 0 depends on (0, 0) channel 0" in str(found)

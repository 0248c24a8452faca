"""A PixelCNN in PyTorch, written the usual way: checked in five lines, and refused where it leaks."""

import subprocess
import sys

import numpy as np
import pytest

import minipixel as mp
from minipixel.causality import examination, of_torch

torch = pytest.importorskip("torch", reason="the adapter for PyTorch needs PyTorch: pip install 'minipixel[parity]'")
nn = torch.nn


class MaskedConv2d(nn.Conv2d):
    """As in most of what is to be found: a buffer that is multiplied in."""

    def __init__(self, kind, *arguments, **options):
        super().__init__(*arguments, **options)
        kh, kw = self.kernel_size
        mask = torch.ones(kh, kw)
        mask[kh // 2, kw // 2 + (kind == "B") :] = 0
        mask[kh // 2 + 1 :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.mask, self.bias)


def pixelcnn(first="A", levels=4, between=nn.ReLU):
    torch.manual_seed(0)
    return nn.Sequential(
        MaskedConv2d(first, 1, 16, 7, padding=3),
        between(),
        MaskedConv2d("B", 16, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, levels, 1),
    )


def test_five_lines():
    model = pixelcnn()
    report = mp.check_causality(model, (1, 8, 8))
    assert report.ok and len(report.blind) > 0 and report.dependencies.shape == (64, 64)
    assert {"gradients", "perturbation", "batch", "shaken"} == {witness.name for witness in report.witnesses}
    mp.assert_causal(model, (1, 8, 8))


def test_gradients_and_perturbation_find_the_same():
    report = mp.check_causality(pixelcnn(), (1, 5, 6))
    subject = mp.causality.subject_of(pixelcnn(), (1, 5, 6))
    np.testing.assert_array_equal(mp.causality.dependencies(subject), report.dependencies)
    np.testing.assert_array_equal(mp.causality.perturbed(subject), report.dependencies)
    ours = mp.models.PixelCNN((5, 6, 1), 4, hidden=16, blocks=1)
    assert (report.dependencies <= mp.causality.structure(ours)).all()  # the same receptive field: 7x7, 3x3


def test_mask_b_in_the_first_layer_is_refused_with_the_first_pair():
    with pytest.raises(mp.CausalityError, match=r"^Sequential: sub-pixel \(0, 0\) depends on \(0, 0\)") as error:
        mp.assert_causal(pixelcnn("B"), (1, 5, 6))
    assert "the usual cause: mask B, or none, where the image comes in" in str(error.value)
    assert "\n" not in str(error.value)


def test_batch_normalisation_is_named_and_no_leak():
    def normalised():
        return nn.BatchNorm2d(16)

    model = pixelcnn(between=normalised)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    model[1].eval()
    mp.assert_causal(model, (1, 5, 6))
    report = mp.check_causality(model, (1, 5, 6))
    assert report.ok and report.batch_statistics == ("'1' (BatchNorm2d)",)
    assert "causal in evaluation; in training an image sees its batch, at '1' (BatchNorm2d)" in str(report)
    assert "in training mode, statistics over the batch as in evaluation: 0 leaks" in str(report)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training and not model[1].training


def test_dropout_is_no_leak_and_training_mode_is_tried():
    def dropping():
        return nn.Dropout(0.3)

    report = mp.check_causality(pixelcnn(between=dropping), (1, 5, 6))
    assert report.ok, str(report)
    assert "in training mode" in str(report) and report.witnesses[0].name == "perturbation"
    net = pixelcnn(between=dropping)
    state = torch.random.get_rng_state()
    mp.assert_causal(net, (1, 5, 6))
    assert torch.equal(state, torch.random.get_rng_state())  # the noise of a run under way stays its own


def test_of_large_images_some_outputs_are_picked_and_a_leak_among_the_others_is_found():
    class Leaky(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = pixelcnn(levels=1)

        def forward(self, x):
            y = self.net(x)
            y[:, :, 20, 3] += x[:, :, 30, 4]
            return y

    report = mp.check_causality(Leaky(), (1, 40, 40), images=1)
    assert "of 33 outputs on 1 image" in str(report)
    np.testing.assert_array_equal(report.leaks, [[[20, 3, 0], [30, 4, 0]]])
    assert 32 <= len(report.outputs) <= 33


class Colours(nn.Module):
    """C colours: a stack for what came before, and what a colour sees of its own pixel; (N, Q, C, H, W)."""

    def __init__(self, sees, Q=4):
        super().__init__()
        self.Q, self.C = Q, len(sees)
        self.before = MaskedConv2d("A", self.C, Q * self.C, 3, padding=1)
        self.here = nn.Conv2d(self.C, Q * self.C, 1)
        mask = torch.tensor(sees, dtype=torch.float32).repeat(Q, 1)  # outputs are (Q, C)
        self.register_buffer("mask", mask[:, :, None, None])

    def forward(self, x):
        here = nn.functional.conv2d(x, self.here.weight * self.mask)
        return (self.before(x) + here).reshape(len(x), self.Q, self.C, *x.shape[2:])


def test_colours():
    right = Colours([[0, 0, 0], [1, 0, 0], [1, 1, 0]])
    assert mp.check_causality(right, (3, 4, 5)).ok
    with pytest.raises(mp.CausalityError, match=r"\(0, 0\) red depends on \(0, 0\) blue.*colour mask"):
        mp.assert_causal(Colours([[0, 0, 1], [1, 0, 0], [1, 1, 0]]), (3, 4, 5))
    backwards = np.arange(4 * 5 * 3).reshape(4, 5, 3)[:, :, ::-1]
    assert mp.check_causality(Colours([[0, 1, 1], [0, 0, 1], [0, 0, 0]]), (3, 4, 5), order=backwards).ok


@pytest.mark.parametrize("C", [2, 4, 5])
def test_any_number_of_channels(C):
    """With an axis for the channels, and flat: then by an even split, C blocks, or by `groups`."""
    torch.manual_seed(0)
    earlier = np.tri(C, k=-1)
    mp.assert_causal(Colours(earlier, Q=3), (C, 4, 6))
    late = earlier.copy()
    late[0, C - 1] = 1
    with pytest.raises(
        mp.CausalityError, match=rf"\(0, 0\) channel 0 depends on \(0, 0\) channel {C - 1}.*colour mask"
    ):
        mp.assert_causal(Colours(late, Q=3), (C, 4, 6))

    class Flat(nn.Module):
        def __init__(self, sees, blocks):
            super().__init__()
            self.net, self.blocks = Colours(sees), blocks

        def forward(self, x):
            y = self.net(x)  # (N, Q, C, H, W)
            return (y.transpose(1, 2) if self.blocks else y).flatten(1, 2)

    mp.assert_causal(Flat(earlier, blocks=True), (C, 4, 6))
    mp.assert_causal(Flat(earlier, blocks=False), (C, 4, 6), groups=np.tile(np.arange(C), 4))
    assert not mp.check_causality(Flat(earlier, blocks=False), (C, 4, 6), layout="N(CQ)HW").ok  # blocks it is not
    in_turn = mp.check_causality(Flat(earlier, blocks=False), (C, 4, 6))
    assert in_turn.ok and "in turn" in in_turn.notes[0]
    assert not mp.check_causality(Flat(late, blocks=False), (C, 4, 6)).ok
    with pytest.raises(
        ValueError, match=r"^output: got 7 channels, wanted a number that . colours share evenly; pass g"
    ):
        mp.check_causality(nn.Conv2d(C, 7, 1), (C, 4, 6))


def test_integers_have_no_gradients():
    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.net = nn.Embedding(256, 1), pixelcnn()

        def forward(self, x):
            return self.net(self.table(x.long())[:, 0].permute(0, 3, 1, 2))

    report = mp.check_causality(Embedded(), (1, 5, 6), inputs=("uint8", 0, 255))
    assert report.ok and "gradients" not in {witness.name for witness in report.witnesses}


def test_channels_last():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = pixelcnn()

        def forward(self, x):
            return self.net(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    assert mp.check_causality(Last(), (5, 6, 1), channels_first=False).ok


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"^output: got a tuple, wanted one array of parameters; wrap it"):
        mp.check_causality(nn.Sequential(nn.Flatten(0, 2), nn.LSTM(6, 3)), (1, 5, 6))
    with pytest.raises(ValueError, match=r"^image_shape: got None, wanted \(C, H, W\), channels first"):
        mp.check_causality(pixelcnn())


def test_torch_is_not_imported_before_it_is_needed():
    code = (
        "import sys, numpy as np, minipixel as mp; "
        "mp.check_causality(mp.models.PixelCNN((2, 2, 1), 2, hidden=1, blocks=1)); "
        "mp.check_causality(np.zeros_like, (2, 2, 1)); assert not {'torch', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_embedding_network_is_refused_as_it_is_without_pytorch():
    with pytest.raises(ValueError, match="check_causality: got a EmbeddingNet, wanted a minipixel model"):
        mp.check_causality(mp.models.EmbeddingNet((4, 3, 1), 2, dimensions=2), (4, 3, 1))


def test_what_is_asked_goes_by_the_memory_of_a_way_back(monkeypatch):
    """A large net is asked less, and one whose way back fits nowhere is asked by change alone."""
    net = pixelcnn(levels=2)
    light = mp.check_causality(net, (1, 20, 20), images=2)
    assert "400 sub-pixels changed, one at a time" in str(light) and len(light.outputs) == 400
    for name, said in (("LIGHT", "of 32 outputs on 2 images"), ("HEAVY", "of 16 outputs on 1 image")):
        monkeypatch.setattr(examination, name, 0)
        report = mp.check_causality(net, (1, 20, 20), images=2)
        assert report.ok and "one at a time" not in str(report) and said in str(report), str(report)
    monkeypatch.setattr(examination, "MOST_KEPT", 0)
    report = mp.check_causality(net, (1, 20, 20), images=2)
    silent = {witness.name: witness for witness in report.witnesses if witness.holds is None}
    assert list(silent) == ["gradients"] and "the way back of one image keeps" in silent["gradients"].line
    assert report.ok and not len(report.outputs) and not mp.check_causality(pixelcnn("B", levels=2), (1, 20, 20)).ok


def test_one_image_at_a_time_is_not_normalised_by_its_own_future(monkeypatch):
    """Neither where somebody says so, nor where no more fit into memory: statistics over the batch are named."""

    def normalised():
        return nn.BatchNorm2d(16)

    one = mp.check_causality(pixelcnn(between=normalised), (1, 5, 6), batch_size=1)
    assert one.ok and one.batch_statistics == ("'1' (BatchNorm2d)",), str(one)
    assert "it is asked about one image at a time" in str(one)
    monkeypatch.setattr(of_torch, "MEMORY", 1)
    large = mp.check_causality(pixelcnn(between=normalised), (1, 5, 6))
    assert large.ok and large.batch_statistics == one.batch_statistics, str(large)
    assert not mp.check_causality(pixelcnn("B", between=normalised), (1, 5, 6), batch_size=1).ok


def test_a_mean_over_the_batch_behind_a_factor_of_zero_is_called_that():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.alpha = pixelcnn(), nn.Parameter(torch.zeros(()))

        def forward(self, x):
            return self.net(x) + self.alpha * x.mean(dim=0)

    report = mp.check_causality(Hidden(), (1, 5, 6))
    assert not report.ok and len(report.leaks) == 0
    assert report.why.startswith("with its weights shaken, in a copy, the output of an image depends on another image")
    assert "batch normalisation, or another statistic over the batch" in report.why

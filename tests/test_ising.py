"""The Ising example: its exact formulas, its model by enumeration of all states of a tiny magnet, and its figures."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

import minipixel as mp

ROOT = Path(__file__).parents[1]
KNOWN = {  # -ln Z / (beta L^2), by two other programs
    (4, 0.44): -2.2023759288,
    (6, 0.2): -3.6729096083,
    (6, 0.44): -2.1511414567,
    (6, 0.8): -2.0263313672,
    (16, 0.2): -3.6726540616,
    (16, 0.44): -2.1163640554,
    (16, 0.8): -2.0056482436,
}
STATES = (np.arange(2**16)[:, None] >> np.arange(16) & 1).astype(np.uint8).reshape(-1, 4, 4, 1)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """All that the example leaves, after a short training of 4x4 spins, in this process."""
    patch, out = pytest.MonkeyPatch(), tmp_path_factory.mktemp("ising")
    with patch.context() as own:
        own.setenv("MINIPIXEL_QUICK", "1")
        own.setenv("ISING_OUT", str(out))
        for name in ("ISING_SIZE", "ISING_BETA", "MINIPIXEL_SEED"):
            own.delenv(name, raising=False)
        return runpy.run_path(str(ROOT / "examples" / "ising.py"), run_name="__main__") | {"out": out}


@pytest.mark.parametrize(("size", "beta"), KNOWN)
def test_exact_free_energies(example, size, beta):
    assert example["free_energy_per_site"](size, beta) == pytest.approx(KNOWN[size, beta], abs=6e-11)


@pytest.mark.parametrize("size", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("beta", [0.01, 0.2, 0.44, np.log(1 + np.sqrt(2)) / 2, 0.8, 3.0])
def test_kaufman_is_the_transfer_matrix(example, size, beta):
    """Above the critical temperature, below it, and at it, where a factor is zero."""
    with np.errstate(divide="ignore"):
        assert example["ln_z_by_kaufman"](size, beta) == pytest.approx(example["ln_z_by_rows"](size, beta), rel=1e-12)


def test_both_are_the_sum_over_all_states(example):
    ln_z = logsumexp(-0.3 * example["energy"](STATES))
    assert example["ln_z_by_rows"](4, 0.3) == pytest.approx(ln_z, rel=1e-13)
    assert example["ln_z_by_kaufman"](4, 0.3) == pytest.approx(ln_z, rel=1e-13)


def test_what_was_learnt_by_enumeration(example):
    """The mixture is normalised and has the magnet's symmetry; its free energy is what the draws said, and close."""
    _, ln_p, shares = example["mixture"](STATES)
    assert logsumexp(ln_p) == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(ln_p, ln_p[::-1], atol=1e-4)  # state 65535 - i is state i turned over
    np.testing.assert_allclose(shares.reshape(2, -1).sum(axis=0), 1)
    figures, p = example["figures"], np.exp(ln_p)
    true = p @ (0.44 * example["energy"](STATES) + ln_p) / (0.44 * 16)
    assert true == pytest.approx(figures["variational"], abs=5 * figures["standard_error"])
    assert figures["exact"] < true < 0.99 * figures["exact"]  # both are below 0
    assert figures["effective_sample_size"] > 0.5
    assert figures["mean_magnetisation_without_coins"] ** 2 > 0.1  # the network itself has chosen a sign
    assert (example["out"] / "ising.png").stat().st_size > 10_000


def test_its_weights_are_the_gradient_of_the_free_energy(example):
    """Averaged over all states, each as often as the mixture draws it: against finite differences, in float64."""
    beta, size = 0.44, 3
    states = (np.arange(2**9)[:, None] >> np.arange(9) & 1).astype(np.uint8).reshape(-1, 3, 3, 1)
    model = mp.models.PixelCNN((size, size, 1), 2, hidden=2, blocks=1, dtype="float64")
    mixture = example["mixture"]
    mixture.__globals__["model"] = model

    def free_energy():
        _, ln_p, _ = mixture(states)
        return np.exp(ln_p) @ (beta * example["energy"](states) + ln_p)

    both, ln_p, shares = mixture(states)
    R = beta * example["energy"](states) + ln_p
    weights = -2 * np.tile((R - np.exp(ln_p) @ R) * np.exp(ln_p) * len(states), 2) * shares
    _, gradients = model.value_and_gradients(both, weights=weights)
    rng = np.random.default_rng(0)
    try:
        for name, parameter in model.named_parameters():
            place = tuple(rng.integers(n) for n in parameter.shape)
            found = []
            for step in (1e-5, -1e-5):
                parameter.data = parameter.data.copy()
                parameter.data[place] += step
                found.append(free_energy())
                parameter.data[place] -= step
            assert gradients[name][place] == pytest.approx((found[0] - found[1]) / 2e-5, rel=1e-5, abs=1e-8), name
    finally:
        mixture.__globals__["model"] = example["model"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_at_full_length(seed, tmp_path):
    """6x6 spins, near the critical temperature: the example's own asserts hold, whatever the seed."""
    own = {"MINIPIXEL_QUICK": "0", "MINIPIXEL_SEED": str(seed), "ISING_OUT": str(tmp_path), "PYTHONWARNINGS": "error"}
    script = [sys.executable, ROOT / "examples" / "ising.py"]
    done = subprocess.run(script, env=os.environ | own, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

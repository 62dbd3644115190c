"""The examples run as they stand, on real images."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alambic.data import DataSpec, load_source
from alambic.errors import AlambicError

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def real_images():
    try:
        load_source(DataSpec("fashion-mnist"))
    except AlambicError as error:
        pytest.skip(f"needs Fashion-MNIST: {error}")


def run(command, folder):
    place = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_own_loop(tmp_path):
    said = run([sys.executable, str(EXAMPLES / "own_loop.py"), "120"], tmp_path)
    assert float(re.search(r"test accuracy ([\d.]+)", said)[1]) > 0.5  # ten classes: it has learnt
    parts = re.findall(r"'(\w+)': ([\d.]+)", said)
    assert {"ce", "rsd"} <= {name for name, _ in parts}


def test_own_folder_walks_to_a_report(tmp_path):
    for path in EXAMPLES.glob("own_folder_*.py"):
        shutil.copy(path, tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", (EXAMPLES / "own_folder.md").read_text(), re.DOTALL)
    script = "\n".join(re.sub(r"(?m)^   ", "", block) for block in blocks)
    said = run(["bash", "-euc", script], tmp_path)
    report = Path(re.search(r"report: (.+)", said)[1])
    assert report.stat().st_size > 10_000
    assert "4 cells done" in said

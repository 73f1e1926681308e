"""The browser client's own tests of its pure modules, run by Node."""

import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"


def test_the_pure_modules_pass_their_tests() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on the PATH; the modules need version 20 or newer")
    files = sorted(WEB.glob("test/*.test.js"))
    assert files
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

"""The wheel carries grammar, runners, zoo and shortlist, and works in an environment that does not see the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHORTLIST = ROOT / "generated" / "shortlist"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("needs the checkout")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True, text=True)
    (found,) = folder.glob("lossgen-*.whl")
    return found


def test_the_wheel_carries_grammar_runners_zoo_and_shortlist(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    grammars = [f"grammar/{path}" for path in ("loss.lark", "space.lark", "spaces/ganetic.lark", "spaces/roles.lark")]
    shipped = [f"runners/{path.name}" for path in sorted((ROOT / "runners").glob("*.py"))]
    for name in (*grammars, *shipped, "generated/ganetic.py", "generated/ganetic.loss"):
        assert f"lossgen/_resources/{name}" in names
    assert "lossgen/py.typed" in names
    shortlist = {f"lossgen/_resources/generated/shortlist/{path.name}" for path in SHORTLIST.iterdir()}
    assert shortlist <= names
    assert {name for name in names if "evolved_" in name} <= shortlist  # and no search of one's own
    assert not any(name.startswith("tests/") for name in names)


def test_the_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([python, "-c", ask], text=True).strip())
    # The outer packages are seen, but not their .pth files, and so not the checkout.
    (site / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["CXX"] = "no-such-compiler"  # the champion is compiled in other tests

    def run(*args: str) -> str:
        return subprocess.run(
            [str(python), *args], cwd=tmp_path, env=env, check=True, capture_output=True, text=True
        ).stdout

    assert str(site) in run("-c", "import lossgen; print(lossgen.__file__)")
    assert "class GANetic" in run("-m", "lossgen", "compile", "ganetic")
    small = "--population 3 --generations 1 --steps 60 --objective quality --verify-seeds 2 --workers 1"
    assert "generated" in run("-m", "lossgen", "evolve", *small.split())
    assert list((tmp_path / "generated").glob("evolved_*.py"))

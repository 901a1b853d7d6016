"""A guarded command dies with whoever started it, and with all that it has started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lossgen.guarded import NOT_STARTED, SIGNALLED, run_guarded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes by /proc")

# Starts a child, and one in a session of its own that its parent leaves behind; writes all three numbers.
FAMILY = """
import os, subprocess, sys, time
sleep = "import time; time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", sleep])
alone = "start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
leave = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {sleep!r}], {alone}).pid)"
orphan = subprocess.run([sys.executable, "-c", leave], capture_output=True, text=True, check=True).stdout
with open(sys.argv[1] + ".new", "w") as file:
    print(os.getpid(), child.pid, orphan, file=file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(float(sys.argv[2]))
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: "object", seconds: float = 20.0) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def pids_of(path: Path) -> list[int]:
    assert wait_for(path.exists, 90.0)  # how long a busy machine takes to start is not what is tested
    return [int(word) for word in path.read_text().split()]


def test_exit_codes_and_output(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def run(*command: str) -> int:
        return run_guarded(command, tmp_path, {**os.environ, "OWN": "value"}, log)

    speak = "import os, sys; print(os.environ['OWN'], os.getcwd(), sys.stdin.read()); sys.exit(3)"
    assert run(sys.executable, "-c", speak) == 3
    assert log.read_text() == f"value {tmp_path} \n"
    assert run(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)") == SIGNALLED + signal.SIGKILL
    assert run("./nowhere") == NOT_STARTED
    assert log.read_text().endswith("./nowhere: No such file or directory\n")


@pytest.mark.parametrize("victim", ["starter", "guard"])
def test_the_command_does_not_outlive_its_starter_or_its_guard(tmp_path: Path, victim: str) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    pids = tmp_path / "pids"
    start = (
        "import os, sys; from pathlib import Path; from lossgen.guarded import run_guarded; "
        "run_guarded([sys.executable, *sys.argv[2:]], Path('.'), os.environ, Path('log'), Path(sys.argv[1]))"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", start, str(scratch), "-c", FAMILY, str(pids), "600"], cwd=tmp_path
    )
    try:
        family = pids_of(pids)
        assert all(map(alive, family))
        if victim == "starter":
            starter.kill()
            assert wait_for(lambda: not any(map(alive, family)))
            assert wait_for(lambda: not scratch.exists())
        else:
            os.kill(int(Path(f"/proc/{family[0]}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
            assert wait_for(lambda: not alive(family[0]))
            assert starter.wait(10) == 0
    finally:
        starter.kill()
        starter.wait()
        for pid in pids_of(pids):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_what_a_command_leaves_running_is_killed_at_its_end(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = [sys.executable, "-c", FAMILY, str(pids), "0"]
    assert run_guarded(command, tmp_path, os.environ, tmp_path / "log") == 0
    assert not any(map(alive, pids_of(pids)))

"""The sympy process: whatever it does, an answer comes in time and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lossgen.algebra import process as room
from lossgen.algebra.process import Process, from_message, to_message
from lossgen.language.expression import Expression
from lossgen.language.parser import parse_loss
from lossgen.language.printer import to_text

LOSS = parse_loss("y_pred - y_pred + score").label
assert LOSS is not None
ASKED = """
import json, sys, time
def say(**message): print(json.dumps(message), flush=True)
say(ready=True)
number = json.loads(sys.stdin.readline())["number"]
"""
FORM = 'say(number=number, method="fair", form="loss A(score) = score")\n'


def faulty(code: str) -> Process:
    return Process((sys.executable, "-c", code))


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody waits for has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def soon_gone(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return gone(pid)


@pytest.mark.parametrize(
    ("code", "ended", "found"),
    [
        ("import time; time.sleep(60)", "broken", 0),
        ("raise SystemExit(3)", "broken", 0),
        ("import os; os.abort()", "broken", 0),
        ("print('noise'); print([1]); print('{')", "broken", 0),
        ("while True: print('noise')", "broken", 0),
        ("import os\nwhile True: os.write(1, b'1' * 65536)", "broken", 0),
        (ASKED + "time.sleep(60)", "late", 0),
        (ASKED + "while True: pass", "late", 0),
        (ASKED + "raise SystemExit(0)", "broken", 0),
        (ASKED + FORM + "raise SystemExit(0)", "broken", 1),
        (ASKED + FORM + "print('{\"number', end='', flush=True); time.sleep(60)", "late", 1),
        (ASKED + "while True: say(number=number, method=1, form='loss A(score) = score')", "broken", None),
        (ASKED + "while True: sys.stdout.write('1' * 65536)", "broken", 0),
        (ASKED + "print('noise'); print('[' * 9000); say(number=0, form='score'); say(done=True)", "broken", 0),
        (ASKED + "sys.stdin.close(); say(number=number, form='A(('); say(number=number, done=1)", "answered", 0),
        (ASKED + "say(number=number, form=[1]); say(number=number); say(number=number, done=1)", "answered", 0),
        ("print('{\"ready\": true}', flush=True); import os; os.close(0); os.close(1); import time; time.sleep(60)",
         "broken", 0),
    ],
    ids=[
        "never starts", "fails", "aborts", "starts with noise", "starts with endless noise", "starts an endless line",
        "hangs", "spins", "leaves", "leaves with a form", "hangs in a line", "endless forms", "an endless line",
        "another number", "forms that are none", "messages that are none", "closes its pipes",
    ],
)  # fmt: skip
def test_a_process_that_misbehaves_costs_its_time_limit_at_most(
    code: str, ended: str, found: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "START_LIMIT", 30.0 if "ready" in code or code.startswith(ASKED) else 0.3)
    monkeypatch.setattr(room, "MOST_OUTPUT", 1 << 18)
    process = faulty(code)
    start = time.monotonic()
    answer = process.ask(LOSS, 0.3 if ended == "late" else 30.0)
    assert time.monotonic() - start < 20.0
    assert answer.ended == ended
    assert {to_text(form) for _, form in answer.forms} <= {"score"}
    assert found is None or len(answer.forms) == found
    started = process._running
    assert (started is None) == (ended != "answered"), "only one that answers is asked again"
    process.close()


def test_one_process_serves_many_and_after_a_late_one_another() -> None:
    process = Process()
    assert process.ask(LOSS, 20.0).ended == "answered"
    first = process._running
    assert first is not None
    assert process.ask(LOSS, 20.0).ended == "answered"
    assert process._running is first
    assert process.ask(expression("(y_pred + y_real + score)^12 / (1 + y_pred + score)^9"), 0.01).ended == "late"
    assert process._running is None
    assert gone(first.pid)
    assert {to_text(form) for _, form in process.ask(LOSS, 20.0).forms} == {"score"}
    assert process._running is not None
    process._running.kill()  # by the system, when memory is short
    process._running.wait()
    assert process.ask(LOSS, 20.0).ended == "answered"
    process.close()


def test_an_answer_does_not_depend_on_those_before_it() -> None:
    texts = [
        "(y_pred + y_real)^2 - y_pred * (y_pred + y_real) + exp(0.5 * y_pred - y_real) * exp(y_pred)",
        "sqrt(y_real / y_pred) + sqrt((y_real - y_pred) * y_pred + (y_real + y_real - y_pred^2))",
        "y_pred / (1 + y_real) + y_real / (1 + y_real) - log(1 + y_pred) * (2 + y_pred) / (1 + y_pred)",
    ]
    process = Process()
    answers = [process.ask(expression(text), 30.0) for text in texts]
    again = [process.ask(expression(text), 30.0) for text in reversed(texts)]
    process.close()
    alone = process.ask(expression(texts[1]), 30.0)  # in a process of its own
    process.close()
    assert all(answer.ended == "answered" and len(answer.forms) > 4 for answer in answers)
    assert answers == again[::-1]
    assert alone == answers[1]


def expression(text: str) -> Expression:
    loss = parse_loss(text)
    return loss.label if loss.label is not None else loss.roles["real"]


@pytest.mark.parametrize(
    "text",
    [
        "square(y_pred - y_real)",
        "const a = 3.985\nconst b = -1\nloss A(score) = a * score^b + 3.985",
        "loss A(score, mean_fake):\n real: score - mean_fake\n fake: score\n generator: 0",
    ],
)
def test_expressions_travel_whole(text: str) -> None:
    assert from_message(json.loads(json.dumps(to_message(expression(text))))) == expression(text)


DRIVER = """
import sys
from lossgen.algebra import process as room
from lossgen.language.parser import parse_loss
process = room.shared()
process.command = (sys.executable, "-c", '''
import lossgen.algebra.worker as worker
def busy(*_):
    while True:
        {work}
    yield
worker.forms = busy
worker.main()
''')
found = process._started
def started():
    running = found()
    print(running.pid, flush=True)
    return running
process._started = started
process.ask(parse_loss("score").label, {limit})
"""


@pytest.mark.parametrize(
    ("how", "work", "limit"),
    [
        (signal.SIGKILL, "sum(range(1000))", 600.0),
        (signal.SIGTERM, "import time; time.sleep(1000)", 600.0),
        (signal.SIGINT, "sum(range(1000))", 600.0),
        (signal.SIGKILL, "3 ** 10 ** 9", 1.0),
    ],
    ids=["killed", "terminated", "interrupted", "killed while one operation takes minutes"],
)
def test_no_process_outlives_whoever_started_it(how: signal.Signals, work: str, limit: float) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(work=work, limit=limit)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert driver.stdout is not None
    pid = int(driver.stdout.readline())
    time.sleep(0.3)  # it is at work
    assert not gone(pid)
    if how is signal.SIGINT:
        os.killpg(driver.pid, how)  # as a terminal does, to both of them
    else:
        driver.send_signal(how)
    driver.wait(10.0)
    driver.stdout.close()
    assert soon_gone(pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="address space is limited on Linux alone")
def test_an_expression_that_eats_memory_is_one_without_an_answer() -> None:
    code = "import lossgen.algebra.worker as w; w.forms = lambda *_: [bytearray(64 << 30)]; w.main()"
    process = faulty(code)
    assert [process.ask(LOSS, 20.0).ended for _ in range(2)] == ["answered", "answered"]
    process.close()

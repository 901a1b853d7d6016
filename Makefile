# `make evolve` and `make test` are all that a newcomer needs: each sets up .venv first where it is missing.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install evolve test test-extras fuzz torture check bench bench-gpu docs-figures dispatch

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "lossgen needs Python 3.11 or later: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# The main job. ARGS takes its flags: make evolve ARGS="--data mnist --time-limit 15m"
evolve: install
	$(BIN)/lossgen evolve $(ARGS)

test: install
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 $(ARGS)

# What needs an extra: a Ray cluster of two nodes on this machine, one of which is killed; TensorBoard; reports in Chromium,
# where one is installed (apt install chromium, or playwright install chromium).
test-extras: install
	$(BIN)/python -m pip install --quiet --editable '.[dev,ray,browser,tensorboard]'
	$(BIN)/python -m pytest tests/extras $(ARGS)

# 100 000 texts, names and notes, other ones each time; the fuzz tests of `make test` take 3000, always the same.
fuzz: install
	LOSSGEN_FUZZ=$${LOSSGEN_FUZZ:-100000} $(BIN)/python -m pytest tests/fuzz --timeout 7200 $(ARGS)

# Searches that are killed 20 times, at other moments each time, in all of their phases and while they write their files;
# Ctrl-C wherever it can be pressed; full disks. `make test` kills three times.
torture: install
	LOSSGEN_TORTURE=$${LOSSGEN_TORTURE:-20} $(BIN)/python -m pytest tests/torture tests/evolution/test_interrupt.py $(ARGS)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m lossgen.kernel.generate --check
	$(BIN)/lossgen compile --check

# Write lossgen/kernel/_dispatch.py anew, after a change of the operator table.
dispatch: install
	$(BIN)/python -m lossgen.kernel.generate

# With the peers that lossgen is measured beside.
bench: install
	$(BIN)/python -m pip install --quiet --editable '.[dev,bench]'
	$(BIN)/python benchmarks/kernel.py
	$(BIN)/python benchmarks/screen.py
	$(BIN)/python benchmarks/verify.py
	$(BIN)/python benchmarks/simplify.py
	$(BIN)/python benchmarks/codegen.py
	$(BIN)/python benchmarks/fingerprint.py
	$(BIN)/python benchmarks/hidden_loss.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/false_discovery.py
	$(BIN)/python benchmarks/intervals.py
	$(BIN)/python benchmarks/verdicts.py
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/scale.py

# The pictures of README and tutorial, from a real run (half an hour; ARGS="--run FOLDER" takes one that is there).
docs-figures: install
	$(BIN)/python -m pip install --quiet --editable '.[dev,browser]'
	$(BIN)/python docs/figures.py $(ARGS)

# On a machine with an NVIDIA GPU; under 10 minutes.
bench-gpu: install
	$(BIN)/python benchmarks/training.py --device cuda

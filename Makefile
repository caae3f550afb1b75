# Each target does its own set-up: deploy/prepare.sh makes .venv and is instant when nothing has changed.
# Useful variables:  PYTEST_ARGS='-k fall -x'   DEMO_ARGS='--source /dev/video0'

SHELL := /bin/bash
BIN := .venv/bin
CLIPS := ../shared/data

.PHONY: demo test test-aarch64 test-tflite-runtime check bench clips docs clean help

help:
	@echo "make demo    the whole product on this machine: sample footage, a broker, an alert, the page"
	@echo "make test    every test; installs what the tests need"
	@echo "make test-aarch64         the golden answers on an emulated Raspberry Pi 4 and 5, to the bit"
	@echo "make test-tflite-runtime  the golden answers on the older runtime, in a throw-away environment"
	@echo "make check   style, types and shell scripts"
	@echo "make bench   what a unit costs this machine, and beside what others would use (BENCH_ARGS='--json')"
	@echo "make clips   replay every real clip of $(CLIPS), scores to runs/clips"
	@echo "make docs    write docs/settings.md from device/settings.py"
	@echo "make clean   remove what these targets made, the environment included"

demo:
	@bash deploy/prepare.sh demo
	@$(BIN)/fallwatch demo $(DEMO_ARGS)

test:
	@bash deploy/prepare.sh test
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# Slow, hence not part of test: everything is fetched at the first call (0.7 GB under .aarch64) and emulated.
test-aarch64:
	@bash deploy/prepare.sh demo
	@bash deploy/aarch64.sh

test-tflite-runtime:
	@bash deploy/tflite_runtime.sh

check:
	@bash deploy/prepare.sh test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if command -v shellcheck >/dev/null; then \
	    echo "shellcheck -x deploy/*.sh .ci/run"; shellcheck -x deploy/*.sh .ci/run; \
	else echo "NOT CHECKED: the shell scripts, because shellcheck is not installed (apt-get install shellcheck)"; fi

bench:
	@bash deploy/prepare.sh test
	@$(BIN)/fallwatch bench $(BENCH_ARGS)
	@$(BIN)/python -m deploy.bench

clips:
	@bash deploy/prepare.sh demo
	@find $(CLIPS)/train $(CLIPS)/dev -name '*.mp4' -print0 | sort -z | \
	    xargs -0 $(BIN)/fallwatch replay --jsonl --scores runs/clips

docs:
	@bash deploy/prepare.sh demo
	@$(BIN)/python -m device.settings_file --docs

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .aarch64
	find device training quantize deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +

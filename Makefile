# Each target does its own set-up: deploy/prepare.sh makes .venv and is instant when nothing has changed.
# Useful variables:  PYTEST_ARGS='-k fall -x'   DEMO_ARGS='--source /dev/video0'

SHELL := /bin/bash
BIN := .venv/bin
CLIPS := ../shared/data

.PHONY: demo test check bench clips docs clean help

help:
	@echo "make demo    the whole product on this machine: sample footage, a broker, an alert, the page"
	@echo "make test    every test; installs what the tests need"
	@echo "make check   style, types and shell scripts"
	@echo "make bench   milliseconds per step, and what one unit costs this machine"
	@echo "make clips   replay every real clip of $(CLIPS), scores to runs/clips"
	@echo "make docs    write docs/settings.md from device/settings.py"
	@echo "make clean   remove what these targets made, the environment included"

demo:
	@bash deploy/prepare.sh demo
	@$(BIN)/fallwatch demo $(DEMO_ARGS)

test:
	@bash deploy/prepare.sh test
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

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
	@$(BIN)/python -m quantize.bench
	@$(BIN)/python -m deploy.bench

clips:
	@bash deploy/prepare.sh demo
	@find $(CLIPS)/train $(CLIPS)/dev -name '*.mp4' -print0 | sort -z | \
	    xargs -0 $(BIN)/fallwatch replay --jsonl --scores runs/clips

docs:
	@bash deploy/prepare.sh demo
	@$(BIN)/python -m device.settings_file --docs

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find device training quantize deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +

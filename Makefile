# Two commands matter: `make run` and `make test`. Each does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE ?= 1

.PHONY: run test check fix bench soak clean lock
.DELETE_ON_ERROR:

run: $(VENV)/.run
	@exec $(BIN)/python manage.py demo

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -q -rs -n 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/python -m tests.check

fix: $(VENV)/.dev
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

bench: $(VENV)/.dev
	@$(BIN)/python -m bench $(ONLY)

soak: $(VENV)/.dev
	@$(BIN)/python -m tests.resilience soak

clean:
	@rm -rf .demo

lock: $(VENV)/.dev
	@$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" -q requirements.in -o requirements.txt
	@$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" -q -c requirements.txt \
	  requirements-dev.in -o requirements-dev.txt

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Keydesk needs Python 3.11 or newer; say which with: make PYTHON=python3.12 run"; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
	  || { rm -rf $(VENV); echo "This Python cannot make virtual environments; install its venv package (Debian: apt-get install python3-venv)."; exit 1; }

$(VENV)/.run: requirements.txt | $(VENV)/bin/python
	@echo "Setting up (once) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt | $(VENV)/bin/python
	@echo "Setting up (once) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.run

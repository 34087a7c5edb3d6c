# `make demo` runs the main job on a small network, `make test` the tests, `make lint` the linters.
# Each sets everything up by itself in .venv: needs python3 (3.11 or newer) with venv, make and git; no root.
PYTHON ?= python3
DATA ?=
OUT ?= demo-out
BIN := .venv/bin

.PHONY: demo test lint clean

demo: .venv/.installed
	rm -rf $(OUT)
	$(BIN)/python examples/digits/data.py build/digits
	$(BIN)/galen search examples/digits/digits.onnx -o $(OUT) \
	  --data build/digits/search.npz --train-data build/digits/train.npz --test-data build/digits/test.npz \
	  --target cortex-a72 --agent joint --max-latency 35% --episodes 60 --finetune-epochs 5 --seed 0

# Real networks and images are not part of the repository: DATA=dir names their folder, else their tests are skipped.
test: .venv/.installed
	$(BIN)/pytest $(if $(DATA),--data=$(DATA))

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p galen

clean:
	rm -rf .venv build dist galen.egg-info $(OUT)

.venv/.installed: pyproject.toml setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

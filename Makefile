# Two commands for a newcomer: `make quickstart` and `make test`. Each makes its own virtual environment first.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin

.PHONY: quickstart test check soak teachers study benchmarks fashion-mnist clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[deploy,chip,report,dev]"
	touch $@

fashion-mnist: $(VENV)/.installed
	$(BIN)/python scripts/get_fashion_mnist.py

quickstart: fashion-mnist  ## a small study of two teachers and six methods, and its report
	$(BIN)/alambic study run studies/quickstart/study.toml

study: fashion-mnist  ## the longer study: three teachers, two students
	$(BIN)/alambic study run studies/quickstart/longer.toml

teachers: fashion-mnist  ## train again the teachers that come with the repository (those whose weights are removed)
	$(BIN)/alambic teachers train studies/teachers/fashion-mnist.toml
	@if [ -d "$$ALAMBIC_DATA/cifar100" ]; then $(BIN)/alambic teachers train studies/cifar100-explore/teachers.toml; \
	else echo "CIFAR-100's teacher is left out: set ALAMBIC_DATA to a folder that holds cifar100/*.parquet"; fi

check: $(VENV)/.installed  ## the fast tier: lint, types, unit and contract tests, under five minutes
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest tests/unit tests/contract -m "not slow" -n 2

test: fashion-mnist  ## everything
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest tests -n 2

benchmarks: fashion-mnist  ## ratios of speed and memory, into benchmarks/RESULTS.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/run_all.py

soak: $(VENV)/.installed  ## 300 random networks through the deployment chain, 50 kills, 500 cells in one study
	$(BIN)/python scripts/soak_deploy.py --count 300 --out benchmarks/deploy_soak.json
	rm -f docs/faults.jsonl
	ALAMBIC_FAULTS=docs/faults.jsonl ALAMBIC_KILLS=50 ALAMBIC_SOAK_CELLS=500 $(BIN)/pytest --timeout 7200 \
		tests/e2e/test_faults.py tests/e2e/test_faults_files.py tests/e2e/test_soak.py
	$(BIN)/python scripts/faults_table.py

clean:
	rm -rf $(VENV) runs

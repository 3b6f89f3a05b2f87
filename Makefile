PYTHON = .venv/bin/python

.PHONY: install test test-all lint docs bench claims
install:
	python3 -m venv .venv
	.venv/bin/pip install -q -e '.[dev]'
test:
	.venv/bin/pytest
test-all:
	.venv/bin/pytest -m ''
lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
docs:
	$(PYTHON) -m ipse.papers.page docs/papers.html
	$(PYTHON) -m ipse.claims
	.venv/bin/mkdocs build --strict -q
bench:
	.venv/bin/pip install -q -e '.[bench]'
	$(PYTHON) -m benchmarks
claims:
	for key in $$($(PYTHON) -m ipse.claims --list); do .venv/bin/ipse reproduce $$key || exit; done
	$(PYTHON) -m ipse.claims

# Everything starts here; `make` alone lists what there is. Needs Python 3.11, make and a C compiler.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEVICE_CODE := $(wildcard boot.py main.py) lib
# of tests, three for two processors: many wait for a board's time to pass. Empty for one process, which a debugger needs
PROCESSES ?= -n $(or $(shell nproc 2>/dev/null | awk '{print int($$1 * 1.5)}'),2)
TEST_MODULES := tests:tests/kit:tests/campaigns:tests/units/device:lib
# what `make test` leaves out: it takes long and adds little, or asks the real clock and so has to run alone
QUICK := not whole and not real_time
REST := (whole or sampled) and not real_time
# they start thousands of others: what Python compiles is kept, even where the shell says no, but not among the sources
KEEP_COMPILED := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX='$(CURDIR)/build/pycache'
PYTEST = $(KEEP_COMPILED) $(BIN)/python -m pytest
MEASURED = $(KEEP_COMPILED) $(BIN)/python -m coverage run -m pytest
# the service that the demo tells of: gadgetkeeper or dms
CLOUD ?= gadgetkeeper
# options for pytest or the bench: make test ARGS="-k slots -x", make bench ARGS="--json bench.json"
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup picture test test-all test-rest lint format demo bench bench-server memory wear power exchanges fuzz flash deploy console test-device clean distclean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## make .venv with everything that the other targets need
	@echo "ready: $(BIN)/thermokeeper --help"

demo: $(READY) ## a thermometer's life: activation, readings, an update from version 1 to 2; CLOUD=dms: the other service
	@$(BIN)/python -m thermokeeper.demo '$(CLOUD)'

picture: $(READY) ## record the demo as README's picture, docs/pictures/demo.svg
	@$(BIN)/python -m thermokeeper.demo '$(CLOUD)' --picture docs/pictures/demo.svg

test: lint ## lint, then the tests that protect each thing, on CPython and MicroPython
	@$(PYTEST) $(PROCESSES) -m "$(QUICK)" $(ARGS)

test-all: lint ## all tests, the campaigns whole, those of the real clock one at a time; with coverage of lib/ and tools/
	@rm -rf build/coverage && mkdir -p build/coverage
	@status=0; \
	WHOLE=1 $(MEASURED) $(PROCESSES) -m "not real_time" $(ARGS) || status=1; \
	$(MEASURED) -m real_time $(ARGS) || status=1; \
	$(BIN)/python tests/coverage_table.py || status=1; \
	exit $$status

test-rest: $(READY) ## what `make test` leaves out of `make test-all`, without coverage
	@status=0; \
	WHOLE=1 $(PYTEST) $(PROCESSES) -m "$(REST)" $(ARGS) || status=1; \
	$(PYTEST) -m real_time $(ARGS) || status=1; \
	exit $$status

lint: $(READY) ## ruff, and mypy for host code and for device code
	@status=0; \
	$(BIN)/ruff check --quiet || status=1; \
	$(BIN)/ruff format --check --quiet || { echo "not formatted as ruff does it: run make format"; status=1; }; \
	$(BIN)/mypy --no-error-summary --config-file tests/mypy_device.ini $(DEVICE_CODE) & device=$$!; \
	$(BIN)/mypy --no-error-summary || status=1; \
	wait $$device || status=1; \
	[ $$status -eq 0 ] && echo "lint: nothing to say"; exit $$status

format: $(READY) ## let ruff format the code and mend what it can
	@$(BIN)/ruff check --quiet --fix; $(BIN)/ruff format

bench: $(READY) ## speed and heap of an installation, beside a bare copying loop
	@$(BIN)/python -m thermokeeper.bench $(ARGS)

bench-server: $(READY) ## the server under load, beside gooseBit and a bare route, in turns; a quarter of an hour
	@PYTHONPATH=$(TEST_MODULES) $(BIN)/python -m load $(ARGS)

memory: $(READY) ## count what a board has in its heap, stage by stage, beside the budget
	@PYTHONPATH=$(TEST_MODULES) $(BIN)/python -m budget

wear: $(READY) ## count the erases of flash in a day of each situation of a board; some minutes
	@WHOLE=1 $(PYTEST) tests/campaigns/wear -s

power: $(READY) ## cut the power at every flash operation of a board's life, and count what each guard is worth
	@PYTHONPATH=$(TEST_MODULES) $(BIN)/python -m power $(ARGS)

exchanges: $(READY) ## harm each exchange of a board's life with its server, in every way, and count what came of it
	@PYTHONPATH=$(TEST_MODULES) $(BIN)/python -m exchanges

fuzz: $(READY) ## make calls to the server at random, by its own document, and judge the answers; a few minutes
	@PYTHONPATH=$(TEST_MODULES) $(BIN)/python -m fuzz $(ARGS)

# A board of your own: FIRMWARE is MicroPython's file for it (ESP32_GENERIC-OTA, v1.25 or later), SERVER where it
# activates. Without RELEASE one is made of lib/ and signed with bench-key.pem, which is made if it isn't there.
PORT ?=
SERIAL ?=
FIRMWARE ?= ESP32_GENERIC-OTA.bin
RELEASE ?=
SERVER ?= http://$(firstword $(shell hostname -I 2>/dev/null) 127.0.0.1):8210
WIFI ?=
FLASH_SIZE ?= 4MiB
ON_PORT = $(if $(PORT),--port $(PORT))
TOOL := $(BIN)/thermokeeper

flash: $(READY) ## make a board's image and write it: PORT=... SERIAL=... [FIRMWARE= RELEASE= SERVER= WIFI=SSID:KEY]
	@[ -n "$(SERIAL)" ] || { echo "make flash: give the board's serial number, SERIAL=THERM00000000000001" >&2; exit 1; }
	@[ -f "$(FIRMWARE)" ] || { \
	  echo "make flash: FIRMWARE=$(FIRMWARE) isn't there; download MicroPython's ESP32_GENERIC-OTA .bin" >&2; exit 1; }
	@mkdir -p build
	@release="$(RELEASE)"; \
	if [ -z "$$release" ]; then \
	  release=build/bench.tkr; \
	  { [ -f bench-key.pem ] || $(TOOL) release keygen --out bench-key.pem; } && \
	  $(TOOL) release build --app "$(FIRMWARE)" --product thermometer --version 0.0.0-bench \
	    --trust bench-key.pub.pem --out $$release && \
	  $(TOOL) release sign --key bench-key.pem $$release || exit 1; \
	fi; \
	$(TOOL) image build --firmware "$(FIRMWARE)" --release "$$release" --serial "$(SERIAL)" --server "$(SERVER)" \
	  $(if $(filter http://%,$(SERVER)),--plain-http) $(if $(WIFI),--wifi "$(WIFI)") --flash-size $(FLASH_SIZE) \
	  --out "build/$(SERIAL).flash.bin" && \
	$(TOOL) flash $(ON_PORT) "build/$(SERIAL).flash.bin"

deploy: $(READY) ## bring changed files to the board and run them: PORT=... (ARGS=--clear takes them off)
	@$(TOOL) deploy $(ON_PORT) $(ARGS)

console: $(READY) ## a terminal to the board: PORT=...
	@$(TOOL) console $(ON_PORT) $(ARGS)

test-device: $(READY) ## tests on the board on a port, across resets: PORT=/dev/ttyUSB0, socket://host:port, ...
	@[ -n "$(PORT)" ] || { echo "make test-device: say where the board is, PORT=/dev/ttyUSB0" >&2; exit 1; }
	@$(BIN)/python tests/device/run.py --port $(PORT) $(ARGS)

clean: ## remove what the targets made, except .venv
	@rm -rf build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find boot.py main.py lib tests tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## clean, and remove .venv too
	@rm -rf $(VENV) *.egg-info

# One recipe makes the whole environment, so a parallel make can't start half of it. A stamp that is older than
# pyproject.toml brings it up to date.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
# the packages of one of pyproject.toml's dependency groups
GROUP = $$($(BIN)/python -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["$(1)"])')
FAILED = { echo "make setup: $(1)" >&2; exit 1; }

$(READY): pyproject.toml tests/device_typings.py tests/campaigns/budget/install.py
	@rm -f $@
	@python=; \
	for name in $(or $(PYTHON),python3.11 python3.12 python3.13 python3.14 python3 python); do \
	  "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python=$$name && break; \
	done; \
	[ -n "$$python" ] || $(call FAILED,Python 3.11 or newer is needed; name one with make PYTHON=... if it has another name); \
	$(BIN)/python -c 'import pip' 2>/dev/null || { \
	  echo "setting up $(VENV): this takes a minute or two"; \
	  "$$python" -m venv --clear $(VENV) \
	    || $(call FAILED,no virtual environment could be made (Debian and Ubuntu: install python3-venv)); }
	@$(PIP) --editable '.[dev]' \
	  || $(call FAILED,packages could not be installed; pip says why above. With the network mended run make setup again)
	@$(PIP) --no-deps $(call GROUP,firmware-images) \
	  || $(call FAILED,the package with firmware images could not be installed; pip says why above)
	@$(BIN)/python tests/device_typings.py $(VENV)/typings \
	  || $(call FAILED,the type stubs for device code could not be installed; see above)
	@$(BIN)/python tests/campaigns/budget/install.py $(VENV)/counting \
	  || $(call FAILED,the MicroPython that counts memory could not be installed; npm says why above)
	@$(PYTEST) --collect-only --quiet >/dev/null || true # compiles what tests import; what is wrong, they say
	@touch $@

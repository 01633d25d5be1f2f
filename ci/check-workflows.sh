#!/bin/sh
# Checks the workflows of the code host: against their schema, and for holes.
#
# Needs Python with pip.
set -eu
cd "$(dirname "$0")/.."

venv=target/workflows
[ -x "$venv/bin/zizmor" ] || {
    ${PYTHON:-python3} -m venv "$venv"
    "$venv/bin/pip" install --quiet 'zizmor>=1.20,<2' 'check-jsonschema>=0.30,<1'
}
"$venv/bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml
"$venv/bin/zizmor" --quiet --offline .github/workflows

#!/bin/sh
# Checks the dependencies: their licences, where they come from, known vulnerabilities.
#
# Needs cargo-deny (`cargo install cargo-deny`), and access to the database of vulnerabilities;
# without that, `ci/check-dependencies.sh bans licenses sources` checks the rest.
set -eu
cd "$(dirname "$0")/.."
exec cargo deny --locked --workspace check "$@"

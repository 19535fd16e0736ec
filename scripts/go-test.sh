#!/usr/bin/env bash
# Copyright The gizmo Authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests of packages in a module's folder, with these flags of go test: scripts/go-test.sh FOLDER PACKAGES [FLAG]...
# In CI, one or two tests that fail are run once more, by themselves. If they pass then, they are named at the end as
# unsteady, and the exit code is 0. Data races, panics and packages that do not build fail at once.
set -euo pipefail
folder=$1 packages=$2
shift 2
top=$PWD
cd "$folder"
if [ "${CI:-}" != true ]; then
	# shellcheck disable=SC2086 # each is a word
	exec go test "$@" $packages
fi
unsteady=$(mktemp)
trap 'rm -f "$unsteady"' EXIT
gotestsum=$(go -C "$top/tools" tool -n gotestsum)
"$gotestsum" --format standard-quiet --hide-summary skipped --rerun-fails=1 --rerun-fails-max-failures=2 \
	--rerun-fails-abort-on-data-race --rerun-fails-report "$unsteady" --packages "$packages" -- "$@"
if [ -s "$unsteady" ]; then
	echo "UNSTEADY: each of these tests failed once and passed when it ran again; find out why:"
	cat "$unsteady"
fi

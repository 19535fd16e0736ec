#!/usr/bin/env bash
# Copyright The gizmo Authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds a release twice, the second time with nothing remembered and with other
# folders, time zone, language and file permissions, and compares the bytes.
#
#   scripts/test-release.sh [ARCH...]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- amd64

"$here/release.sh" "$work/first" "$@"
(
	umask 077
	mkdir -p "$work/a longer/folder"
	export TMPDIR="$work/a longer/folder" GOTMPDIR="$work/a longer/folder"
	export GOCACHE="$work/go-cache" XDG_CACHE_HOME="$work/gizmo-cache"
	export TZ=Pacific/Auckland LC_ALL=C.UTF-8 GOFLAGS=-mod=mod CPATH=/nowhere
	cd /
	"$here/release.sh" "$work/second" "$@"
)

diff -r "$work/first" "$work/second" || {
	echo "release: the same source gave other bytes" >&2
	exit 1
}
(cd "$work/first" && sha256sum --check --quiet SHA256SUMS)
for archive in "$work"/first/*.tar.gz; do
	mkdir "$work/unpacked"
	tar --extract --file="$archive" --directory="$work/unpacked"
	if grep -rlaF -e "$work" -e "${here%/scripts}" -e "${HOME:?}/" "$work/unpacked"; then
		echo "release: ${archive##*/} has names of this machine's folders in it" >&2
		exit 1
	fi
	rm -rf "$work/unpacked"
done

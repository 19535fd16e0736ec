#!/usr/bin/env bash
# Copyright The gizmo Authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds what a release consists of: for each architecture an archive with the
# program and a list of its parts, and the checksums of all that. The same
# source, Go and clang give the same bytes, wherever and whenever it is done.
#
#   scripts/release.sh FOLDER [ARCH...]
#
# The source is that of the files which git knows, as they are. It is copied
# first, so that nothing else gets into the release and nothing here changes.
#
# VERSION and SOURCE_DATE_EPOCH replace what git says. CLANG is the compiler.
set -euo pipefail

fail() {
	echo "release: $*" >&2
	exit 1
}

[ $# -ge 1 ] || fail "usage: scripts/release.sh FOLDER [ARCH...]"
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
archs=("$@")
[ $# -gt 0 ] || archs=(amd64 arm64)

cd "$(dirname "${BASH_SOURCE[0]}")/.."
git rev-parse --git-dir >/dev/null 2>&1 || fail "this is not a clone of the repository, and git has to say what belongs to the source"

version=${VERSION:-$(git describe --tags --always --dirty)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
release=false
if [ "$version" = "$(git describe --tags --exact-match 2>/dev/null || true)" ]; then
	release=true
fi

# One version of clang: another one gives other bytes.
CLANG=${CLANG:-clang-19}
command -v "$CLANG" >/dev/null || fail "$CLANG is needed: scripts/setup.sh build installs it, where the distribution has it"

# What could make a difference between two machines.
umask 022
export SOURCE_DATE_EPOCH CLANG
export LC_ALL=C TZ=UTC CGO_ENABLED=0 GOFLAGS='' GOEXPERIMENT='' GOAMD64=v1 GOARM64=v8.0 GOFIPS140=off GOWORK=off
unset CPATH C_INCLUDE_PATH CCC_OVERRIDE_OPTIONS NIX_CFLAGS_COMPILE GOOS GOARCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
src=$work/source
mkdir "$src"
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory="$src"

package=github.com/gizmo-ebpf/gizmo/internal/cli
ldflags="-s -w -X $package.version=$version -X $package.sourceTime=$SOURCE_DATE_EPOCH -X $package.release=$release"
libbpf=$(dpkg-query -W -f '${Version}' libbpf-dev 2>/dev/null || true)

rm -f "$out"/gizmo-*.tar.gz "$out"/gizmo-*.cdx.json "$out/SHA256SUMS"
for arch in "${archs[@]}"; do
	name=gizmo-$version-linux-$arch
	dir=$work/$name
	mkdir "$dir"
	(cd "$src" && go run ./build/gadgets -arch "$arch" -o catalog/objects gadgets)
	(cd "$src" && go run ./build/gadgets -arch "$arch" -o socket/objects socket/programs)
	(cd "$src" && GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "$ldflags" -o "$dir/gizmo" ./cmd/gizmo)
	cp -r "$src/LICENSE" "$src/LICENSES" "$src/README.md" "$src/CHANGELOG.md" "$dir"
	go -C "$src/tools" run ./sbom -binary "$dir/gizmo" -objects "gadgets=$src/catalog/objects,socket=$src/socket/objects" -version "$version" \
		-time "$SOURCE_DATE_EPOCH" -compiler "$("$CLANG" --version | head -n 1)" -libbpf "$libbpf" \
		-texts "$dir/LICENSES/modules.txt" -o "$out/$name.cdx.json"
	tar --create --directory="$work" --format=ustar --sort=name --mtime="@$SOURCE_DATE_EPOCH" \
		--owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX "$name" | gzip -9 --no-name >"$out/$name.tar.gz"
done
(cd "$out" && sha256sum gizmo-* >SHA256SUMS)

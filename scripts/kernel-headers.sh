#!/usr/bin/env bash
# Copyright The gizmo Authors
# SPDX-License-Identifier: Apache-2.0
#
# Makes a folder of kernel headers for programs of bcc, which compile at each start, if the running kernel has none: of the headers of
# another kernel that are installed. This is good enough for programs that read nothing of the kernel's own
# structures. Without any headers there is no folder.
#
#   scripts/kernel-headers.sh FOLDER
set -euo pipefail

folder=$1
rm -rf "$folder"
[ ! -e "/lib/modules/$(uname -r)/build" ] && [ ! -e /sys/kernel/kheaders.tar.xz ] || exit 0

# Distributions keep what all variants of a kernel have in common in a folder of its own.
for own in /usr/src/linux-headers-*; do
	[ -e "$own/include/generated/autoconf.h" ] || continue
	common=$(sed -n 's/^include //p' "$own/Makefile" | head -n 1)
	mkdir -p "$folder"
	if [ -e "$common" ]; then
		cp -rs "$(dirname "$common")/." "$folder"
	fi
	cp -rsf "$own/." "$folder"
	break
done

#!/usr/bin/env bash
# Copyright The gizmo Authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing on this machine, with apt-get, and mounts what is not
# mounted. It says what it installs, and what for. What is there is left as it
# is; with nothing to do it says nothing and takes no time.
#
#   scripts/setup.sh WHAT...
#
#   go      checks that Go is there (it is not installed)
#   build   clang, llvm-strip, libbpf's headers
#   release the one version of clang that releases are built with
#   test    clang 14, 16 and 19; gcc and the C library, for the race detector; g++, binutils and xz,
#           which make programs for tests; libraries that are traced; tshark and tcpdump, which the
#           tests compare with; node, which runs the script of flame graphs
#   neighbours  container runtimes and what they need, Prometheus and a registry of
#           images, for test/neighbours
#   vm      qemu and what unpacks a kernel, for test/vm
#   lint    clang-format, shellcheck
#   bench   the programs that gizmo is measured beside, gcc
#   mounts  tracefs and bpffs, for running gadgets; needs root
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The version that the project is built and formatted with, where the
# distribution has it.
llvm=19
oldest=14
# The compilers that the tests build gadgets of others with.
clangs=(14 16 19)

say() { echo "setup: $*" >&2; }

fail() {
	say "$*"
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif have sudo; then
		sudo "$@"
	else
		fail "root is needed to run: $*"
	fi
}

# have_versioned NAME: whether there is NAME or NAME-14 or newer.
have_versioned() {
	have "$1" && return
	local v
	for v in $(seq $oldest 40); do
		have "$1-$v" && return
	done
	return 1
}

missing=()
reasons=()

# need PACKAGE REASON: notes a package to install. A package NAME-19 gives way
# to NAME where the distribution does not have that version.
need() {
	case " ${missing[*]-} " in *" $1 "*) return 0 ;; esac
	missing+=("$1")
	reasons+=("$1 ($2)")
}

need_go() {
	local want out
	want=$(sed -n 's/^go //p' go.mod)
	have go || fail "Go $want or newer is needed, and there is none in PATH: see https://go.dev/dl"
	out=$(go list -m 2>&1) || fail "Go $want or newer is needed, this is $(go version): $out"
}

need_build() {
	have_versioned clang || need "clang-$llvm" "compiles gadgets"
	have_versioned llvm-strip || need "llvm-$llvm" "makes their objects small"
	[ -e /usr/include/bpf/bpf_helpers.h ] || [ -e /usr/local/include/bpf/bpf_helpers.h ] ||
		need libbpf-dev "headers for gadgets"
}

need_release() {
	have "clang-$llvm" || need "clang-$llvm" "compiles gadgets"
}

need_test() {
	local v
	for v in "${clangs[@]}"; do
		have "clang-$v" || need "clang-$v" "compiles the headers for the tests"
	done
	have gcc || need gcc "for the race detector, and compiles C for tests"
	have g++ || need g++ "compiles C++ for tests"
	have objcopy || need binutils "changes programs for tests"
	have xz || need xz-utils "compresses names of functions for tests"
	[ -e /usr/include/stdlib.h ] || need libc6-dev "for the race detector"
	have bpftool || [ -x /usr/sbin/bpftool ] || need bpftool "makes types of kernels for images in tests"
	have tshark || need tshark "reads files of packets in tests"
	have node || need nodejs "runs the script of flame graphs in tests"
	need_disk
	need_tls
	have tcpdump || [ -x /usr/sbin/tcpdump ] || need tcpdump "compiles expressions and reads files of packets in tests"
}

# The workloads of gadgets that observe disks and file systems make their own.
need_disk() {
	have mkfs.ext4 || [ -x /usr/sbin/mkfs.ext4 ] || need e2fsprogs "a disk for the tests"
}

# The libraries that the workload of trace_ssl uses. The packages of the tools need them, whatever name the
# distribution gives to theirs.
need_tls() {
	have openssl || need openssl "is traced in tests"
	have gnutls-cli || need gnutls-bin "is traced in tests"
	have certutil || need libnss3-tools "is traced in tests"
}

# On a machine with systemd the packages start their daemons. The tests use daemons of their own.
need_neighbours() {
	{ have dockerd && have docker; } || need docker.io "is a neighbour in tests"
	have containerd || need containerd "is a neighbour in tests"
	have podman || need podman "is a neighbour in tests"
	have conmon || need conmon "runs containers for podman"
	have runc || need runc "runs containers"
	have prometheus || need prometheus "is a neighbour in tests"
	have docker-registry || need docker-registry "is a neighbour in tests"
	have crun || need crun "runs containers"
	[ -x /usr/lib/podman/netavark ] || [ -x /usr/libexec/podman/netavark ] || need netavark "networks for podman"
	[ -d /usr/lib/cni ] || [ -d /opt/cni/bin ] || need containernetworking-plugins "networks for containerd"
	have ip || [ -x /sbin/ip ] || need iproute2 "networks of containers"
	have iptables || [ -x /usr/sbin/iptables ] || need iptables "networks of containers"
	busybox_is_static || need busybox-static "images of containers"
}

# A program that needs a loader names it near its beginning.
busybox_is_static() {
	[ -x /bin/busybox ] && ! head -c 4096 /bin/busybox | grep -qa ld-linux
}

need_vm() {
	have qemu-system-x86_64 || need qemu-system-x86 "runs another kernel"
	have depmod || [ -x /usr/sbin/depmod ] || need kmod "packs its modules"
	have xz || need xz-utils "unpacks kernels"
	need_disk
	need_tls
	# Without a kernel here, one is downloaded, of those that apt knows.
	if ! have_kernel && have apt-cache && ! apt-cache show linux-image-amd64 >/dev/null 2>&1; then
		as_root apt-get update -qq
	fi
}

have_kernel() {
	local image
	for image in /boot/vmlinuz-*; do
		[ -r "$image" ] && return
	done
	return 1
}

need_lint() {
	have "clang-format-$llvm" || have clang-format || need "clang-format-$llvm" "checks the format of C"
	have shellcheck || need shellcheck "checks scripts"
}

need_bench() {
	need_test
	have bpftrace || need bpftrace "is measured"
	have profile-bpfcc || [ -x /usr/sbin/profile-bpfcc ] || need bpfcc-tools "is measured"
	have perf || need linux-perf "is measured"
	have_headers || need linux-headers-amd64 "what is measured compiles with them"
	[ -x /usr/bin/python3 ] || need python3 "is a load"
	have opensnoop || [ -x /usr/sbin/opensnoop ] || need libbpf-tools "is measured"
	[ -e /usr/include/libelf.h ] || need libelf-dev "for what is measured"
}

# Of any kernel: scripts/kernel-headers.sh.
have_headers() {
	local folder
	for folder in "/lib/modules/$(uname -r)/build" /sys/kernel/kheaders.tar.xz /usr/src/linux-headers-*; do
		[ -e "$folder" ] && return
	done
	return 1
}

install_missing() {
	[ ${#missing[@]} -gt 0 ] || return 0
	have apt-get || fail "please install, by the names your distribution has for them: ${missing[*]%-"$llvm"}"
	local list
	list=$(printf '%s, ' "${reasons[@]}")
	say "installing ${list%, } with apt-get"
	local names=() name
	as_root apt-get update -qq
	for name in "${missing[@]}"; do
		if ! apt-cache show "$name" >/dev/null 2>&1; then
			name=${name%-"$llvm"}
		fi
		names+=("$name")
	done
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "${names[@]}" >/dev/null
}

# mount_at TYPE NAME DIR: mounts a pseudo file system, that stat calls NAME,
# unless it is there.
mount_at() {
	[ "$(stat -f -c %T "$3" 2>/dev/null)" != "$2" ] || return 0
	as_root mount -t "$1" "$1" "$3" || say "$1 could not be mounted at $3: gadgets may not run"
}

mounts() {
	mount_at tracefs tracefs /sys/kernel/tracing
	mount_at bpf bpf_fs /sys/fs/bpf
}

for what in "$@"; do
	case $what in
	go | build | release | test | neighbours | vm | lint | bench) "need_$what" ;;
	mounts) ;;
	*) fail "nothing is known about $what: use go, build, release, test, neighbours, vm, lint, bench, mounts" ;;
	esac
done
install_missing
case " $* " in *" mounts "*) mounts ;; esac

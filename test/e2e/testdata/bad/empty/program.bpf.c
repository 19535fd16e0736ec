// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* No program, no data source. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

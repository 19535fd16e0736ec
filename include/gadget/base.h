/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_BASE_H
#define __GADGET_BASE_H

/*
 * The types that the other headers build on, from where the gadget has them.
 *
 * Most gadgets take the kernel's own from <vmlinux.h>.  Those that look at nothing
 * but packets may take those of user space from <linux/types.h> and its like; then
 * they have to include them before the first of our headers, since the two don't go
 * together.  Of our headers they have these: bits.bpf.h, buffer.h, filter.h without
 * what asks for the current process, fnv1a.h, macros.h, maps.bpf.h, mntns_filter.h,
 * packetfilter.h, sockets-map.h with GADGET_TYPE_NETWORKING, and types.h.
 */
#if defined(_LINUX_TYPES_H) && !defined(__VMLINUX_H__)
#define __GADGET_USER_TYPES
#include <stdbool.h>
#include <linux/bpf.h>
#else
#include <vmlinux.h>
#endif

/*
 * Sources in the wild take libbpf's macros (BPF_KPROBE, BPF_CORE_READ, bpf_ntohs) from
 * whichever of our headers they include, so each of them brings all four.
 */
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#endif /* __GADGET_BASE_H */

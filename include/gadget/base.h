/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_BASE_H
#define __GADGET_BASE_H

/*
 * The types that the other headers need: the kernel's or those of user space.
 *
 * Most gadgets use the kernel's types from <vmlinux.h>.  Gadgets that only look at
 * packets may use the types of user space from <linux/types.h> and similar headers;
 * they have to include these before the first of gizmo's headers, because the two sets of
 * types conflict.  They can use these headers: bits.bpf.h, buffer.h, filter.h without
 * the functions for the current process, fnv1a.h, macros.h, maps.bpf.h, mntns_filter.h,
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

/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_COMPAT_USDT_BPF_H
#define __GADGET_COMPAT_USDT_BPF_H

/*
 * libbpf's <bpf/usdt.bpf.h> with gizmo's <bpf/bpf_tracing.h>, and its additions
 * since version 1.1, where the system's header lacks them.
 */

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include_next <bpf/usdt.bpf.h>
#include <bpf/libbpf_version.h>

/*
 * bpf_usdt_arg_size: how many bytes an argument has, or a negative errno.  (1.6)
 * @arg_num: which one, from 0
 */
#if LIBBPF_MAJOR_VERSION < 1 || \
	(LIBBPF_MAJOR_VERSION == 1 && LIBBPF_MINOR_VERSION < 6)
static __always_inline int bpf_usdt_arg_size(struct pt_regs *ctx, __u64 arg_num)
{
	int id = __bpf_usdt_spec_id(ctx);
	struct __bpf_usdt_spec *spec;

	if (id < 0)
		return -ESRCH;
	spec = bpf_map_lookup_elem(&__bpf_usdt_specs, &id);
	if (!spec)
		return -ESRCH;
	if (arg_num >= BPF_USDT_MAX_ARG_CNT)
		return -ENOENT;
	barrier_var(arg_num); /* the verifier needs this check by itself */
	if (arg_num >= (__u64)spec->arg_cnt)
		return -ENOENT;
	return (__u32)(64 - spec->args[arg_num].arg_bitshift) / 8;
}
#endif

#endif /* __GADGET_COMPAT_USDT_BPF_H */

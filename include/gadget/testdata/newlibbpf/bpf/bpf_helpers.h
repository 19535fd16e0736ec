/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The system's header with the macros of newer versions, which differ from gizmo's. */
#ifndef __TESTDATA_BPF_HELPERS_H
#define __TESTDATA_BPF_HELPERS_H

#include_next <bpf/bpf_helpers.h>

struct bpf_iter_num;

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start,
			    int end) __weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

#define __kptr_untrusted     /* here */
#define __percpu_kptr	     /* here */
#define __uptr		     /* here */
#define __arg_ctx	     /* here */
#define __arg_nonnull	     /* here */
#define __arg_nullable	     /* here */
#define __arg_trusted	     /* here */
#define __arg_untrusted	     /* here */
#define __arg_arena	     /* here */
#define __ulong(name, val)   /* here */
#define likely(x)	     (x)
#define unlikely(x)	     (x)
#define bpf_ksym_exists(sym) 1
#define bpf_for(...)	     1
#define bpf_repeat(...)	     1
#define bpf_for_each(...)    1

#endif

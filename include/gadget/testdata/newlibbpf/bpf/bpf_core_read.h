/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __TESTDATA_BPF_CORE_READ_H
#define __TESTDATA_BPF_CORE_READ_H

#include "bpf_helpers.h"
#include_next <bpf/bpf_core_read.h>

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

#define bpf_core_cast(...)	     1
#define BPF_CORE_WRITE_BITFIELD(...) 1

#endif

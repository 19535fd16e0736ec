// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The fixture user with room for few descriptions of arguments. */
#define BPF_USDT_MAX_SPEC_CNT 2

#include "../user/program.bpf.c"

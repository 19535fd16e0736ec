// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#pragma once

#include "http_types.h"

#define MAX_SYSCALL 16

struct httpevent {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	enum http_kind kind_raw;
	__u32 sock_fd;
	__u64 socket_inode;
	char syscall[MAX_SYSCALL];
	char first_line[LINE_MAX_LEN];
};

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#ifndef HTTP_TYPES_H
#define HTTP_TYPES_H

#define LINE_MAX_LEN 128
#define PEEK	     8

enum http_kind {
	HTTP_REQUEST = 1,
	HTTP_RESPONSE = 2,
};

struct io_args {
	__u32 fd;
	__u64 buf;
	__u64 len;
};

#endif

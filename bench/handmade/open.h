/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The gizmo Authors */
#ifndef HANDMADE_OPEN_H
#define HANDMADE_OPEN_H

/* The record that the two halves of the program share. */
struct open_event {
	__u64 timestamp;
	__u64 mntns_id;
	char comm[16];
	char pcomm[16];
	__u32 pid, tid, uid, gid, ppid, ptid;
	__u32 error, fd, flags, mode;
	char name[512];
};

/* The settings, which are fixed before the program is loaded. */
struct settings {
	__u32 pid;   /* of the process whose events are wanted; 0: all */
	__u32 flags; /* for bpf_ringbuf_submit() */
};

#endif

/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_TYPES_H
#define __GADGET_TYPES_H

/*
 * Types with a meaning.  gizmo shows the meaning of such a field, in a separate
 * field X if the original is called X_raw: see the enriched types in
 * the guide for gadget authors.  For the compiler they are plain numbers, chars
 * and structs.
 */

#include <gadget/base.h>

/* An enumerator in a recent vmlinux.h, a macro of the kernel before. */
#ifndef TASK_COMM_LEN
#define TASK_COMM_LEN 16
#endif

/*
 * Containers are found by one of these; a struct has at most one of each.
 */
typedef __u64 gadget_mntns_id; /* inode of a mount namespace */
typedef __u32 gadget_netns_id; /* inode of a network namespace */

/*
 * Set in a gadget_syscall: the number is that of a 32-bit program on a 64-bit
 * kernel, where most calls have other numbers.
 */
#define GADGET_SYSCALL_COMPAT (1ULL << 32)

/* Numbers that have a name, or a form that people read more easily. */
typedef __u64 gadget_timestamp;	   /* of bpf_ktime_get_boot_ns() */
typedef __u32 gadget_signal;	   /* 9: SIGKILL */
typedef __u32 gadget_errno;	   /* 2: ENOENT; positive */
typedef __u64 gadget_syscall;	   /* number on the traced architecture */
typedef __u32 gadget_file_mode;	   /* as in st_mode: kind and permissions */
typedef __u32 gadget_file_flags;   /* as given to open(2): O_RDONLY, ... */
typedef __u64 gadget_bytes;	   /* an amount of memory */
typedef __u64 gadget_duration;	   /* nanoseconds */
typedef __u32 gadget_kernel_stack; /* id of a stack in ig_kstack */
typedef __u8 gadget_packet_type;   /* as skb->pkt_type: 4 is outgoing */
typedef __u16 gadget_link_type;	   /* ARPHRD_ of the interface of a packet */

/* Processes, as the initial pid and user namespaces number them. */
typedef __u32 gadget_pid;  /* process: the kernel's tgid */
typedef __u32 gadget_tid;  /* thread: the kernel's pid */
typedef __u32 gadget_ppid; /* of the parent */
typedef __u32 gadget_ptid;
typedef __u32 gadget_uid;
typedef __u32 gadget_gid;

/* One char of a name: gadget_comm comm[TASK_COMM_LEN]. */
typedef char gadget_comm;
typedef char gadget_pcomm;

/* Metrics: each type says how the values of one key are merged over time. */
typedef __u32 gadget_counter__u32; /* added up */
typedef __u64 gadget_counter__u64;
typedef __u32 gadget_gauge__u32; /* the last one counts */
typedef __u64 gadget_gauge__u64;
/* An array of slots: slot i counts values in [2^i, 2^(i+1)). */
typedef __u32 gadget_histogram_slot__u32;
typedef __u64 gadget_histogram_slot__u64;

/*
 * A second spelling of a member, next to the first in an anonymous union:
 *
 *	union { __u16 proto; __gadget_alias_u16 proto_raw; };
 *
 * Code may use either.  Loaders leave out a member whose type is a typedef that
 * begins with "__gadget_alias_", so that BTF names each field exactly once; a
 * typedef says so on kernels and to tools that don't know BTF's tags.
 */
typedef __u16 __gadget_alias_u16;
/* Less aligned than it would be by itself, or it would change the layout. */
typedef unsigned __int128 __gadget_alias_u128 __attribute__((aligned(4)));

/* An address of either family, in network byte order. */
union gadget_ip_addr_t {
	__u8 v6[16];
	__u32 v4;
	__gadget_alias_u128 v6_raw;
};

/* An IP address.  Zero the struct first: it ends in padding. */
struct gadget_l3endpoint_t {
	union gadget_ip_addr_t addr_raw;
	__u8 version; /* 4 or 6 */
};

/*
 * An IP address and a port.  Zero the struct first: it ends in padding.
 *
 * The protocol is the field proto. Some loaders add a field proto with the protocol's
 * name, and gadgets for them call the number proto_raw: for a source that uses only that
 * name, gizmo defines GADGET_PROTO_RAW and adds the field.
 */
struct gadget_l4endpoint_t {
	union gadget_ip_addr_t addr_raw;
	__u16 port; /* host byte order */
	union {
#ifdef GADGET_PROTO_RAW
		__u16 proto_raw;
		__gadget_alias_u16 proto;
#else
		__u16 proto; /* IP protocol number: IPPROTO_TCP, ... */
		__gadget_alias_u16 proto_raw;
#endif
	};
	__u8 version; /* 4 or 6 */
};

/*
 * A user stack, and which executable it belongs to, so that it can be symbolised
 * after the process is gone.  gadget_get_user_stack() (user_stack_map.h) fills
 * it; all zero means that there is none.
 */
struct gadget_user_stack {
	/* The executable: device, inode and time of its last change. */
	__u32 major;
	__u32 minor;
	__u64 inode;
	__u64 mtime_sec;
	__u32 mtime_nsec;

	__u32 base_addr_hash; /* of the addresses that it is mapped to */
	__u32 stack_id;	      /* in ig_ustack */

	/* The process in the initial pid namespace and in the one below it. */
	__u32 tgid_level0;
	__u32 pid_level0;
	__u32 pidns_level0;
	__u32 pid_level1;
	__u32 pidns_level1;

	__u64 otel_correlation_id;
	__u64 boot_timestamp;
};

struct gadget_creds {
	gadget_uid uid;
	gadget_gid gid;
};

struct gadget_parent {
	gadget_pcomm comm[TASK_COMM_LEN];
	gadget_ppid pid;
	gadget_ptid tid;
};

/* The process that caused an event.  Filled by gadget_process_populate() (common.h); no padding. */
struct gadget_process {
	gadget_comm comm[TASK_COMM_LEN];
	gadget_pid pid;
	gadget_tid tid;
	gadget_mntns_id mntns_id;
	struct gadget_creds creds;
	struct gadget_parent parent;
};

#endif /* __GADGET_TYPES_H */

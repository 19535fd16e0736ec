/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_CONSTANTS_H
#define __GADGET_CONSTANTS_H

/*
 * Macros of the kernel's headers, which BTF, and so vmlinux.h, does not have.  Only macros
 * that are the same on all architectures.  No other header includes this one, so a
 * gadget may define them itself.
 */

/* Errors. */
#define EPERM	     1
#define ENOENT	     2
#define EINTR	     4
#define EBADF	     9
#define EAGAIN	     11
#define EFAULT	     14
#define EEXIST	     17
#define EINVAL	     22
#define ECONNABORTED 103
#define EISCONN	     106
#define ECONNREFUSED 111
#define EALREADY     114
#define EINPROGRESS  115
/* Of the kernel's own code, never seen by a process. */
#define ERESTARTSYS	      512
#define ERESTART_RESTARTBLOCK 516
#define EIOCBQUEUED	      529

/* Flags of open(). */
#define O_ACCMODE   00000003
#define O_WRONLY    00000001
#define O_RDWR	    00000002
#define O_CREAT	    00000100
#define O_EXCL	    00000200
#define O_TRUNC	    00001000
#define O_APPEND    00002000
#define O_CLOEXEC   02000000
#define __O_TMPFILE 020000000

/* Modes of files. */
#define S_IFMT	  0170000
#define S_IFSOCK  0140000
#define S_IFLNK	  0120000
#define S_IFREG	  0100000
#define S_IFBLK	  0060000
#define S_IFDIR	  0040000
#define S_IFCHR	  0020000
#define S_IFIFO	  0010000
#define S_IALLUGO 0007777
#define NAME_MAX  255

/* Families of sockets. */
#define AF_UNIX	   1
#define AF_INET	   2
#define AF_INET6   10
#define AF_NETLINK 16
#define AF_PACKET  17
#define IN6_LEN_MIN \
	24 /* of an address without the scope, as older programs have it */

/* task_struct.flags */
#define PF_IO_WORKER 0x00000010
#define PF_KTHREAD   0x00200000

#endif /* __GADGET_CONSTANTS_H */

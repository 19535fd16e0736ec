/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#pragma once

/* mount(2) flags that are worth a name in the output; the rest shows as a number. */
enum mount_flags_set {
	RDONLY = 0x1,
	NOSUID = 0x2,
	NODEV = 0x4,
	NOEXEC = 0x8,
	SYNCHRONOUS = 0x10,
	REMOUNT = 0x20,
	NOATIME = 0x400,
	BIND = 0x1000,
	MOVE = 0x2000,
	REC = 0x4000,
	UNBINDABLE = 0x20000,
	PRIVATE = 0x40000,
	SLAVE = 0x80000,
	SHARED = 0x100000,
};

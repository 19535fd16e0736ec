// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

// Package include carries the C headers that gadgets are compiled against, so
// that one binary can build gadgets anywhere.
//
//	gadget/              the API: #include <gadget/buffer.h>
//	compat/bpf/          additions that the system's libbpf may lack: #include <bpf/bpf_helpers.h>
//	compat/gnu/          headers that the system's C library may lack: #include <sys/socket.h>
//	vmlinux/ARCH/        the kernel's types: #include <vmlinux.h>
//
// libbpf's headers, <bpf/bpf_helpers.h> and so on, come from the system. Those in compat/bpf include
// the next header of the same name in the path, and add what it lacks.
package include

import "embed"

// FS holds the headers under the paths that they have in this folder:
// "gadget/buffer.h", "vmlinux/amd64/vmlinux.h". Written to a folder DIR, they
// are found with -IDIR, -IDIR/compat and -IDIR/vmlinux/ARCH.
//
//go:embed gadget/*.h compat/*/*.h vmlinux/*/*.h
var FS embed.FS

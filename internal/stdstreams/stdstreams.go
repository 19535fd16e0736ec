// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package stdstreams finds out whether the program was started without a standard output. The Go runtime opens /dev/null in place
// of a closed standard stream before any Go code runs, and that file looks like one that the user chose. So the
// program has to check first: it begins at begin, if it is linked with
//
//	-ldflags "-E github.com/gizmo-ebpf/gizmo/internal/stdstreams.begin"
//
// as the Makefile does for amd64 and arm64. If it is linked in another way, it cannot find out.
package stdstreams

import "golang.org/x/sys/unix"

// output is the kernel's answer about the standard output. It is written once, by begin.
var output int64

// OutputClosed reports whether there was no standard output when the program began.
func OutputClosed() bool { return output == -int64(unix.EBADF) }

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package stdstreams knows whether the program was started without a standard output. The Go runtime opens /dev/null in place
// of a standard stream that is closed, before any Go code runs, and nothing tells that file from one that was meant. So the
// program has to look first: where it begins is begin, if it is linked with
//
//	-ldflags "-E github.com/gizmo-ebpf/gizmo/internal/stdstreams.begin"
//
// as the Makefile does for amd64 and arm64. Linked otherwise, a program does not know.
package stdstreams

import "golang.org/x/sys/unix"

// output is what the kernel answered about the standard output. It is written once, by begin.
var output int64

// OutputClosed reports whether there was no standard output when the program began.
func OutputClosed() bool { return output == -int64(unix.EBADF) }

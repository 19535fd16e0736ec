// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/container/starts"
	"github.com/gizmo-ebpf/gizmo/internal/privileges"
	"github.com/gizmo-ebpf/gizmo/internal/seccomp"
)

// Guard runs the process that holds containers up until gizmo knows them. It gives up the privileges that it no longer needs
// once it watches.
func Guard() error {
	return starts.Serve(func() {
		// To find the working folders of other users' processes, and the folders of their containers. The guard works
		// without them, too, and has no place for messages.
		_ = privileges.Drop(unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH)
		_ = privileges.NoNewPrivileges()
		_ = seccomp.Restrict(seccomp.Needs{HoldFiles: true})
	})
}

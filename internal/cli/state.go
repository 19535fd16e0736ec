// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"runtime"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/cli/account"
	"github.com/gizmo-ebpf/gizmo/internal/cli/stdio"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/internal/uname"
	"github.com/gizmo-ebpf/gizmo/run"
)

// atWork says what the program is doing, for printState.
type atWork struct {
	name string
	run  *run.Run
}

// printState writes the facts that a bug report about a program that hangs or is slow needs.
func (a *app) printState() {
	fmt.Fprintf(a.Err, "gizmo: state: version %s, %s, %s/%s, kernel %s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, uname.Release())
	if work := a.work.Load(); work != nil {
		fmt.Fprintf(a.Err, "gizmo: state: %s, for %v\n", plain.Text(work.name), time.Since(a.began).Round(time.Millisecond))
		account.Ledger(a.Err, work.run.Ledger(), true)
	}
	fmt.Fprintf(a.Err, "gizmo: state: %d goroutines\n\n%s", runtime.NumGoroutine(), stdio.Stacks())
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package account

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// Stats writes the kernel's counts for each program.
func Stats(w io.Writer, stats []gadget.ProgramStats) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "PROGRAM\tHOOK\tRUNS\tTIME\tNS/RUN\tINSTRUCTIONS\tVERIFIED\tMISSED\t")
	for _, s := range stats {
		each := time.Duration(0)
		if s.Runs > 0 {
			each = s.Time / time.Duration(s.Runs)
		}
		hook := plain.Text(s.Section)
		if !s.Attached {
			hook += " (not needed)"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%v\t%d\t%d\t%d\t%d\t\n", plain.Text(s.Name), hook, s.Runs, s.Time, each.Nanoseconds(), s.Instructions, s.Verified, s.Missed)
	}
	return t.Flush()
}

// Missed reports runs of programs that the kernel skipped. They are not in the ledger, because it is
// unknown which of them would have been events.
func Missed(w io.Writer, stats []gadget.ProgramStats) {
	for _, s := range stats {
		if s.Missed > 0 {
			fmt.Fprintf(w, "gizmo: warning: program %s: the kernel skipped %d runs, because the program was already running on that CPU; each may have been an event\n",
				plain.Text(s.Name), s.Missed)
		}
	}
}

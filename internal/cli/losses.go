// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// warnInterval bounds how often a run tells of losses while it goes on.
const warnInterval = time.Second

// lossWarner tells of losses as they happen.
type lossWarner struct {
	w io.Writer

	mu     sync.Mutex
	last   time.Time
	losses uint64
}

// warn is the runner's OnLoss.
func (l *lossWarner) warn(s *event.Schema, losses []event.Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range losses {
		l.losses += x.Count
	}
	now := time.Now()
	if now.Sub(l.last) < warnInterval {
		return
	}
	fmt.Fprintf(l.w, "gizmo: warning: %s: %d events lost (%s)\n", s.Name, l.losses, losses[0].Cause)
	l.last, l.losses = now, 0
}

// printLedger writes the account of a run: what was lost, by CPU and cause, and with all set also
// the sums of data sources that lost nothing.
func printLedger(w io.Writer, ledger *pipeline.Ledger, all bool) {
	for _, a := range ledger.Accounts() {
		t := a.Totals()
		if t.Lost == 0 && !all {
			continue
		}
		fmt.Fprintf(w, "gizmo: %s: %d events produced, %d delivered, %d filtered, %d lost\n",
			a.Name(), t.Produced(), t.Delivered, t.Filtered, t.Lost)
		for _, l := range a.Losses() {
			if l.CPU == event.NoCPU {
				fmt.Fprintf(w, "gizmo: %s:   %d lost: %s\n", a.Name(), l.Count, l.Cause)
				continue
			}
			fmt.Fprintf(w, "gizmo: %s:   %d lost on CPU %d: %s\n", a.Name(), l.Count, l.CPU, l.Cause)
		}
	}
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// warnInterval bounds how often a run tells of losses while it goes on.
const warnInterval = time.Second

// lossWarner tells of losses as they happen.
type lossWarner struct {
	w        io.Writer
	interval time.Duration

	mu     sync.Mutex
	last   time.Time
	untold []untoldLoss
	// later tells of what came too soon after something else; nil: nothing did.
	later *time.Timer
}

// untoldLoss is what a data source has lost by one cause since it was told of the last time.
type untoldLoss struct {
	source string
	cause  event.Cause
	count  uint64
}

func newLossWarner(w io.Writer) *lossWarner { return &lossWarner{w: w, interval: warnInterval} }

// warn is the runner's OnLoss.
func (l *lossWarner) warn(s *event.Schema, losses []event.Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range losses {
		l.add(s.Name, x)
	}
	if l.later != nil {
		return
	}
	if wait := l.interval - time.Since(l.last); wait > 0 {
		l.later = time.AfterFunc(wait, l.tellLater)
		return
	}
	l.tell()
}

func (l *lossWarner) add(source string, x event.Loss) {
	i := slices.IndexFunc(l.untold, func(u untoldLoss) bool { return u.source == source && u.cause == x.Cause })
	if i < 0 {
		l.untold = append(l.untold, untoldLoss{source, x.Cause, x.Count})
		return
	}
	l.untold[i].count += x.Count
}

func (l *lossWarner) tell() {
	for _, u := range l.untold {
		fmt.Fprintf(l.w, "gizmo: warning: %s: %d events lost (%s)\n", u.source, u.count, u.cause)
	}
	l.last, l.untold = time.Now(), l.untold[:0]
}

func (l *lossWarner) tellLater() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.later != nil {
		l.later = nil
		l.tell()
	}
}

// stop ends the telling: the ledger says it all.
func (l *lossWarner) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.later != nil {
		l.later.Stop()
		l.later = nil
	}
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

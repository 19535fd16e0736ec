// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"slices"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
)

// tellInterval is the least time between two reports of losses while a run goes on.
const tellInterval = time.Second

// lossTeller reports losses as they happen.
type lossTeller struct {
	tell     func(Loss)
	interval time.Duration

	mu     sync.Mutex
	last   time.Time
	untold []Loss // since the last time, for each data source and cause
	// later reports losses that came too soon after the last report; nil: there are none.
	later *time.Timer
}

func newLossTeller(tell func(Loss)) *lossTeller {
	if tell == nil {
		tell = func(Loss) {}
	}
	return &lossTeller{tell: tell, interval: tellInterval}
}

// note is the runner's OnLoss.
func (l *lossTeller) note(s *event.Schema, losses []event.Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range losses {
		l.add(Loss{s.ID(), x.Cause, x.Count})
	}
	if l.later != nil {
		return
	}
	if wait := l.interval - time.Since(l.last); wait > 0 {
		l.later = time.AfterFunc(wait, l.tellLater)
		return
	}
	l.tellAll()
}

func (l *lossTeller) add(x Loss) {
	i := slices.IndexFunc(l.untold, func(u Loss) bool { return u.Source == x.Source && u.Cause == x.Cause })
	if i < 0 {
		l.untold = append(l.untold, x)
		return
	}
	l.untold[i].Count += x.Count
}

func (l *lossTeller) tellAll() {
	for _, u := range l.untold {
		l.tell(u)
	}
	l.last, l.untold = time.Now(), l.untold[:0]
}

func (l *lossTeller) tellLater() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.later != nil {
		l.later = nil
		l.tellAll()
	}
}

// stop ends the reports: the ledger has all losses.
func (l *lossTeller) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.later != nil {
		l.later.Stop()
		l.later = nil
	}
}

// StackLoss counts stacks of one gadget that gizmo cannot show. Their events are not lost.
type StackLoss struct {
	// Gadget is the name of the gadget in the run; empty if it is the only one.
	Gadget string
	gadget.LostStacks
}

// StackLosses returns, for each gadget that has lost stacks, how many. It may be called until Close.
func (r *Run) StackLosses() ([]StackLoss, error) {
	var all []StackLoss
	for i, g := range r.gadgets {
		if g.Stacks() == nil {
			continue
		}
		lost, err := g.Stacks().Lost()
		if err != nil {
			return all, err
		}
		if lost.Total() > 0 {
			all = append(all, StackLoss{r.names[i], lost})
		}
	}
	return all, nil
}

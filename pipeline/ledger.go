// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Ledger accounts for every event of a run, for each sink separately: produced = delivered + filtered +
// lost. It may be read while the run goes on; the counters only grow.
type Ledger struct {
	mu       sync.Mutex
	accounts []*Account
	kinds    atomic.Int64 // of losses, of all accounts
}

// maxKinds limits the kinds of losses, by account, CPU and cause, that a ledger counts separately. Only a crafted recording has more; the
// ledger books the rest without a CPU.
const maxKinds = 1 << 16

// Account returns the account of a data source's events for the sink of that name. The first call opens it.
func (l *Ledger) Account(source event.SourceID, sink string) *Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.accounts {
		if a.source == source && a.sink == sink {
			return a
		}
	}
	a := &Account{source: source, sink: sink, kinds: &l.kinds}
	l.accounts = append(l.accounts, a)
	return a
}

// Accounts returns all accounts in the order in which they were opened.
func (l *Ledger) Accounts() []*Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.accounts)
}

// Lost returns the number of events lost by all data sources. An event that several sinks did not get counts once
// for each of them.
func (l *Ledger) Lost() uint64 {
	var n uint64
	for _, a := range l.Accounts() {
		n += a.Totals().Lost
	}
	return n
}

// Account counts the outcomes of one data source's events for one sink. All methods may be called by any goroutine.
type Account struct {
	source              event.SourceID
	sink                string
	delivered, filtered atomic.Uint64

	mu     sync.Mutex
	losses map[kind]uint64 // from the start of the run
	lost   uint64          // the sum
	kinds  *atomic.Int64   // of the ledger; nil for an account that is in none
}

// kind is what an account counts separately.
type kind struct {
	cpu   int
	cause event.Cause
}

// otherCause is the cause of losses whose cause this version does not know.
const otherCause = event.ProfileFull + 1

// Totals are the sums of an account at one moment.
type Totals struct {
	Delivered, Filtered, Lost uint64
}

// Produced is the number of events that the gadget made, whatever became of them.
func (t Totals) Produced() uint64 { return t.Delivered + t.Filtered + t.Lost }

// Source returns the data source.
func (a *Account) Source() event.SourceID { return a.source }

// Sink returns the name of the sink.
func (a *Account) Sink() string { return a.sink }

// Totals returns the sums so far.
func (a *Account) Totals() Totals {
	t := Totals{Delivered: a.delivered.Load(), Filtered: a.filtered.Load()}
	a.mu.Lock()
	defer a.mu.Unlock()
	t.Lost = a.lost
	return t
}

// Losses returns the losses so far by CPU and cause, ordered by CPU, then cause.
func (a *Account) Losses() []event.Loss {
	a.mu.Lock()
	losses := make([]event.Loss, 0, len(a.losses))
	for k, n := range a.losses {
		losses = append(losses, event.Loss{CPU: k.cpu, Cause: k.cause, Count: n})
	}
	a.mu.Unlock()
	slices.SortFunc(losses, func(x, y event.Loss) int {
		return cmp.Or(cmp.Compare(x.CPU, y.CPU), cmp.Compare(x.Cause, y.Cause))
	})
	return losses
}

// Deliver counts events as delivered. Runner calls it for its sinks; other code calls it for outputs that are not sinks.
func (a *Account) Deliver(n uint64) { a.delivered.Add(n) }

// Lose counts events as lost; see Deliver.
func (a *Account) Lose(losses ...event.Loss) { a.lose(losses...) }

func (a *Account) deliver(n int) { a.delivered.Add(uint64(n)) }
func (a *Account) filter(n int)  { a.filtered.Add(uint64(n)) }

func (a *Account) lose(losses ...event.Loss) {
	if len(losses) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range losses {
		a.losses[a.kindOf(l)] += l.Count
		a.lost += l.Count
	}
}

// kindOf returns the kind under which a loss is booked. The caller holds a.mu.
func (a *Account) kindOf(l event.Loss) kind {
	k := kind{l.CPU, min(l.Cause, otherCause)}
	if _, known := a.losses[k]; known {
		return k
	}
	if a.losses == nil {
		a.losses = make(map[kind]uint64)
	}
	if a.kinds != nil && a.kinds.Add(1) > maxKinds {
		k.cpu = event.NoCPU
	}
	return k
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// An account may be read while several goroutines book: nothing in it ever gets less, and in the end all
// is there.
func TestAccountIsReadWhileBooked(t *testing.T) {
	t.Parallel()
	const writers, each = 3, 2000
	var ledger Ledger
	a := ledger.Account(event.SourceID{Name: "a"}, "")
	var booking sync.WaitGroup
	for cpu := range writers {
		booking.Go(func() {
			for range each {
				a.deliver(2)
				a.filter(3)
				a.lose(event.Loss{CPU: cpu, Cause: event.BufferFull, Count: 4}, event.Loss{CPU: event.NoCPU, Cause: event.OutputSlow, Count: 5})
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		booking.Wait()
	}()
	for before, ended := (Totals{}), false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		now := a.Totals()
		if now.Delivered < before.Delivered || now.Filtered < before.Filtered || now.Lost < before.Lost {
			t.Fatalf("%+v came after %+v", now, before)
		}
		before = now
	}
	want := Totals{Delivered: 2 * writers * each, Filtered: 3 * writers * each, Lost: 9 * writers * each}
	if got := a.Totals(); got != want || got.Produced() != 14*writers*each || ledger.Lost() != want.Lost {
		t.Errorf("%+v, produced %d, lost by all %d; want %+v", got, got.Produced(), ledger.Lost(), want)
	}
}

// A recording can hold losses on any CPU and by any cause. The ledger counts them all, in little memory and time.
func TestLossesOfManyKinds(t *testing.T) {
	t.Parallel()
	var ledger Ledger
	const accounts, cpus = 3, 1 << 16
	var all []event.Loss
	for cpu := range cpus {
		all = append(all, event.Loss{CPU: cpu, Cause: event.Cause(cpu), Count: 2})
	}
	detailed := 0
	for i := range accounts {
		a := ledger.Account(event.SourceID{Name: string(rune('a' + i))}, "")
		for range 3 {
			a.Lose(all...)
		}
		if got := a.Totals().Lost; got != 6*cpus {
			t.Errorf("account %d: %d events, want %d", i, got, 6*cpus)
		}
		sum := uint64(0)
		for _, l := range a.Losses() {
			sum += l.Count
			if l.CPU != event.NoCPU {
				detailed++
			}
		}
		if sum != 6*cpus {
			t.Errorf("account %d: the losses are %d events, want %d", i, sum, 6*cpus)
		}
	}
	if detailed != maxKinds {
		t.Errorf("%d kinds of losses are told apart, want %d", detailed, maxKinds)
	}
	if ledger.Lost() != accounts*6*cpus {
		t.Errorf("%d events lost in all", ledger.Lost())
	}
}

// Losses are named by CPU and cause, those without a CPU first, and belong to who asks.
func TestLossesByCPUAndCause(t *testing.T) {
	t.Parallel()
	var a Account
	a.lose(
		event.Loss{CPU: 2, Cause: event.BufferFull, Count: 1},
		event.Loss{CPU: 0, Cause: event.Malformed, Count: 2},
		event.Loss{CPU: event.NoCPU, Cause: event.OutputSlow, Count: 3},
		event.Loss{CPU: 0, Cause: event.BufferFull, Count: 4},
		event.Loss{CPU: 2, Cause: event.BufferFull, Count: 5},
	)
	want := []event.Loss{
		{CPU: event.NoCPU, Cause: event.OutputSlow, Count: 3},
		{CPU: 0, Cause: event.BufferFull, Count: 4},
		{CPU: 0, Cause: event.Malformed, Count: 2},
		{CPU: 2, Cause: event.BufferFull, Count: 6},
	}
	got := a.Losses()
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	clear(got)
	if again := a.Losses(); !slices.Equal(again, want) {
		t.Errorf("after the caller's change: %+v", again)
	}
}

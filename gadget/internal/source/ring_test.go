// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// fakeRings have a row in each round, and so many bytes after it.
type fakeRings struct {
	unread  uint64
	err     error
	trimmed int
}

func (r *fakeRings) fill(b *event.Batch) bool {
	if r.err == nil {
		b.Rows = append(b.Rows, []byte{1})
	}
	return false
}
func (r *fakeRings) Release()                 {}
func (r *fakeRings) Trim()                    { r.trimmed++ }
func (r *fakeRings) Err() error               { return r.err }
func (r *fakeRings) Unread() uint64           { return r.unread }
func (r *fakeRings) Ready() bool              { return true }
func (r *fakeRings) Held() bool               { return false }
func (r *fakeRings) Busy() bool               { return false }
func (r *fakeRings) Wait(time.Duration) error { return nil }
func (r *fakeRings) Wake()                    {}
func (r *fakeRings) Close() error             { return nil }

// The source unmaps what it has read when few events come, but not in a storm, where it would have to map it again at once.
func TestRingSourceTrims(t *testing.T) {
	t.Parallel()
	for unread, want := range map[uint64]int{0: 1, calm - 1: 1, calm: 0, 1 << 20: 0} {
		rings := &fakeRings{unread: unread}
		s := &ringSource{rings: rings, schema: &event.Schema{}, rests: true, latency: time.Millisecond, wakeBytes: 2 << 20}
		for range 2 { // there is nothing to trim before the first batch
			if err := s.Next(t.Context(), new(event.Batch)); err != nil {
				t.Fatal(err)
			}
		}
		if rings.trimmed != want {
			t.Errorf("%d bytes unread: trimmed %d times, want %d", unread, rings.trimmed, want)
		}
	}
}

// A ring that cannot be read any more ends its source, after the rows that were read before.
func TestRingSourceFails(t *testing.T) {
	t.Parallel()
	rings := &fakeRings{}
	s := &ringSource{rings: rings, schema: &event.Schema{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var b event.Batch
	if err := s.Next(ctx, &b); err != nil || len(b.Rows) != 1 {
		t.Fatalf("got %d rows, %v", len(b.Rows), err)
	}
	rings.err = errors.New("no memory")
	if err := s.Next(ctx, &b); !errors.Is(err, rings.err) {
		t.Errorf("got %v, want the ring's error", err)
	}
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// late delivers the first row of each batch, drops the second as too slow, and books the others as failed.
type late struct {
	readsNothing
	books pipeline.Books
	err   error
}

func (l *late) Book(_ *event.Schema, books pipeline.Books) { l.books = books }

func (l *late) Write(b *event.Batch) error {
	n := len(b.Rows)
	l.books.Delivered(min(n, 1))
	l.books.Lost(min(max(n-1, 0), 1), event.OutputSlow)
	l.books.Lost(max(n-2, 0), event.OutputFailed)
	return l.err
}

// runTo runs batches of 3, 1 and 4 rows into a sink and returns the account and the losses that were reported.
func runTo(t *testing.T, sink pipeline.Sink) (*pipeline.Account, []event.Loss, error) {
	t.Helper()
	s := &event.Schema{Name: "s", Single: true}
	var told []event.Loss
	r := pipeline.Runner{
		Sources: []pipeline.Source{&script{schema: s, batches: [][]byte{[]byte("abc"), []byte("d"), []byte("efgh")}}},
		Sinks:   []pipeline.NamedSink{{Name: "x", Sink: sink}}, Ledger: &pipeline.Ledger{},
		OnLoss: func(_ *event.Schema, losses []event.Loss) { told = append(told, losses...) },
	}
	err := r.Run(t.Context())
	return r.Ledger.Account(s.ID(), "x"), told, err
}

// The runner books no row that a Late sink has got, and all that it has not.
func TestLateSinksBookTheirRows(t *testing.T) {
	t.Parallel()
	a, told, err := runTo(t, &late{})
	if got, want := fmt.Sprint(a.Totals(), a.Losses(), told), "{3 0 5} [{-1 output failed 3} {-1 output too slow 2}] [{-1 output too slow 1} {-1 output too slow 1}]"; got != want || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	broken := errors.New("broken")
	a, _, err = runTo(t, &late{err: broken})
	if got, want := fmt.Sprint(a.Totals(), a.Losses()), "{1 0 7} [{-1 output failed 6} {-1 output too slow 1}]"; got != want || !errors.Is(err, broken) {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// givenUp is a sink whose output takes nothing.
type givenUp struct{ readsNothing }

func (givenUp) Write(*event.Batch) error { return fmt.Errorf("the pipe: %w", pipeline.ErrGivenUp) }

// A sink that was given up is not a failure, and the events that it lacks count as lost because it was slow.
func TestSinkThatIsGivenUp(t *testing.T) {
	t.Parallel()
	a, _, err := runTo(t, givenUp{})
	if got, want := fmt.Sprint(a.Totals(), a.Losses()), "{0 0 8} [{-1 output too slow 8}]"; got != want || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

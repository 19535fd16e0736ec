// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/records"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// iterSource runs iterators: each array consists of the records of one to three programs.
type iterSource struct {
	schema   *event.Schema
	programs []Program
	// namespaces lists the network namespaces for programs that show only one; nil: this process's own.
	namespaces func() ([]string, error)
	schedule   schedule
	losses     []lossCounter
	records    *records.Set
}

// Program is an iter program that is ready to be run.
type Program struct {
	Name string
	// Scoped: its iterator shows the network namespace in which it is opened.
	Scoped bool
	// Iterator belongs to the source, which closes it.
	Iterator Iterator
}

// Iterator is what a link of an iter program does.
type Iterator interface {
	// Open begins an iteration. Reading from the result runs the program.
	Open() (io.ReadCloser, error)
	Close() error
}

// Iterators makes a source of iter programs. The function namespaces lists the network namespaces in
// which scoped programs run, by paths; nil: the one that gizmo is in. The maps in lost count, for each CPU, what programs had no room for.
func Iterators(schema *event.Schema, fetch image.Fetch, programs []Program, namespaces func() ([]string, error), lost ...*ebpf.Map) pipeline.Source {
	s := &iterSource{
		schema:     schema,
		programs:   programs,
		namespaces: namespaces,
		schedule:   newSchedule(fetch),
		records:    records.New(schema.Size),
	}
	for _, m := range lost {
		s.losses = append(s.losses, lossCounter{counts: m})
	}
	return s
}

func (s *iterSource) Schemas() []*event.Schema { return []*event.Schema{s.schema} }

func (s *iterSource) Next(ctx context.Context, b *event.Batch) error {
	b.Reset(s.schema)
	for {
		reading := ctx
		switch s.schedule.wait(ctx) {
		case atEnd:
			return io.EOF
		case makeLast:
			reading = context.WithoutCancel(ctx)
		}
		err := s.fetch(reading)
		if err == nil {
			err = s.countLost(b)
		}
		switch {
		case err == nil:
			b.Rows = s.records.AppendRows(b.Rows)
			return nil
		case reading.Err() == nil:
			s.schedule.stop()
			return fmt.Errorf("data source %q: %w", s.schema.Name, err)
		}
		// The run has ended in the middle of it: half an array is none.
	}
}

// countLost adds what programs had no room for since the last array.
func (s *iterSource) countLost(b *event.Batch) (err error) {
	for i := range s.losses {
		if b.Lost, err = s.losses[i].poll(b.Lost, true); err != nil {
			return err
		}
	}
	return nil
}

// fetch runs all programs once.
func (s *iterSource) fetch(ctx context.Context) error {
	s.records.Reset()
	for i := range s.programs {
		p := &s.programs[i]
		if err := s.run(ctx, p); err != nil {
			return fmt.Errorf("program %s: %w", p.Name, explainRead(err))
		}
	}
	return nil
}

// run runs a program once, or once in each network namespace.
func (s *iterSource) run(ctx context.Context, p *Program) error {
	if !p.Scoped || s.namespaces == nil {
		return s.read(ctx, p.Iterator.Open)
	}
	paths, err := s.namespaces()
	if err != nil {
		return fmt.Errorf("find the network namespaces: %w", err)
	}
	seen := make(map[uint64]bool, len(paths))
	for _, path := range paths {
		if err := s.runIn(ctx, p, path, seen); err != nil {
			return err
		}
	}
	return nil
}

// runIn runs a program in the network namespace of a path, unless it is one of those seen. A namespace that
// no longer exists has no sockets.
func (s *iterSource) runIn(ctx context.Context, p *Program, path string, seen map[uint64]bool) error {
	ns, err := netns.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer ns.Close()
	if seen[ns.ID] {
		return nil
	}
	seen[ns.ID] = true
	return s.read(ctx, func() (r io.ReadCloser, err error) {
		// An iteration shows the namespace in which it is opened, wherever it is read.
		err = ns.Do(func() error {
			r, err = p.Iterator.Open()
			return err
		})
		return r, err
	})
}

func (s *iterSource) read(ctx context.Context, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	return s.records.Add(ctx, r)
}

// explainRead puts an error of an iteration into the author's terms.
func explainRead(err error) error {
	if errors.Is(err, unix.E2BIG) {
		return fmt.Errorf("its output for one object does not fit into the kernel's buffer of 8 pages: %w", err)
	}
	return err
}

func (s *iterSource) Close() error {
	var errs []error
	for _, p := range s.programs {
		errs = append(errs, p.Iterator.Close())
	}
	s.programs = nil
	return errors.Join(errs...)
}

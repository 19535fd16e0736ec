// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/records"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// iterSource runs iterators: each array is all that one to three programs write.
type iterSource struct {
	schema   *event.Schema
	programs []iterProgram
	// namespaces lists those in which programs run that show one only; nil: the own.
	namespaces func() ([]string, error)
	schedule   schedule
	records    *records.Set
}

// iterProgram is a program that is ready to be run.
type iterProgram struct {
	name string
	// scoped: its iterator shows the network namespace in which it is opened.
	scoped bool
	iter   iterator
}

// iterator is what a link of an iter program does.
type iterator interface {
	// Open begins an iteration. Reading from the result runs the program.
	Open() (io.ReadCloser, error)
	Close() error
}

// openIterator makes a source of iter programs. Those that are not loaded, or of which the params
// have left nothing, are left out.
func (g *Gadget) openIterator(d *DataSource, schema *event.Schema, o *LoadOptions) (pipeline.Source, error) {
	s := &iterSource{
		schema:     schema,
		namespaces: o.NetNS,
		schedule:   newSchedule(o.fetchOf(d)),
		records:    records.New(schema.Size),
	}
	loaded := 0
	for _, name := range d.Iterators {
		prog := g.coll.Programs[name]
		if prog == nil {
			continue
		}
		loaded++
		if isIdle(prog) {
			continue
		}
		p, err := g.openIterProgram(g.image.program(name), prog)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.programs = append(s.programs, p)
	}
	if loaded == 0 {
		return nil, errors.New("all of its programs are disabled")
	}
	return s, nil
}

func (g *Gadget) openIterProgram(p *Program, prog *ebpf.Program) (iterProgram, error) {
	o := link.IterOptions{Program: prog}
	if p.IterMap != "" {
		o.Map = g.coll.Maps[p.IterMap]
	}
	iter, err := link.AttachIter(o)
	switch {
	case err != nil && o.Map != nil:
		return iterProgram{}, fmt.Errorf("program %s: walk map %q (type %s, keys of %d and values of %d bytes; "+
			"the kernel iterates over hash and array maps, and the program must not read beyond a key or value): %w",
			p.Name, p.IterMap, o.Map.Type(), o.Map.KeySize(), o.Map.ValueSize(), err)
	case err != nil:
		return iterProgram{}, g.explainAttach(p, err)
	}
	return iterProgram{name: p.Name, scoped: isNetworkIterator(p.Target), iter: iter}, nil
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

// fetch runs all programs once.
func (s *iterSource) fetch(ctx context.Context) error {
	s.records.Reset()
	for i := range s.programs {
		p := &s.programs[i]
		if err := s.run(ctx, p); err != nil {
			return fmt.Errorf("program %s: %w", p.name, explainRead(err))
		}
	}
	return nil
}

// run runs a program once, or once in each network namespace.
func (s *iterSource) run(ctx context.Context, p *iterProgram) error {
	if !p.scoped || s.namespaces == nil {
		return s.read(ctx, p.iter.Open)
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

// runIn runs a program in the network namespace of a path, unless it is one of those seen. One that
// has gone has no sockets either.
func (s *iterSource) runIn(ctx context.Context, p *iterProgram, path string, seen map[uint64]bool) error {
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
		// What it is opened in is what an iteration shows, wherever it is read.
		err = ns.Do(func() error {
			r, err = p.iter.Open()
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

// RunningNetNS lists the network namespaces that processes are in, each once. It is meant for
// LoadOptions.NetNS. Processes that may not be looked at are passed over.
func RunningNetNS() ([]string, error) { return netns.Running() }

// explainRead puts what can go wrong in an iteration into the author's terms.
func explainRead(err error) error {
	if errors.Is(err, unix.E2BIG) {
		return fmt.Errorf("what it writes for one object does not fit into the kernel's buffer of 8 pages: %w", err)
	}
	return err
}

func (s *iterSource) Close() error {
	var errs []error
	for _, p := range s.programs {
		errs = append(errs, p.iter.Close())
	}
	s.programs = nil
	return errors.Join(errs...)
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// stacks is a table of stacks in memory. The stack of handle h is at h-1.
type stacks []*symbol.Stack

func (s stacks) Bytes(event.Handle) []byte { return nil }
func (s stacks) Bits(event.Handle) uint64  { return 0 }
func (s stacks) Stack(h event.Handle) *symbol.Stack {
	if h == 0 || int(h) > len(s) {
		return nil
	}
	return s[h-1]
}

// The modules of the tests.
var (
	app    = &symbol.Module{Name: "/usr/bin/app", BuildID: "0a0b", Start: 0x1000, Limit: 0x9000, Offset: 0x1000}
	libc   = &symbol.Module{Name: "/lib/libc.so.6", BuildID: "0c0d", Start: 0x2000, Limit: 0x99000, Offset: 0x2000}
	kernel = &symbol.Module{Name: "[kernel]", Kernel: true}
)

// stackOf makes a stack of "function" or "+address" of a module, the innermost first.
func stackOf(m *symbol.Module, names ...string) *symbol.Stack {
	s := &symbol.Stack{}
	for i, name := range names {
		l := &symbol.Location{Module: m, Address: 0x1000 + uint64(len(name))<<4 + uint64(i)}
		if address, ok := strings.CutPrefix(name, "+"); ok {
			_, _ = fmt.Sscanf(address, "%x", &l.Address)
		} else {
			l.Function = &symbol.Function{Name: name, System: name}
		}
		s.Locations = append(s.Locations, l)
		s.Addresses = append(s.Addresses, l.Address)
	}
	return s
}

// source is a data source with two stacks, that of the kernel second, and what usually goes with them.
type source struct {
	*event.Schema
	user, kernel event.Column
	batch        event.Batch
}

const recordSize = 48

func newSource(single bool, user, kernel stacks) *source {
	s := &source{Schema: &event.Schema{Name: "samples", Single: single, Size: recordSize, Fields: []event.Field{
		{Name: "comm", Kind: event.String, Size: 16, Parent: event.NoParent},
		{Name: "pid", Kind: event.Uint, Off: 16, Size: 4, Types: []string{"gadget_pid"}, Parent: event.NoParent},
		{Name: "size_raw", Kind: event.Uint, Off: 24, Size: 8, Types: []string{"gadget_bytes"}, Parent: event.NoParent},
		{Name: "delta", Kind: event.Int, Off: 32, Size: 8, Parent: event.NoParent},
		{Name: "flag", Kind: event.Bool, Off: 40, Size: 1, Parent: event.NoParent},
		{Name: "kern_stack_raw", Kind: event.Uint, Off: 20, Size: 4, Parent: event.NoParent},
	}}}
	s.user = s.AddColumn(
		event.Field{Name: "ustack.addresses", Kind: event.String, Parent: event.NoParent, Table: user},
		event.Field{Name: "ustack.symbols", Kind: event.String, Parent: event.NoParent, Table: user})
	s.kernel = s.AddColumn(event.Field{Name: "kern_stack", Kind: event.String, Parent: event.NoParent, Table: kernel})
	s.batch.Reset(s.Schema)
	return s
}

// row is an event of a source.
type row struct {
	comm         string
	pid          uint32
	size         uint64
	delta        int64
	user, kernel event.Handle
}

// rows makes a batch.
func (s *source) rows(rows ...row) *event.Batch {
	s.batch.Reset(s.Schema)
	for _, r := range rows {
		record := make([]byte, recordSize)
		copy(record[:16], r.comm)
		binary.LittleEndian.PutUint32(record[16:], r.pid)
		binary.LittleEndian.PutUint64(record[24:], r.size)
		binary.LittleEndian.PutUint64(record[32:], uint64(r.delta))
		s.batch.Rows = append(s.batch.Rows, record)
	}
	user, kernel := s.user.Fill(&s.batch), s.kernel.Fill(&s.batch)
	for i, r := range rows {
		user[i], kernel[i] = r.user, r.kernel
	}
	return &s.batch
}

func bind(t testing.TB, s *source, settings annotation.Profile, memory int) *Sink {
	t.Helper()
	sink := New(settings, memory)
	if _, err := sink.Bind(s.Schema); err != nil {
		t.Fatal(err)
	}
	return sink
}

func write(t testing.TB, sink *Sink, b *event.Batch) {
	t.Helper()
	if err := sink.Write(b); err != nil {
		t.Fatal(err)
	}
}

// describe shows a profile in a line for each sample.
func describe(p *Profile) string {
	var b strings.Builder
	for _, s := range p.Samples {
		for _, f := range s.Stack {
			fmt.Fprintf(&b, "%s ", f.Name())
		}
		fmt.Fprintf(&b, "%v", s.Values)
		for _, l := range s.Labels {
			if l.IsNumber {
				fmt.Fprintf(&b, " %s=%d", l.Key, l.Number)
			} else {
				fmt.Fprintf(&b, " %s=%q", l.Key, l.Text)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// written returns what a format writes.
func written[T any](t testing.TB, write func(io.Writer, *T) error, what *T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out, what); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// containersSchema has fields of two columns around a number of the record. The number has one byte, as a code has, or
// 8 as a time has.
func containersSchema(handles int, size uint32) (*event.Schema, []event.Column) {
	s := &event.Schema{Name: "s", Single: true, Size: size, Fields: []event.Field{{Name: "m", Kind: event.Uint, Size: size, Parent: event.NoParent}}}
	names, numbers := new(event.Texts), new(event.Numbers)
	for i := range handles {
		names.Handle(fmt.Sprintf("na\"me %d", i+1))
		numbers.Add(uint64(i) + 1)
	}
	k8s := s.Add(event.Field{Name: "k8s", Kind: event.Struct, Parent: event.NoParent})
	first := s.AddColumn(
		event.Field{Name: "k8s.pod", Kind: event.String, Parent: k8s, Table: names},
		event.Field{Name: "k8s.host", Kind: event.Bool, Parent: k8s, Table: numbers},
		event.Field{Name: "name", Kind: event.String, Parent: event.NoParent, Table: names},
		event.Field{Name: "pid", Kind: event.Uint, Parent: event.NoParent, Table: numbers})
	second := s.AddColumn(event.Field{Name: "rest", Kind: event.String, Parent: event.NoParent, Table: names})
	return s, []event.Column{first, second}
}

// The memo remembers the text of a handle, and never shows it for another handle, even if two share a slot. Where a code is between
// the fields of columns, one memo remembers all of them.
func TestColumnsAreRemembered(t *testing.T) {
	t.Parallel()
	for size, want := range map[uint32][]op{
		1: {opMemo},
		8: {opColumnMemo, opUint64, opColumnMemo, opColumnText}, // the members of k8s; name and pid
	} {
		s, columns := containersSchema(200, size)
		enc, err := bindJSON(s, Options{}, jsonLayout{})
		if err != nil {
			t.Fatal(err)
		}
		var ops []op
		for _, st := range enc.(*jsonEncoder).steps {
			ops = append(ops, st.op)
		}
		if !slices.Equal(ops, want) {
			t.Errorf("a number of %d bytes: steps %v, want %v", size, ops, want)
		}
		wantContainers(t, s, columns, enc)
	}
}

// wantContainers checks the text of rows of many containers.
func wantContainers(t *testing.T, s *event.Schema, columns []event.Column, enc Encoder) {
	t.Helper()
	b := &event.Batch{Schema: s}
	handles := []event.Handle{0, 1, 65, 1, 1, 129, 0, 64, 128, 200, 200, 1}
	for i := range handles {
		rec := make([]byte, s.Size)
		rec[0] = byte(7 + i/6)
		b.Rows = append(b.Rows, rec)
	}
	for range 2 {
		copy(columns[0].Fill(b), handles)
		copy(columns[1].Fill(b), handles)
		lines := strings.Split(strings.TrimSuffix(string(enc.Append(nil, b)), "\n"), "\n")
		for i, h := range handles {
			want := fmt.Sprintf(`{"k8s":{"host":true,"pod":"na\"me %d"},"m":%d,"name":"na\"me %[1]d","pid":%[1]d,"rest":"na\"me %[1]d"}`, h, 7+i/6)
			if h == 0 {
				want = fmt.Sprintf(`{"k8s":{"host":null,"pod":""},"m":%d,"name":"","pid":null,"rest":""}`, 7+i/6)
			}
			if lines[i] != want {
				t.Errorf("row %d: %s\nwant %s", i, lines[i], want)
			}
		}
	}
}

func TestRememberedColumnsAllocateNothing(t *testing.T) {
	s, columns := containersSchema(3, 1)
	enc, err := bindJSON(s, Options{}, jsonLayout{})
	if err != nil {
		t.Fatal(err)
	}
	b := &event.Batch{Schema: s}
	for range 100 {
		b.Rows = append(b.Rows, []byte{7})
	}
	for i := range columns[0].Fill(b) {
		columns[0].Handles(b)[i] = event.Handle(i % 4)
	}
	dst := enc.Append(nil, b)
	if n := testing.AllocsPerRun(100, func() { dst = enc.Append(dst[:0], b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

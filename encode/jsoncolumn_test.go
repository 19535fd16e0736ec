// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// containersSchema has fields of two columns between fields of the record.
func containersSchema(handles int) (*event.Schema, []event.Column) {
	s := &event.Schema{Name: "s", Single: true, Size: 1, Fields: []event.Field{{Name: "m", Kind: event.Uint, Size: 1, Parent: event.NoParent}}}
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

// The memo remembers the text of a handle, and never shows it for another handle, even if two share a slot.
func TestColumnsAreRemembered(t *testing.T) {
	t.Parallel()
	s, columns := containersSchema(200)
	enc, err := bindJSON(s, Options{}, jsonLayout{})
	if err != nil {
		t.Fatal(err)
	}
	memos := 0
	for _, st := range enc.(*jsonEncoder).steps {
		if st.op == opColumnMemo {
			memos++
		}
	}
	if memos != 2 { // the members of k8s; name and pid
		t.Errorf("%d memos", memos)
	}
	b := &event.Batch{Schema: s}
	handles := []event.Handle{0, 1, 65, 1, 129, 0, 64, 128, 200, 1}
	for range handles {
		b.Rows = append(b.Rows, []byte{7})
	}
	for range 2 {
		copy(columns[0].Fill(b), handles)
		copy(columns[1].Fill(b), handles)
		lines := strings.Split(strings.TrimSuffix(string(enc.Append(nil, b)), "\n"), "\n")
		for i, h := range handles {
			want := fmt.Sprintf(`{"k8s":{"host":true,"pod":"na\"me %d"},"m":7,"name":"na\"me %[1]d","pid":%[1]d,"rest":"na\"me %[1]d"}`, h)
			if h == 0 {
				want = `{"k8s":{"host":null,"pod":""},"m":7,"name":"","pid":null,"rest":""}`
			}
			if lines[i] != want {
				t.Errorf("row %d: %s\nwant %s", i, lines[i], want)
			}
		}
	}
}

func TestRememberedColumnsAllocateNothing(t *testing.T) {
	s, columns := containersSchema(3)
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

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"encoding/binary"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// annotations replaces the annotations of a gadget's author and the user: templates by name, and
// annotations of single fields.
type annotations struct {
	templates map[string]func(*event.Annotations)
	fields    map[string]func(*event.Annotations)
	err       error // for every field of fields
}

func (a annotations) Annotate(f *event.Field, template string) error {
	if set := a.templates[template]; set != nil {
		set(&f.Ann)
	}
	if set := a.fields[f.Name]; set != nil {
		if a.err != nil {
			return a.err
		}
		set(&f.Ann)
	}
	return nil
}

// idNames names ids in tests.
type idNames map[uint32]string

func (n idNames) Append(dst []byte, id uint32) []byte { return append(dst, n[id]...) }

func testEnv() *Env {
	return &Env{
		Arch:   "amd64",
		Users:  idNames{0: "root", 1000: "alice"},
		Groups: idNames{0: "root", 1000: "staff"},
	}
}

// layout puts fields one after the other, as a C compiler would without padding, and makes a
// schema of them. Structs take no room themselves; -1 is a valid Parent at the top.
func layout(fields ...event.Field) *event.Schema {
	s := &event.Schema{Name: "test", Single: true}
	for _, f := range fields {
		f.Off = s.Size
		if f.Kind != event.Struct {
			s.Size += f.Size
		}
		s.Fields = append(s.Fields, f)
	}
	return s
}

// scalar is an integer member of the C type ctype at the top of its record.
func scalar(name, ctype string, kind event.Kind, size uint32) event.Field {
	return event.Field{Name: name, Kind: kind, Types: []string{ctype}, Size: size, Parent: event.NoParent}
}

func apply(t testing.TB, s *event.Schema, env *Env, ann annotations) {
	t.Helper()
	if err := Apply(s, Types(), env, ann); err != nil {
		t.Fatal(err)
	}
}

func field(t testing.TB, s *event.Schema, name string) *event.Field {
	t.Helper()
	i, ok := s.Lookup(name)
	if !ok {
		t.Fatalf("no field %q", name)
	}
	return &s.Fields[i]
}

func missing(t *testing.T, s *event.Schema, name string) {
	t.Helper()
	if _, ok := s.Lookup(name); ok {
		t.Errorf("there is a field %q", name)
	}
}

// batchOf is a batch with the record rec.
func batchOf(s *event.Schema, rec []byte) *event.Batch {
	return &event.Batch{Schema: s, Rows: [][]byte{rec}}
}

// text returns the text of a field for the record rec, and sees to it that it was appended.
func text(t testing.TB, s *event.Schema, name string, rec []byte) string {
	t.Helper()
	f := field(t, s, name)
	if f.Text == nil {
		t.Fatalf("field %q has no text", name)
	}
	got := string(f.Text([]byte("<"), batchOf(s, rec), 0))
	if got == "" || got[0] != '<' {
		t.Fatalf("field %q overwrote what was there: %q", name, got)
	}
	return got[1:]
}

// le returns the lowest size bytes of v, in the records' order.
func le(v uint64, size uint32) []byte {
	return binary.LittleEndian.AppendUint64(nil, v)[:size]
}

// unsigned returns how a 4 or 8 byte field v_raw of type ctype reads.
func unsigned(t testing.TB, ctype string, size uint32, env *Env, v uint64) string {
	t.Helper()
	s := layout(scalar("v_raw", ctype, event.Uint, size))
	apply(t, s, env, annotations{})
	return text(t, s, "v", le(v, size))
}

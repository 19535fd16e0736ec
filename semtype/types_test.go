// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// TestRows checks the rules for rows on every row of the table.
func TestRows(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range append(Types(), enumTypes()...) {
		t.Run(row.CName, func(t *testing.T) {
			if seen[row.CName] {
				t.Error("the type has two rows")
			}
			seen[row.CName] = true
			if row.CName == "" || row.On == "" || !strings.HasSuffix(row.Doc, ".") {
				t.Error("the row lacks its name, its C type or a sentence that explains it")
			}
			if (row.Extend != nil) != (row.Adds != "") && !strings.HasPrefix(row.CName, "enum") {
				t.Error("what the type adds is told exactly if it adds something")
			}
			if row.Extend == nil && row.Template == "" && !strings.HasPrefix(row.CName, "enum") {
				t.Error("the type means nothing")
			}
			if row.Example != nil {
				checkExample(t, &row)
			}
		})
	}
}

func checkExample(t *testing.T, row *Type) {
	size := cSize(t, row.On)
	name := row.Example.Field
	s := layout(scalar(name+"_raw", row.CName, event.Uint, size))
	apply(t, s, testEnv(), annotations{})
	if got := text(t, s, name, le(row.Example.Raw, size)); got != row.Example.Text {
		t.Errorf("example reads %q, not %q", got, row.Example.Text)
	}
}

func cSize(t testing.TB, ctype string) uint32 {
	t.Helper()
	switch ctype {
	case "__u8":
		return 1
	case "__u32":
		return 4
	case "__u64":
		return 8
	}
	t.Fatalf("C type %s has no known size", ctype)
	return 0
}

// everything is a schema with a field of every type that has a text.
func everything() *event.Schema {
	var fields []event.Field
	for _, row := range Types() {
		if row.Example != nil {
			size := uint32(4)
			if row.On == "__u64" {
				size = 8
			}
			fields = append(fields, scalar(row.CName+"_raw", row.CName, event.Uint, size),
				scalar(row.CName+"_signed_raw", row.CName, event.Int, size))
		}
	}
	layouted := scalar("layout_raw", "gadget_timestamp", event.Uint, 8)
	fields = append(fields, layouted)
	for _, e := range []*event.Enum{denseEnum(), sparseEnum(), setEnum()} {
		f := scalar(e.Name+"_raw", e.Name, event.Uint, 4)
		f.Enum = e
		fields = append(fields, f)
	}
	fields = append(fields, endpointFields("src", "gadget_l4endpoint_t", len(fields), "port", "proto_raw")...)
	fields = append(fields, endpointFields("dst", "gadget_l3endpoint_t", len(fields))...)
	return layout(fields...)
}

func TestTextsAllocateNothing(t *testing.T) {
	s := everything()
	apply(t, s, testEnv(), annotations{fields: map[string]func(*event.Annotations){
		"layout_raw": func(a *event.Annotations) { a.Format = "Mon Jan 2 15:04:05.000 2006" },
	}})
	random := rand.New(rand.NewPCG(1, 2))
	dst := make([]byte, 0, 1024)
	batch := &event.Batch{Schema: s}
	for range 64 {
		batch.Rows = append(batch.Rows, randomRecord(random, s))
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Text == nil {
			continue
		}
		row := 0
		if n := testing.AllocsPerRun(200, func() {
			dst = f.Text(dst[:0], batch, row)
			row = (row + 1) % len(batch.Rows)
		}); n != 0 {
			t.Errorf("%s: %v allocations for a text", f.Name, n)
		}
	}
}

// randomRecord fills a record so that small values, and so names, are as likely as large ones.
func randomRecord(random *rand.Rand, s *event.Schema) []byte {
	rec := make([]byte, s.Size)
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Added || f.Kind == event.Struct {
			continue
		}
		v := random.Uint64() >> random.UintN(64)
		copy(rec[f.Off:f.Off+f.Size], le(v, 8))
	}
	return rec
}

// Texts keep their promises: what they read, and that they need no escapes.
func TestTextsKeepTheirPromises(t *testing.T) {
	t.Parallel()
	s := everything()
	apply(t, s, testEnv(), annotations{fields: map[string]func(*event.Annotations){
		"layout_raw": func(a *event.Annotations) { a.Format = `"Mon"` },
	}})
	random := rand.New(rand.NewPCG(5, 6))
	promised, plain := 0, 0
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Text == nil {
			continue
		}
		promised += int(min(f.Reads.Size, 1))
		for range 200 {
			rec, other := randomRecord(random, s), randomRecord(random, s)
			got := text(t, s, f.Name, rec)
			if f.Plain {
				plain++
				checkPlain(t, f, got)
			}
			if r := f.Reads; r.Size > 0 {
				copy(other[r.Off:r.Off+r.Size], rec[r.Off:])
				if again := text(t, s, f.Name, other); again != got {
					t.Fatalf("%s: %q and %q of the same bytes", f.Name, got, again)
				}
			}
		}
	}
	if promised < 10 || plain == 0 {
		t.Errorf("%d fields promise what they read, %d texts to be plain", promised, plain)
	}
}

func checkPlain(t *testing.T, f *event.Field, got string) {
	t.Helper()
	value := got
	if f.Kind == event.String {
		value = `"` + got + `"`
	}
	strange := func(r rune) bool { return r < ' ' || r > '~' || r == '\\' }
	if !json.Valid([]byte(value)) || strings.ContainsFunc(got, strange) {
		t.Fatalf("%s: %q is not plain", f.Name, got)
	}
}

// FuzzTexts tries records of any content: whatever a gadget writes, no text may panic.
func FuzzTexts(f *testing.F) {
	s := everything()
	apply(f, s, testEnv(), annotations{})
	random := rand.New(rand.NewPCG(3, 4))
	f.Add(make([]byte, s.Size))
	for range 8 {
		f.Add(randomRecord(random, s))
	}
	f.Fuzz(func(t *testing.T, rec []byte) {
		rec = append(rec, make([]byte, s.Size)...)
		for i := range s.Fields {
			if s.Fields[i].Text != nil {
				text(t, s, s.Fields[i].Name, rec)
			}
		}
	})
}

func BenchmarkText(b *testing.B) {
	for _, row := range Types() {
		if row.Example == nil {
			continue
		}
		size := cSize(b, row.On)
		s := layout(scalar("v_raw", row.CName, event.Uint, size))
		apply(b, s, testEnv(), annotations{})
		benchText(b, row.CName, s, "v", le(row.Example.Raw, size))
	}
	for _, e := range []*event.Enum{denseEnum(), sparseEnum(), setEnum()} {
		f := scalar("v_raw", e.Name, event.Uint, 4)
		f.Enum = e
		s := layout(f)
		apply(b, s, testEnv(), annotations{})
		benchText(b, e.Name, s, "v", le(e.Values[2].Value, 4))
	}
	for name, rec := range map[string][]byte{"IPv4": v4Record(), "IPv6": v6Record()} {
		s := layout(endpointFields("src", "gadget_l4endpoint_t", 0, "port", "proto_raw")...)
		apply(b, s, testEnv(), annotations{})
		benchText(b, "endpoint/"+name, s, "src", rec)
		benchText(b, "addr/"+name, s, "src.addr", rec)
	}
}

func benchText(b *testing.B, name string, s *event.Schema, fieldName string, rec []byte) {
	b.Run(name, func(b *testing.B) {
		text := field(b, s, fieldName).Text
		batch := batchOf(s, rec)
		dst := make([]byte, 0, 256)
		b.ReportAllocs()
		for b.Loop() {
			dst = text(dst[:0], batch, 0)
		}
	})
}

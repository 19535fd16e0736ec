// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// stacksSchema is a data source of single events whose column has stacks, two texts of them, and a plain text.
func stacksSchema() (*event.Schema, *symbol.Table) {
	stacks := new(symbol.Table)
	stacks.Open()
	values := &sparse{}
	s := &event.Schema{Name: "stacks", Single: true, Size: 4, Fields: []event.Field{
		{Name: "id", Kind: event.Uint, Size: 4, Parent: event.NoParent},
	}}
	s.AddColumn(
		event.Field{Name: "symbols", Kind: event.String, Parent: event.NoParent, Table: symbol.NewText(stacks, symbol.Symbols, 1<<20)},
		event.Field{Name: "addresses", Kind: event.String, Parent: event.NoParent, Table: symbol.NewText(stacks, symbol.Addresses, 1<<20)},
		event.Field{Name: "plain", Kind: event.String, Parent: event.NoParent, Table: values})
	values.set(1, "one", 0)
	return s, stacks
}

// stackOf returns a stack with n addresses. Stacks share their module and their functions.
func stackOf(n int, module *symbol.Module, function *symbol.Function) *symbol.Stack {
	s := &symbol.Stack{Truncated: n%2 == 0}
	for i := range n {
		s.Addresses = append(s.Addresses, uint64(1000*n+i))
		s.Locations = append(s.Locations, &symbol.Location{Module: module, Function: function, Address: uint64(i)})
	}
	return s
}

// recordStacks records an event for each stack.
func recordStacks(t testing.TB, out io.Writer, stacks int) (want []string) {
	t.Helper()
	s, table := stacksSchema()
	w, err := wire.NewWriter(out, wire.Header{DataSources: []wire.DataSource{{Schema: s}}})
	if err != nil {
		t.Fatal(err)
	}
	module, function := &symbol.Module{Name: "/bin/a", BuildID: "ff"}, &symbol.Function{Name: "f<int>", System: "_Zf"}
	for i := range stacks {
		b := &event.Batch{Schema: s, Rows: [][]byte{record(4, byte(i)), record(4, 0)}}
		stack := stackOf(i%100, module, function)
		table.Put(event.Handle(i+1), stack)
		setHandles(b, 0, event.Handle(i+1), 0)
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%s|%s|%v", stack.Append(nil, symbol.Symbols), stack.Append(nil, symbol.Addresses), stack.Truncated))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return want
}

// readStacks returns what a recording has about the stack of the first event of each batch. each is called for each batch.
func readStacks(t *testing.T, in io.Reader, each func(b *event.Batch)) (got []string) {
	t.Helper()
	r, err := wire.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := r.Schemas()[0]
	symbols, addresses := readerOf(t, s, "symbols"), readerOf(t, s, "addresses")
	i, _ := s.Lookup("symbols")
	stacks, ok := s.Fields[i].Table.(symbol.Stacks)
	if !ok {
		t.Fatal("the field has no stacks")
	}
	for {
		var b event.Batch
		if err := r.Next(context.Background(), &b); errors.Is(err, io.EOF) {
			return got
		} else if err != nil {
			t.Fatal(err)
		}
		if len(b.Rows) == 0 {
			continue
		}
		each(&b)
		stack := stacks.Stack(s.Columns()[0].At(&b, 0))
		if stack == nil || stacks.Stack(s.Columns()[0].At(&b, 1)) != nil {
			t.Fatalf("batch %d: a stack is missing, or too many", len(got))
		}
		got = append(got, fmt.Sprintf("%s|%s|%v", symbols.Bytes(&b, 0), addresses.Bytes(&b, 0), stack.Truncated))
	}
}

func readerOf(t *testing.T, s *event.Schema, name string) event.Reader {
	t.Helper()
	r, err := s.ReaderOf(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStacks(t *testing.T) {
	for _, n := range []int{1, 300, 20000} { // with the last number the dictionaries begin again
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var out bytes.Buffer
			want := recordStacks(t, &out, n)
			got := readStacks(t, &out, func(*event.Batch) {})
			if len(got) != len(want) {
				t.Fatalf("%d stacks of %d", len(got), len(want))
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("stack %d: got %q, want %q", i, got[i], want[i])
				}
			}
		})
	}
}

// A copy of a recording has the same stacks.
func TestStacksOfACopy(t *testing.T) {
	var first, second bytes.Buffer
	want := recordStacks(t, &first, 500)
	original := first.Bytes()
	r, err := wire.NewReader(bytes.NewReader(original))
	if err != nil {
		t.Fatal(err)
	}
	w, err := wire.NewWriter(&second, *r.Header())
	if err != nil {
		t.Fatal(err)
	}
	for {
		var b event.Batch
		if err := r.Next(context.Background(), &b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(&b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := readStacks(t, &second, func(*event.Batch) {})
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("the stacks of the copy are others")
	}
	// Names that stacks share are there once.
	if n := bytes.Count(original, []byte("f<int>")); n != 1 {
		t.Errorf("a name is there %d times", n)
	}
}

// Frames of stacks with good checksums and bad contents.
func TestHostileStacks(t *testing.T) {
	header := rawFrame{'H', []byte(`{"schemas":[{"single":true,"size":1,"added":[{"name":"symbols","kind":5,"parent":-1,"column":1,"stack":"symbols"},{"name":"addresses","kind":5,"parent":-1,"column":1,"stack":"addresses"}]}],` +
		`"dataSources":[{"name":"a","schema":0}]}`)}
	one := rawFrame{'D', []byte{0, 0, 1, 0, 0}}
	batch := rawFrame{'B', []byte{0, 0, 2, 1, 1, 7, 7, 1, 1 << 1, 0}}
	good := "\x00\x00\x01\x00\x00\x05\x01\x00\x00\x01\x02\x0112345678"
	for _, c := range []struct{ name, payload, want string }{
		{"no contents", "", "shorter than"},
		{"data source", "\x00\x00\x00\x01\x01\x00\x01\x00", "a stack of column 0 of data source 1"},
		{"column", "\x00\x00\x00\x01\x00\x01\x01\x00", "a stack of column 1 of data source 0"},
		{"handle 0", "\x00\x00\x00\x01\x00\x00\x00\x00", "a stack of the handle 0, and there are values up to 1"},
		{"handle without values", "\x00\x00\x00\x01\x00\x00\x02\x00", "a stack of the handle 2, and there are values up to 1"},
		{"location", "\x00\x00\x00\x01\x00\x00\x01\x02\x0112345678", "location 1, and there are 0"},
		{"bytes left", good + "x", "1 bytes too many"},
	} {
		_, _, err := read(join([]rawFrame{header, one, {'s', []byte(c.payload)}, batch}))
		if !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("%s: %v", c.name, err)
		}
		wantError(t, err, c.want)
	}
	got := readStacks(t, bytes.NewReader(join([]rawFrame{header, one, {'s', []byte(good)}, batch, {'E', []byte{1, 2, 0}}})), func(*event.Batch) {})
	if len(got) != 1 {
		t.Errorf("the good frame: %q", got)
	}
}

// A header cannot say that what is no text is the text of stacks.
func TestStacksOfNumbers(t *testing.T) {
	for _, field := range []string{`{"name":"t","kind":1,"parent":-1,"column":1,"stack":"symbols"}`, `{"name":"t","kind":6,"parent":-1,"stack":"symbols"}`} {
		_, _, err := read(join([]rawFrame{{'H', []byte(`{"schemas":[{"single":true,"size":1,"added":[` + field + `]}],"dataSources":[{"name":"a","schema":0}]}`)}}))
		wantError(t, err, "the text of stacks can only be text in a column")
	}
}

// Lines of source come at the end. A reader that asks for none, and one that does not know them, goes over them.
func TestLinesOfSource(t *testing.T) {
	s, table := stacksSchema()
	var out bytes.Buffer
	w, err := wire.NewWriter(&out, wire.Header{DataSources: []wire.DataSource{{Schema: s}}})
	check(t, err)
	module := &symbol.Module{Name: "/bin/a", BuildID: "ff"}
	var places symbol.Places
	w.EachStack(places.Add)
	for i := range 3 {
		b := &event.Batch{Schema: s, Rows: [][]byte{record(4, byte(i))}}
		table.Put(event.Handle(i+1), stackOf(i+1, module, nil))
		setHandles(b, 0, event.Handle(i+1))
		check(t, w.Write(b))
	}
	var known symbol.Lines
	for m, addresses := range places.All() {
		if fmt.Sprint(addresses) != "[0 1]" { // 1 and 2 are return addresses
			t.Errorf("the places are %v", addresses)
		}
		for _, a := range addresses {
			known.Add(m, a, []symbol.Line{{Function: &symbol.Function{Name: "f", System: "_f"}, File: "/src/a.c", Line: 7 + int(a), Start: 2}})
		}
	}
	complete, err := w.AddLines(&known)
	check(t, err)
	check(t, w.Close())
	if !complete {
		t.Error("there is no room")
	}
	for _, keep := range []bool{true, false} {
		r, err := wire.NewReader(bytes.NewReader(out.Bytes()))
		check(t, err)
		got := new(symbol.Lines)
		if keep {
			got = r.KeepLines()
		}
		for err == nil {
			err = r.Next(t.Context(), new(event.Batch))
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		lines := got.Of(module, 1)
		if keep && (len(lines) != 1 || lines[0].File != "/src/a.c" || lines[0].Line != 8 || lines[0].Start != 2 || lines[0].Function.System != "_f") || !keep && lines != nil {
			t.Errorf("keep %v: %+v", keep, lines)
		}
	}
	frames, _ := split(out.Bytes())
	if n := len(frames); frames[n-2].kind != 'l' || frames[n-1].kind != 'E' {
		t.Errorf("the last frames are %c, %c", frames[n-2].kind, frames[n-1].kind)
	}
}

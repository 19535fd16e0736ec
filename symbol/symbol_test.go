// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func sample() *Stack {
	libc := &Module{Name: "/usr/lib/x86_64-linux-gnu/libc.so.6", BuildID: "00ff", Start: 0x26000, Limit: 0x180000, Offset: 0x25000}
	return &Stack{
		Addresses: []uint64{0xffffffff81000010, 0x7f0000026123, 0x7f0000027000, 0x11},
		Locations: []*Location{
			{Module: &Module{Name: "[kernel]", Kernel: true, BuildID: "aa"}, Address: 0xffffffff81000010},
			{Module: libc, Address: 0x26123, Function: &Function{"qsort_r", "qsort_r"}},
			{Module: libc, Address: 0x27000},
			{Address: 0x11},
		},
	}
}

func TestAppend(t *testing.T) {
	for f, want := range map[Format]string{
		Symbols:   "0xffffffff81000010; qsort_r; libc.so.6+0x27000; 0x11; ",
		Addresses: "0xffffffff81000010; 0x00007f0000026123; 0x00007f0000027000; 0x0000000000000011; ",
		BuildIDs:  "0xffffffff81000010; 00ff +25123; 00ff +26000; 0x0000000000000011; ",
	} {
		if got := string(sample().Append([]byte("> "), f)); got != "> "+want {
			t.Errorf("%s: got %q, want %q", f, got, want)
		}
		if !f.IsKnown() {
			t.Errorf("%s is not known", f)
		}
	}
	if Format("lines").IsKnown() {
		t.Error("a format that does not exist is known")
	}
}

func TestAppendLong(t *testing.T) {
	s := &Stack{}
	for i := range 100 {
		s.Addresses = append(s.Addresses, uint64(i))
		s.Locations = append(s.Locations, &Location{Function: &Function{Name: strings.Repeat("n", 1000)}})
	}
	got := string(s.Append(nil, Symbols))
	if len(got) > maxText || !strings.HasSuffix(got, "n; …") {
		t.Errorf("%d bytes that end in %q", len(got), got[len(got)-10:])
	}
}

func TestTable(t *testing.T) {
	var table Table
	text := NewText(&table, Symbols, 1<<20)
	stacks := []*Stack{sample(), {Addresses: []uint64{1}, Locations: []*Location{{Address: 1}}}}
	for i, s := range stacks {
		table.Open()
		table.Put(event.Handle(i+1), s)
	}
	for h, want := range map[event.Handle]*Stack{0: nil, 1: stacks[0], 2: stacks[1], 3: nil} {
		if text.Stack(h) != want {
			t.Errorf("handle %d has another stack", h)
		}
		if got := text.Bytes(h); (got == nil) != (want == nil) || want != nil && string(got) != string(want.Append(nil, Symbols)) {
			t.Errorf("handle %d has the text %q", h, got)
		}
	}
	table.DropOldest()
	if text.Stack(1) != nil || text.Stack(2) != stacks[1] {
		t.Error("DropOldest has forgotten another generation")
	}
}

// A text is made once. After that it costs no memory.
func TestTextAllocates(t *testing.T) {
	var table Table
	table.Open()
	table.Put(1, sample())
	text := NewText(&table, Symbols, 1<<20)
	text.Bytes(1)
	if n := testing.AllocsPerRun(100, func() { text.Bytes(1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The texts of very many stacks do not all stay in memory.
func TestTextsAreBounded(t *testing.T) {
	var table Table
	table.Open()
	text := NewText(&table, Symbols, 1<<20)
	name := strings.Repeat("n", 1000)
	for h := event.Handle(1); h < 3<<20/1000; h++ {
		table.Put(h, &Stack{Addresses: []uint64{1}, Locations: []*Location{{Function: &Function{Name: fmt.Sprint(h, name)}}}})
		text.Bytes(h)
		if text.size > 1<<20 {
			t.Fatalf("%d bytes", text.size)
		}
	}
	if got := string(text.Bytes(7)); got != "7 "+name+"; " && got != "7"+name+"; " {
		t.Errorf("an early stack has the text %.20q", got)
	}
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stackdict

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/symbol"
)

// two returns two stacks that share a module, a function and a location.
func two() []*symbol.Stack {
	libc := &symbol.Module{Name: "/usr/lib/libc.so.6", BuildID: "0123abcd", Start: 0x1000, Limit: 0x5000, Offset: 0x1000}
	kernel := &symbol.Module{Name: "[kernel]", Kernel: true}
	write := &symbol.Location{Module: libc, Address: 0x1234, Function: &symbol.Function{Name: "write", System: "write"}}
	mangled := &symbol.Location{Module: libc, Address: 0x2345, Function: &symbol.Function{Name: "a::b()", System: "_ZN1a1bEv"}}
	return []*symbol.Stack{
		{Addresses: []uint64{math.MaxUint64 - 5, 0x7f0000001234}, Locations: []*symbol.Location{{Module: kernel, Address: math.MaxUint64 - 5}, write}},
		{Addresses: []uint64{0x7f0000001234, 0x7f0000002345, 7}, Locations: []*symbol.Location{write, mangled, {Address: 7}}, Truncated: true},
		{},
	}
}

func TestRoundTrip(t *testing.T) {
	var e Encoder
	var d Decoder
	for round := range 2 { // the second begins again
		var got []*symbol.Stack
		for i, s := range two() {
			e.Add(Place{Source: i, Column: 2 * i, Handle: uint32(3 * i)}, s)
			if i == 0 {
				continue
			}
			payloads := e.Take()
			if more := e.Take(); len(payloads) != 1 || len(more) != 0 {
				t.Fatalf("%d payloads, and then %d", len(payloads), len(more))
			}
			_, err := d.Decode(payloads[0], math.MaxInt, func(source, column, handle uint64, s *symbol.Stack) error {
				if n := uint64(len(got)); source != n || column != 2*n || handle != 3*n {
					t.Errorf("stack %d is of %d, %d, %d", n, source, column, handle)
				}
				got = append(got, s)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if want := two(); len(got) != len(want) {
			t.Fatalf("round %d: %d stacks", round, len(got))
		}
		for i, want := range two() {
			if len(want.Addresses) == 0 {
				want.Addresses, want.Locations = []uint64{}, []*symbol.Location{}
			}
			if !reflect.DeepEqual(got[i], want) {
				t.Errorf("stack %d: got %+v, want %+v", i, got[i], want)
			}
		}
		if got[0].Locations[1] != got[1].Locations[0] || got[0].Locations[1].Module != got[1].Locations[1].Module {
			t.Error("what two stacks share is there twice")
		}
		e.Restart()
		d.Restart()
	}
}

// What a reader counts is never more than what the writer has counted.
func TestCost(t *testing.T) {
	var e Encoder
	written := 0
	for i, s := range two() {
		written += e.Cost(s)
		e.Add(Place{Handle: uint32(i + 1)}, s)
	}
	payload := e.Take()[0]
	var d Decoder
	read, err := d.Decode(payload, written, func(_, _, _ uint64, _ *symbol.Stack) error { return nil })
	if err != nil || read > written || read < written/2 {
		t.Errorf("the reader counts %d, the writer %d: %v", read, written, err)
	}
	if again := e.Cost(two()[0]); again < costOfStack+2*costOfLocation {
		t.Errorf("new locations count as %d", again)
	}
	var limited Decoder
	if _, err := limited.Decode(payload, read-1, func(_, _, _ uint64, _ *symbol.Stack) error { return nil }); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("above the limit: %v", err)
	}
}

// A stack with more addresses than a reader takes is cut, and says so.
func TestManyAddresses(t *testing.T) {
	here := &symbol.Location{Address: 1}
	long := &symbol.Stack{Addresses: make([]uint64, MaxAddresses+1), Locations: make([]*symbol.Location, MaxAddresses+1)}
	for i := range long.Locations {
		long.Locations[i] = here
	}
	var e Encoder
	e.Add(Place{Handle: 1}, long)
	var d Decoder
	_, err := d.Decode(e.Take()[0], math.MaxInt, func(_, _, _ uint64, s *symbol.Stack) error {
		if len(s.Addresses) != MaxAddresses || !s.Truncated {
			t.Errorf("%d addresses, truncated: %v", len(s.Addresses), s.Truncated)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Many stacks become several payloads, each of which a reader takes.
func TestManyStacks(t *testing.T) {
	var e Encoder
	const n = 20000
	for i := range n {
		s := &symbol.Stack{}
		for j := range 24 {
			s.Addresses = append(s.Addresses, uint64(i*24+j))
			s.Locations = append(s.Locations, &symbol.Location{Address: uint64(j)})
		}
		e.Add(Place{Handle: uint32(i + 1)}, s)
	}
	var d Decoder
	seen := uint64(0)
	payloads := e.Take()
	for _, p := range payloads {
		if len(p) > 2<<20 {
			t.Errorf("a payload of %d bytes", len(p))
		}
		_, err := d.Decode(p, math.MaxInt, func(_, _, handle uint64, s *symbol.Stack) error {
			if seen++; handle != seen || s.Addresses[3] != (handle-1)*24+3 {
				t.Fatalf("stack %d has the handle %d and the address %d", seen, handle, s.Addresses[3])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen != n || len(payloads) < 5 {
		t.Errorf("%d stacks in %d payloads", seen, len(payloads))
	}
}

func TestDamage(t *testing.T) {
	for name, payload := range map[string]string{
		"empty":                   "",
		"no module":               "\x01",
		"long name":               "\x01\x00\x7f",
		"module of a location":    "\x00\x00\x01\x01\x00\x05\x00",
		"function of a location":  "\x00\x00\x01\x00\x01\x05\x00",
		"location of an address":  "\x00\x00\x00\x01\x00\x00\x01\x02\x0112345678",
		"address without one":     "\x00\x00\x00\x01\x00\x00\x01\x02\x0012345678",
		"more addresses than are": "\x00\x00\x00\x01\x00\x00\x01\x08",
		"too many bytes":          "\x00\x00\x00\x00\x00",
		"many of nothing":         "\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
	} {
		var d Decoder
		if _, err := d.Decode([]byte(payload), math.MaxInt, func(_, _, _ uint64, _ *symbol.Stack) error { return nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	var e Encoder
	for i, s := range two() {
		e.Add(Place{Handle: uint32(i + 1)}, s)
	}
	f.Add(e.Take()[0])
	f.Fuzz(func(t *testing.T, payload []byte) {
		var d Decoder
		cost, err := d.Decode(payload, 1<<20, func(_, _, _ uint64, s *symbol.Stack) error {
			for _, l := range s.Locations {
				if l == nil {
					t.Error("a location is missing")
				}
			}
			return nil
		})
		if err == nil && cost > 1<<20 {
			t.Errorf("it counts for %d", cost)
		}
	})
}

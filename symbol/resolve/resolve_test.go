// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// own returns the addresses of this function and its callers.
//
//go:noinline
func own() []uint64 {
	pcs := make([]uintptr, 16)
	var addresses []uint64
	for _, pc := range pcs[:runtime.Callers(1, pcs)] {
		addresses = append(addresses, uint64(pc))
	}
	return addresses
}

func namesOf(s *symbol.Stack) []string {
	var all []string
	for _, l := range s.Locations {
		all = append(all, string(l.AppendName(nil)))
	}
	return all
}

// self is the moment now of this process.
func self() Moment { return Moment{PID: uint32(os.Getpid())} }

func following(t *testing.T) *Resolver {
	t.Helper()
	kerneltest.RequireRoot(t)
	r := New(Options{})
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	if warning, err := r.FollowProcesses(); err != nil || warning != nil {
		t.Fatal(err, warning)
	}
	return r
}

func TestUser(t *testing.T) {
	r := following(t)
	addresses := own()
	s := r.User(self(), addresses)
	got := namesOf(s)
	if len(got) < 3 || got[0] != "github.com/gizmo-ebpf/gizmo/symbol/resolve.own" ||
		got[1] != "github.com/gizmo-ebpf/gizmo/symbol/resolve.TestUser" || s.Truncated {
		t.Errorf("got %q", got)
	}
	if m := s.Locations[0].Module; m == nil || !strings.HasSuffix(m.Name, "resolve.test") || m.Limit <= m.Start || m.Kernel {
		t.Errorf("the module is %+v", m)
	}
	if again := r.User(self(), own()); again.Locations[1] != s.Locations[1] && again.Addresses[1] == s.Addresses[1] {
		t.Error("a location is there twice")
	}
}

// Behind an address in no mapping there is nothing to trust.
func TestUserCuts(t *testing.T) {
	r := following(t)
	addresses := own()
	s := r.User(self(), []uint64{addresses[0], addresses[1], 0x10, addresses[2]})
	if len(s.Locations) != 2 || len(s.Addresses) != 2 || !s.Truncated {
		t.Errorf("%q, truncated: %v", namesOf(s), s.Truncated)
	}
	if s := r.User(self(), []uint64{addresses[0], 0}); len(s.Locations) != 1 || !s.Truncated {
		t.Errorf("a mark at the end: %q, truncated: %v", namesOf(s), s.Truncated)
	}
	if s := r.User(self(), nil); len(s.Locations) != 0 || s.Truncated {
		t.Errorf("no addresses: %q", namesOf(s))
	}
}

// Without a tracker, and of a process that is not there, addresses have no names, and all stay.
func TestUserUnknown(t *testing.T) {
	addresses := own()[:2]
	for what, r := range map[string]*Resolver{"no tracker": New(Options{}), "no process": following(t)} {
		s := r.User(Moment{PID: 1 << 30}, addresses)
		if !reflect.DeepEqual(s.Addresses, addresses) || s.Locations[0].Function != nil || s.Locations[1].Module != nil {
			t.Errorf("%s: %q", what, namesOf(s))
		}
	}
}

func TestKernel(t *testing.T) {
	kerneltest.RequireRoot(t)
	r := New(Options{})
	defer r.Close()
	if err := r.LoadKernel(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	address := uint64(0)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[2] == "do_exit" {
			for _, c := range f[0] {
				address = address<<4 | uint64(strings.IndexRune("0123456789abcdef", c))
			}
		}
	}
	// The second is a return address: it follows a call that is the last instruction of the function before.
	s := r.Kernel([]uint64{address, address})
	if got := namesOf(s); got[0] != "do_exit" || got[1] == "do_exit" || !s.Locations[0].Module.Kernel {
		t.Errorf("got %q", got)
	}
}

// What a program sends that is no sample is no stack.
func TestUnwindDamaged(t *testing.T) {
	r := New(Options{})
	if got, ok := r.Unwind(self(), DWARF, []byte("short"), nil); ok {
		t.Errorf("got %x", got)
	}
}

func BenchmarkUser(b *testing.B) {
	r := New(Options{})
	defer r.Close()
	if _, err := r.FollowProcesses(); err != nil {
		b.Skip(err)
	}
	addresses := own()
	for b.Loop() {
		r.User(self(), addresses)
	}
}

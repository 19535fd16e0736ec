// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget"
)

// scenario is a play of several processes, and what the test knows about it.
type scenario struct {
	t    *testing.T
	dir  string // for links to this program
	root *process
	ns   uint32

	processes []*process

	claims  []claimed
	sent    int                // payloads
	mayLack func(*packet) bool // packets that need no owner
	flusher *sock
	flushes int

	// Whether the kernel has hooks where a process receives, and where it accepts without asking for the address.
	seesReceive, seesAccept bool
}

// sinks is how many sockets take datagrams, on ports from sinkPort on.
const (
	sinks     = 4
	sinkPort  = 9
	flushPort = 60000
)

// newScenario starts the first process of a scenario, whose packets the watcher sees.
func newScenario(t *testing.T, w *watcher, owners *Owners) *scenario {
	t.Helper()
	s := &scenario{t: t, dir: t.TempDir(), seesReceive: owners.has("on_received"), seesAccept: owners.has("on_accepted")}
	s.root = s.begin("root")
	s.ns = w.add(t, s.root.pid)
	for i := range sinks {
		k, err := s.root.open(unix.AF_INET6, unix.SOCK_DGRAM, 0)
		if err == nil {
			k.bind(fmt.Sprintf("[::]:%d", sinkPort+i))
			continue
		}
		s.root.udp().bind(fmt.Sprintf("0.0.0.0:%d", sinkPort+i))
	}
	s.flusher = s.root.udp().bind(fmt.Sprintf("127.0.0.1:%d", flushPort))
	return s
}

// sink returns the address of a socket that takes datagrams.
func sink(i int) string { return fmt.Sprintf("127.0.0.1:%d", sinkPort+i) }

// process makes a process.
func (s *scenario) process(name string) *process {
	s.t.Helper()
	p, _ := s.root.child(name)
	return p
}

// settle is how long TCP may take for what it does later: it delays an acknowledgement by 40 ms.
const settle = 80 * time.Millisecond

// packets returns all packets so far: once the last one has been seen, by each program.
func (s *scenario) packets(w *watcher) []packet {
	s.t.Helper()
	time.Sleep(settle)
	s.flusher.sendTo(sink(0))
	s.flushes++
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		all := w.in(s.ns)
		if s.flushed(w, all) {
			return all
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the last packet was not seen")
		}
	}
}

func (s *scenario) flushed(w *watcher, all []packet) bool {
	var seen, want int
	for _, p := range all {
		if p.lport == flushPort || p.rport == flushPort {
			seen++
		}
	}
	for _, g := range w.gadgets {
		if want += s.flushes; g.HasPackets() {
			want += s.flushes // it is seen going out and coming in
		}
	}
	return seen >= want
}

// has reports whether the kernel runs a program of the owners.
func (o *Owners) has(program string) bool {
	return o != nil && slices.ContainsFunc(o.gadget.Programs(), func(c gadget.Choice) bool { return c.Program.Name == program && c.Why == nil })
}

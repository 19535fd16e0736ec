// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// many opens n sockets for UDP in processes of their own. It returns the last of these, and its last descriptor.
func (s *scenario) many(n int) (p *process, lastFD int) {
	s.t.Helper()
	const perProcess, firstPort = 16_500, 5000 // root may be limited to 20,000 descriptors
	for i := 1; ; i++ {
		p = s.process("many")
		last := p.do(&order{Call: "many", Addr: fmt.Sprintf("127.0.0.%d", i), Args: []int{firstPort, min(n, perProcess)}}).FD
		if n -= perProcess; n <= 0 {
			return p, last
		}
	}
}

// Sockets for which there is no room are counted, and their packets have no owner. Those of all others have the right one.
func TestFullMaps(t *testing.T) {
	const most, extra, part = 16384, 100, 200
	owners := startOwners(t, &Options{MaxSockets: most})
	w := watch(t, owners, nil, "tap")
	s := newScenario(t, w, owners)
	if full, err := owners.Full(); err != nil || full != 0 {
		t.Fatalf("%d sockets do not fit, %v", full, err)
	}
	p, lastFD := s.many(most + extra)
	full, err := owners.Full()
	if err != nil || full < extra {
		t.Errorf("%d sockets do not fit, want %d at least; %v", full, extra, err)
	}
	o := &order{Call: "send-all", Addr: sink(0)}
	for i := range part {
		o.FDs = append(o.FDs, lastFD-i, lastFD-most/2-i) // some of the last ones, some of others
	}
	p.do(o)
	have, lack := 0, 0
	for _, packet := range s.packets(w) {
		switch {
		case packet.lport < 5000 || !packet.outgoing || packet.lport == flushPort:
		case packet.pid == uint32(p.pid):
			have++
		case packet.pid == 0:
			lack++
		default:
			t.Errorf("%v: owner %d, want %d or none", &packet, packet.pid, p.pid)
		}
	}
	if have < part || lack < extra || have+lack != 2*part {
		t.Errorf("%d packets have the right owner, %d none", have, lack)
	}
	p.close()
	before := now(t)
	next := s.process("next")
	for i := range extra {
		next.udp().bind(fmt.Sprintf("127.0.0.1:%d", 5000+i)).sendTo(sink(0))
	}
	have = 0
	for _, packet := range s.packets(w) {
		if packet.time > before && packet.outgoing && packet.pid == uint32(next.pid) {
			have++
		}
	}
	if have != extra {
		t.Errorf("%d packets have the right owner when there is room again, want %d", have, extra)
	}
}

var memlockLine = regexp.MustCompile(`(?m)^memlock:\t(\d+)$`)

// mapMemory returns how many bytes the maps of this process take, as the kernel counts them since Linux 6.4.
func mapMemory(t *testing.T, owners *Owners) int {
	t.Helper()
	sum := 0
	for _, name := range []string{portsMap, ownersMap, setsMap, pastMap, "gadget_socket_begun", blankMap} {
		m, ok := owners.gadget.Map(name)
		if !ok {
			t.Fatal("no map", name)
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", m.FD()))
		parts := memlockLine.FindSubmatch(info)
		if err != nil || parts == nil {
			t.Fatalf("%s: %s, %v", name, info, err)
		}
		n, err := strconv.Atoi(string(parts[1]))
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// The owners of 100,000 sockets take less than 40 MiB, as the kernel counts what maps take, if no gadget asks for paths.
func TestManySocketsTakeLittleMemory(t *testing.T) {
	const sockets, limit = 100_000, 40 << 20
	owners := startOwners(t, nil)
	w := watch(t, owners, nil)
	s := newScenario(t, w, owners)
	before := mapMemory(t, owners)
	s.many(sockets)
	maps := mapMemory(t, owners)
	t.Logf("maps: %.1f MiB, before %.1f MiB", mib(maps), mib(before))
	if maps > limit || maps-before < sockets*ownerSize {
		t.Errorf("the maps take %.1f MiB, before %.1f MiB", mib(maps), mib(before))
	}
	if full, err := owners.Full(); err != nil || full > 0 {
		t.Errorf("%d sockets do not fit: %v", full, err)
	}
}

func mib(bytes int) float64 { return float64(bytes) / (1 << 20) }

// The owners of 10,000 sockets that exist are found quickly: BenchmarkFindSockets has the figure. The limit is for machines that are busy.
func TestManySocketsAreFoundQuickly(t *testing.T) {
	const sockets, limit = 10_000, 3 * time.Second
	newScenario(t, &watcher{}, nil).many(sockets)
	owners := openOwners(t, nil)
	before := time.Now()
	if err := owners.findSockets(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(before)
	t.Logf("%d sockets found in %v", sockets, took)
	if found := countEntries(t, owners); found < sockets || took > limit {
		t.Errorf("%d owners found in %v", found, took)
	}
}

func countEntries(t testing.TB, owners *Owners) int {
	t.Helper()
	m, _ := owners.gadget.Map(ownersMap)
	n := 0
	var key uint64
	var value []byte
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		n++
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func BenchmarkFindSockets(b *testing.B) {
	kerneltest.RequireRoot(b)
	const sockets = 10_000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < sockets+1000 {
		b.Skip("too few descriptors:", limit.Cur, err)
	}
	for range sockets {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { unix.Close(fd) })
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			b.Fatal(err)
		}
	}
	owners := openOwners(b, nil)
	for b.Loop() {
		if err := owners.findSockets(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		emptyMaps(b, owners, sockets)
		b.StartTimer()
	}
}

// emptyMaps makes owners forget all sockets, of which there must be a number at least.
func emptyMaps(b *testing.B, owners *Owners, least int) {
	b.Helper()
	if n := countEntries(b, owners); n < least {
		b.Fatalf("%d owners", n)
	}
	for name, size := range map[string]int{ownersMap: 8, setsMap: 44} {
		m, _ := owners.gadget.Map(name)
		for key := make([]byte, size); m.NextKey(nil, &key) == nil; {
			if err := m.Delete(key); err != nil {
				b.Fatal(err)
			}
		}
	}
}

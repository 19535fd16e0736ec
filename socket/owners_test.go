// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// Sockets that are older than the owners belong to a process that has them open.
func TestSocketsFromBefore(t *testing.T) {
	s := newScenario(t, &watcher{}, nil)
	l := s.process("server").listener("127.0.0.1:80")
	opener := s.process("opener")
	k, c := opener.udp().bind("127.0.0.1:81"), opener.client("127.0.0.1:80")
	accepted := l.accept(c, withAddress)
	heir, heirs := opener.child("heir", k, c)
	opener.close()
	s.root.udp6().bind("[::]:82")
	swap(heirs[1], accepted)
	owners := openOwners(t, nil)
	w := watch(t, owners, nil, "tap", "socks")
	w.add(t, s.root.pid)
	for _, c := range s.claims { // owners that start later cannot tell which process used a socket, only which processes have it open.
		s.own(c.socket, holdersOf(s, c.socket)...)
	}
	s.sent = 0
	if err := owners.Start(); err != nil {
		t.Fatal(err)
	}
	client := s.process("client").udp()
	client.sendTo("127.0.0.1:81")
	client.sendTo("127.0.0.1:82")
	swap(heirs[1], accepted)
	heirs[0].sendTo(sink(0))
	serve(l, heir.client("127.0.0.1:80"), withAddress)
	t.Log(table("before", s.check(s.packets(w))))
}

// holdersOf returns the processes that have a socket open.
func holdersOf(s *scenario, k *kind) []*process {
	var found []*process
	for _, p := range s.processes {
		if slices.ContainsFunc(p.socks, func(other *sock) bool { return other.kind == k }) && !p.ended {
			found = append(found, p)
		}
	}
	return found
}

// Programs whose look-ups gizmo replaces see each connection's own owner. Others, beside them, see one of those that have the port.
func TestReplacedAndPlainLookups(t *testing.T) {
	owners := startOwners(t, nil)
	exact := watch(t, owners, nil, "tap", "socks")
	if owners.ports {
		t.Error("the map of ports is filled, and no program reads it")
	}
	early := newScenario(t, exact, owners) // with sockets that are older than the first program that needs the map of ports
	sharedLocalPort(early)
	older := early.process("older").udp().bind("127.0.0.1:70")
	plain := watch(t, owners, nil, "plain", "bykey")
	if !owners.ports {
		t.Fatal("the map of ports is not filled")
	}
	plain.add(t, early.root.pid)
	older.sendTo(sink(0))
	twoAddresses(early)
	early.check(early.packets(exact))
	seen := early.packets(plain)
	kinds := make(map[string]int)
	for i := range seen {
		p := &seen[i]
		kinds[p.class()]++
		sharing := p.lport == 80
		switch result, why := early.judge(p); {
		case result == right:
		case sharing && result == wrong && slices.Contains([]string{"one", "two"}, p.comm): // one of them
		default:
			t.Errorf("%v: %s", p, why)
		}
	}
	for _, class := range []string{"tap out UDP", "tap in UDP", "queue out UDP"} {
		if kinds[class] < 12 {
			t.Errorf("%d packets %s", kinds[class], class)
		}
	}
}

// The map of ports shows connections and listeners, too, and forgets what was closed.
func TestMapOfPorts(t *testing.T) {
	owners := startOwners(t, nil)
	w := watch(t, owners, nil, "plain", "bykey")
	s := newScenario(t, w, owners)
	forkAfterAccept(s)
	shortDatagramSockets(s, true)
	// A connection that came in has the port of its listener, which is shown.
	rows := make(map[string]int)
	for _, p := range s.packets(w) {
		result, why := s.judge(&p)
		isServer := p.lport == 80
		switch {
		case result == right:
			rows[p.class()]++
		case isServer && result == wrong && strings.HasPrefix(p.comm, "server"), isServer && p.comm == "parent":
		case result == unowned && p.flags&1 != 0, result == unowned && p.size == 0: // after it was closed
		default:
			t.Errorf("%v: %s", &p, why)
		}
	}
	for _, class := range []string{"tap out SYN", "tap in SYN", "tap out data", "queue out data"} {
		if rows[class] == 0 {
			t.Errorf("no packet %s was right: %v", class, rows)
		}
	}
	ports, _ := owners.gadget.Map(portsMap)
	s.root.close()
	for _, p := range s.processes {
		p.close()
	}
	var key [12]byte
	var value []byte
	for entries := ports.Iterate(); entries.Next(&key, &value); {
		if string(key[:4]) == string([]byte{byte(s.ns), byte(s.ns >> 8), byte(s.ns >> 16), byte(s.ns >> 24)}) {
			t.Errorf("a port of a closed socket: %x", key)
		}
	}
}

// The paths of owners are right if a gadget asks for them, and two owners with different fields run at once.
func TestPathsOfOwners(t *testing.T) {
	kerneltest.RequireRoot(t)
	pool := NewPool(Options{Fields: Fields{Cwd: 256, Exepath: 100}, Logger: logger(t)})
	get := func(params map[string]image.Value) *Lease {
		fields, err := gadget.SocketFields(parseGadget(t, "tap"), &gadget.LoadOptions{Params: params})
		if err != nil {
			t.Fatal(err)
		}
		lease, err := pool.Get(fields)
		if err != nil {
			t.Fatal(explain(err))
		}
		t.Cleanup(func() {
			if err := lease.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := lease.Start(); err != nil {
			t.Fatal(err)
		}
		return lease
	}
	without, with := get(nil), get(map[string]image.Value{"paths": yes})
	if without.Owners == with.Owners || without.sizes.fields != (Fields{}) || with.sizes.fields != (Fields{256, 104}) {
		t.Fatalf("fields %+v and %+v", without.sizes.fields, with.sizes.fields)
	}
	if again := get(nil); again.Owners != without.Owners {
		t.Error("a gadget that needs no fields gets owners of its own")
	}
	short, long := watch(t, without, nil, "tap", "socks"), watch(t, with, map[string]image.Value{"paths": yes}, "tap", "socks")
	s := newScenario(t, short, with.Owners)
	long.add(t, s.root.pid)
	p := s.process("wanderer")
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p.do(&order{Call: "chdir", Path: dir})
	k := p.udp().bind("127.0.0.1:80")
	k.sendTo(sink(0))
	s.check(s.packets(short))
	packets := s.packets(long)
	s.check(packets)
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range packets {
		if p.comm != "wanderer" {
			continue
		}
		found++
		if p.cwd != dir || p.exepath != exe[:min(len(exe), 103)] {
			t.Errorf("%v: cwd %q, exepath %q, want %q, %q", &p, p.cwd, p.exepath, dir, exe)
		}
	}
	if found < 2 {
		t.Error("packets:", found)
	}
}

// When gizmo is killed, no program of the owners stays.
func TestKillLeavesNothing(t *testing.T) {
	kerneltest.RequireRoot(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holdEnv+"=yes")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // keeps it waiting
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	held := kerneltest.ObjectsOf(cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	kinds := make(map[string]int)
	for _, o := range held {
		kinds[o.Kind]++
	}
	if line != "ready\n" || kinds["prog"] < 8 || kinds["link"] < 7 || kinds["map"] < 5 {
		t.Fatalf("%q, holds %v", line, kinds)
	}
	for _, o := range held {
		for deadline := time.Now().Add(20 * time.Second); o.Exists(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%+v is left", o)
			}
		}
	}
}

// holdEnv makes the test program a process that has owners until it is killed.
const holdEnv = "GIZMO_TEST_HOLD"

func hold() int {
	owners, err := Open(nil)
	if err == nil {
		err = owners.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// A program that allows no others on its control group is named in a warning, and the owners are found in another way. The test takes a
// group below the root, because others have owners, too.
func TestGroupIsTaken(t *testing.T) {
	kerneltest.RequireRoot(t)
	holder, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "lonely", Type: ebpf.CGroupSock, AttachType: ebpf.AttachCgroupInetSockRelease, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	path := filepath.Join(groupRoot(t), fmt.Sprintf("gizmo-test-taken-%d", os.Getpid()))
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	group, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	attach := link.RawAttachProgramOptions{Target: int(group.Fd()), Program: holder, Attach: ebpf.AttachCgroupInetSockRelease}
	if err := link.RawAttachProgram(attach); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	owners, err := Open(&Options{
		Types: types, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		metadata: fmt.Appendf(nil, "name: owners\nprograms:\n  on_release:\n    attach_to: %s\n", path),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer owners.Close()
	if owners.has("on_release") || !strings.Contains(log.String(), "lonely") || !strings.Contains(log.String(), "on_release") {
		t.Errorf("on_release is loaded: %v; log: %s", owners.has("on_release"), &log)
	}
	if !startOwners(t, nil).has("on_release") {
		t.Error("at the root the most exact way is not chosen")
	}
}

func groupRoot(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(path, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			return path
		}
	}
	t.Fatal("no control groups are mounted")
	return ""
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/tc"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// inBothWays runs a test with programs attached by links, where the kernel has them, and as filters.
func inBothWays(t *testing.T, test func(t *testing.T, o LoadOptions)) {
	kerneltest.RequireRoot(t)
	if tc.HasLinks() {
		t.Run("links", func(t *testing.T) { test(t, LoadOptions{}) })
	}
	t.Run("filters", func(t *testing.T) { test(t, LoadOptions{withoutTCLinks: true}) })
}

// pair is a virtual cable between a host and a container.
type pair struct {
	host, container     *network
	hostIP, containerIP string
	hostIndex           int
}

const packetLimit = 10 * time.Second // for a packet through a pair

// connectNetworks makes a pair number n. Both ends know each other's addresses.
func connectNetworks(t *testing.T, host, container *network, n int) *pair {
	t.Helper()
	p := &pair{host: host, container: container, hostIP: fmt.Sprintf("10.200.%d.1", n), containerIP: fmt.Sprintf("10.200.%d.2", n)}
	name, macs := fmt.Sprintf("gz%d", n), [2]net.HardwareAddr{{2, 0, 0, 0, byte(n), 1}, {2, 0, 0, 0, byte(n), 2}}
	err := host.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr = name, macs[0]
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: attrs, PeerName: fmt.Sprintf("eth%d", n), PeerHardwareAddr: macs[1], PeerNamespace: netlink.NsFd(container.FD()),
		})
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		kerneltest.Missing(t, "the kernel has no veth: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.hostIndex = setUp(t, host, name, p.hostIP, p.containerIP, macs[1])
	setUp(t, container, fmt.Sprintf("eth%d", n), p.containerIP, p.hostIP, macs[0])
	p.wait(t, host, container, p.containerIP)
	p.wait(t, container, host, p.hostIP)
	return p
}

// wait waits until packets pass, which the kernel drops for a moment after an interface is up.
func (p *pair) wait(t *testing.T, from, to *network, ip string) {
	t.Helper()
	conn := to.receiver(t, tapPort+1)
	defer conn.Close()
	for end := time.Now().Add(packetLimit); time.Now().Before(end); {
		from.send(t, ip, tapPort+1, 1)
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 10)); err == nil {
			return
		}
	}
	t.Fatalf("no packet passes within %v", packetLimit)
}

// setUp gives one end its address and that of the other end.
func setUp(t *testing.T, n *network, name, own, other string, mac net.HardwareAddr) (index int) {
	t.Helper()
	err := n.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		index = l.Attrs().Index
		address, err := netlink.ParseAddr(own + "/24")
		if err != nil {
			return err
		}
		return errors.Join(
			netlink.AddrAdd(l, address), netlink.LinkSetUp(l),
			netlink.NeighSet(&netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT, IP: net.ParseIP(other), HardwareAddr: mac}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// receiver is a socket that receives the packets to a port in a namespace.
func (n *network) receiver(t *testing.T, port int) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	err := n.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: port})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// mustReceive fails the test unless the socket receives packets of these sizes.
func mustReceive(t *testing.T, conn *net.UDPConn, sizes ...int) {
	t.Helper()
	for _, want := range sizes {
		if err := conn.SetReadDeadline(time.Now().Add(packetLimit)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 2000)); err != nil || n != want {
			t.Fatalf("received %d bytes, %v; want %d", n, err, want)
		}
	}
}

// exchange sends a packet of 10 bytes to the container and one of 20 bytes back, and waits for them.
func (p *pair) exchange(t *testing.T) {
	t.Helper()
	inside, outside := p.container.receiver(t, tapPort), p.host.receiver(t, tapPort)
	defer inside.Close()
	defer outside.Close()
	p.host.send(t, p.containerIP, tapPort, 10)
	mustReceive(t, inside, 10)
	p.container.send(t, p.hostIP, tapPort, 20)
	mustReceive(t, outside, 20)
}

// left lists the programs at the interfaces of the namespace, and the disciplines for filters.
func (n *network) left(t *testing.T) (list []string) {
	t.Helper()
	err := n.Do(func() error {
		all, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range all {
			disciplines, err := netlink.QdiscList(l)
			if err != nil {
				return err
			}
			for _, q := range disciplines {
				if q.Type() == "clsact" {
					list = append(list, l.Attrs().Name+" clsact")
				}
			}
			for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
				if filters, err := netlink.FilterList(l, parent); err == nil { // else there is no discipline
					list = append(list, slices.Repeat([]string{l.Attrs().Name + " filter"}, len(filters))...)
				}
			}
			for _, as := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
				if result, err := link.QueryPrograms(link.QueryOptions{Target: l.Attrs().Index, Attach: as}); err == nil {
					list = append(list, slices.Repeat([]string{l.Attrs().Name + " link"}, len(result.Programs))...)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// attached counts the programs at the interfaces of the namespace.
func (n *network) attached(t *testing.T) (programs int) {
	t.Helper()
	for _, what := range n.left(t) {
		if !strings.HasSuffix(what, " clsact") {
			programs++
		}
	}
	return programs
}

func (n *network) mustBeClean(t *testing.T, what string) {
	t.Helper()
	if left := n.left(t); len(left) > 0 {
		t.Errorf("%s: %q are left", what, left)
	}
}

// A program sees the packets that a container receives as ingress, and those that it sends as egress, at the other end of its interfaces.
func TestClassifiersOfContainers(t *testing.T) {
	inBothWays(t, func(t *testing.T, o LoadOptions) {
		host, one, two := ownNetwork(t), otherNetwork(t), otherNetwork(t)
		names := map[uint64]string{host.ID: "host", one.ID: "one", two.ID: "two"}
		first, second, other := connectNetworks(t, host, one, 1), connectNetworks(t, host, one, 2), connectNetworks(t, host, two, 3)
		o.Places = InContainersOnly
		g := startTaps(t, o, "on_ingress", "on_egress")
		host.mustBeClean(t, "before")
		leave := mustAttachInNetwork(t, g, one.path)
		leaveAgain := mustAttachInNetwork(t, g, one.path)
		twin := startTaps(t, o, "on_ingress", "on_egress") // another gadget
		mustAttachInNetwork(t, twin, two.path)
		mustAttachInNetwork(t, twin, one.path)
		exchangeAll := func() {
			t.Helper()
			for _, p := range []*pair{first, second, other} {
				p.exchange(t)
			}
		}
		inOne := []string{"on_ingress one 10", "on_egress one 20", "on_ingress one 10", "on_egress one 20"}
		exchangeAll()
		expect(t, "one", g.seen(t, names), inOne...)
		expect(t, "one and two", twin.seen(t, names), append(slices.Clone(inOne), "on_ingress two 10", "on_egress two 20")...)
		leave()
		exchangeAll()
		expect(t, "another user", g.seen(t, names), inOne...)
		leaveAgain()
		exchangeAll()
		expect(t, "none", g.seen(t, names))
		if len(host.left(t)) == 0 {
			t.Error("the other gadget has lost its programs")
		}
		closeAll(t, g.Gadget, twin.Gadget)
		host.mustBeClean(t, "after")
	})
}

// Interfaces that come while a program is attached get it, and those that go are no error.
func TestClassifiersFollowInterfaces(t *testing.T) {
	inBothWays(t, func(t *testing.T, o LoadOptions) {
		host, one := ownNetwork(t), otherNetwork(t)
		names := map[uint64]string{host.ID: "host", one.ID: "one"}
		o.Places = InContainersToo
		g := startTaps(t, o, "on_ingress", "on_egress")
		if !g.FollowsInterfaces() {
			t.Error("the gadget does not follow interfaces")
		}
		leave := mustAttachInNetwork(t, g, one.path) // it has no interface yet
		host.send(t, "127.0.0.1", tapPort, 5)
		expect(t, "the host's", g.seen(t, names), "on_egress host 5", "on_ingress host 5")
		before, programs := len(host.left(t)), host.attached(t)
		for i := range 3 {
			p := connectNetworks(t, host, one, i)
			waitUntil(t, "the interface has both programs", func() bool { return host.attached(t) == programs+2 })
			p.exchange(t)
			expect(t, "the container's", g.seen(t, names), "on_ingress one 10", "on_egress one 20")
			if err := host.Do(func() error {
				return netlink.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: p.hostIndex}})
			}); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, "the interface has gone", func() bool { return len(host.left(t)) == before })
		}
		connectNetworks(t, host, one, 9)
		waitUntil(t, "the interface has both programs", func() bool { return host.attached(t) == programs+2 })
		if err := host.Do(func() error { return netlink.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "gz9"}}) }); err != nil {
			t.Fatal(err)
		}
		leave()
		closeAll(t, g.Gadget)
		host.mustBeClean(t, "after")
	})
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(packetLimit); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", packetLimit, what)
		}
	}
}

// For an interface that the user names, directions are its own, and only it is attached to.
func TestClassifiersOfInterface(t *testing.T) {
	inBothWays(t, func(t *testing.T, o LoadOptions) {
		host, one := ownNetwork(t), otherNetwork(t)
		names := map[uint64]string{host.ID: "host", one.ID: "one"}
		p := connectNetworks(t, host, one, 1)
		o.Places, o.Interface = InContainersOnly, "gz1"
		g := startTaps(t, o, "on_ingress", "on_egress")
		if g.HasPackets() || g.FollowsInterfaces() {
			t.Error("the gadget has an interface of its own")
		}
		mustAttachInNetwork(t, g, one.path)
		p.exchange(t)
		expect(t, "gz1", g.seen(t, names), "on_egress host 10", "on_ingress host 20")
		if err := g.AttachTo("on_egress", "lo"); err != nil {
			t.Fatal(err)
		}
		host.send(t, "127.0.0.1", tapPort, 7)
		expect(t, "lo", g.seen(t, names), "on_egress host 7")
		mustSay(t, g.AttachTo("on_egress", "loo"), `there is no network interface "loo"; did you mean "lo"?`)
		mustSay(t, g.AttachTo("on_egress", "a/b"), `program on_egress: attach_to: "a/b": want the name of a network interface or the path of a network namespace`)
		if err := g.AttachTo("on_egress", one.path); err != nil {
			t.Fatal(err)
		}
		p.exchange(t)
		expect(t, "both ways", g.seen(t, names), "on_egress host 10", "on_egress one 20", "on_ingress host 20")
		closeAll(t, g.Gadget)
		host.mustBeClean(t, "after")
	})
}

// Without containers, all interfaces of the host that are up are attached to.
func TestClassifiersOfHost(t *testing.T) {
	inBothWays(t, func(t *testing.T, o LoadOptions) {
		host, one := ownNetwork(t), otherNetwork(t)
		names := map[uint64]string{host.ID: "host"}
		p := connectNetworks(t, host, one, 1)
		g := startTaps(t, o, "on_ingress", "on_egress")
		p.exchange(t)
		host.send(t, "127.0.0.1", tapPort, 5)
		expect(t, "all", g.seen(t, names), "on_egress host 10", "on_ingress host 20", "on_egress host 5", "on_ingress host 5")
		closeAll(t, g.Gadget)
		host.mustBeClean(t, "after")
	})
}

// foreign is a program of another tool, which counts the packets that it sees.
type foreign struct {
	prog  *ebpf.Program
	count *ebpf.Map
}

func newForeign(t *testing.T) *foreign {
	t.Helper()
	count, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { count.Close() })
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapValue(asm.R1, count.FD(), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 0), // TC_ACT_OK: no program behind it sees the packet
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return &foreign{prog, count}
}

// attach attaches the program for the packets that an interface sends, as other tools do.
func (f *foreign) attach(t *testing.T, index int, filter bool) {
	t.Helper()
	if !filter {
		l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: f.prog, Attach: ebpf.AttachTCXEgress})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return
	}
	err := netlink.QdiscReplace(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}})
	if err == nil || errors.Is(err, unix.EEXIST) {
		err = netlink.FilterAdd(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: netlink.HANDLE_MIN_EGRESS, Priority: 1, Protocol: unix.ETH_P_ALL, Handle: 1},
			Fd:          f.prog.FD(), Name: "foreign", DirectAction: true,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// total returns how many packets the program has seen.
func (f *foreign) total(t *testing.T) (n uint64) {
	t.Helper()
	if err := f.count.Lookup(uint32(0), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Whatever a gadget's program returns, other programs still see the packets, and these arrive. Programs of others may be there before.
func TestClassifiersBesideOthers(t *testing.T) {
	inBothWays(t, func(t *testing.T, o LoadOptions) {
		for _, result := range []uint64{0, 2, 7, 0xffffffff} { // accept, drop, redirect, undecided
			host, one := ownNetwork(t), otherNetwork(t)
			p := connectNetworks(t, host, one, 1)
			f := newForeign(t)
			f.attach(t, p.hostIndex, o.withoutTCLinks)
			o := o
			o.Places, o.Params = InContainersOnly, make(map[string]image.Value)
			setParam(t, parse(t, "taps"), o.Params, "result", result)
			g := startTaps(t, o, "on_ingress", "on_egress")
			mustAttachInNetwork(t, g, one.path)
			before := f.total(t)
			p.exchange(t)
			if got := f.total(t); got == before {
				t.Errorf("result %#x: the other program saw nothing", result)
			}
			expect(t, "the gadget", g.seen(t, map[uint64]string{one.ID: "one"}), "on_ingress one 10", "on_egress one 20")
			closeAll(t, g.Gadget)
			before = f.total(t)
			p.exchange(t)
			if got := f.total(t); got == before {
				t.Errorf("result %#x: the other program is gone with the gadget", result)
			}
		}
	})
}

// holdTapsEnv makes the test program a process that runs programs for packets until it is killed. Its value is "links" or "filters".
const holdTapsEnv = "GIZMO_TEST_HOLD_TAPS"

// TestHoldTaps is what that process does, in the network namespace of the test that starts it. Its standard input is a container's.
func TestHoldTaps(t *testing.T) {
	how := os.Getenv(holdTapsEnv)
	if how == "" {
		return // it is no test of its own
	}
	runtime.LockOSThread()
	g := startTaps(t, LoadOptions{Places: InContainersToo, withoutTCLinks: how == "filters"}, tapPrograms...)
	mustAttachInNetwork(t, g, "/proc/self/fd/0")
	printPrograms(t, g)
	fmt.Println("\nready")
	time.Sleep(time.Hour)
}

// holdTaps runs TestHoldTaps, kills it, and waits until its programs have gone.
func holdTaps(t *testing.T, container *network, how string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestHoldTaps$")
	cmd.Env = append(os.Environ(), holdTapsEnv+"="+how)
	cmd.Stderr = os.Stderr
	var err error
	if cmd.Stdin, err = os.Open(container.path); err != nil {
		t.Fatal(err)
	}
	if ids := killHolder(t, cmd); len(ids) != len(tapPrograms) {
		t.Fatalf("programs %v", ids)
	}
}

// When gizmo is killed, its links and sockets end. Its filters stay but do nothing, and the next gadget removes them.
func TestKillOfTaps(t *testing.T) {
	inBothWays(t, func(t *testing.T, o LoadOptions) {
		host, one := ownNetwork(t), otherNetwork(t)
		p := connectNetworks(t, host, one, 1)
		how := "links"
		if o.withoutTCLinks {
			how = "filters"
		}
		holdTaps(t, one, how)
		for _, n := range []*network{host, one} {
			if got := n.packetSockets(t); got != 0 {
				t.Errorf("%d packet sockets are left", got)
			}
		}
		if how == "links" {
			host.mustBeClean(t, "after the kill")
		} else if len(host.left(t)) == 0 {
			t.Error("no filter is left: this test shows nothing")
		}
		f := newForeign(t)
		f.attach(t, p.hostIndex, o.withoutTCLinks)
		p.exchange(t)
		if f.total(t) == 0 {
			t.Error("the other program sees nothing")
		}
		g := startTaps(t, o, "on_ingress", "on_egress")
		p.exchange(t)
		if got := g.seen(t, nil); len(got) != 2 {
			t.Errorf("the next gadget sees %q", got)
		}
		left := host.left(t)
		closeAll(t, g.Gadget)
		want := map[string][]string{"links": {"gz1 link"}, "filters": {"gz1 clsact", "gz1 filter"}}[how] // of the other program
		if after := host.left(t); !slices.Equal(after, want) {
			t.Errorf("with the next gadget %q, after it %q, want %q", left, after, want)
		}
	})
}

// An older discipline in the place of clsact has no filters for packets that are sent, so a program for them is not attached there.
func TestClassifiersBesideIngress(t *testing.T) {
	host, one := ownNetwork(t), otherNetwork(t)
	p := connectNetworks(t, host, one, 1)
	err := netlink.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: p.hostIndex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS,
	}})
	if err != nil {
		t.Fatal(err)
	}
	egress := startTaps(t, LoadOptions{Places: InContainersOnly, withoutTCLinks: true}, "on_ingress")
	_, err = egress.AttachInNetwork(one.path) // the host's end sends what the container receives
	mustSay(t, err, "program on_ingress: network interface gz1: another tool has put the queueing discipline ingress in the place of clsact")
	ingress := startTaps(t, LoadOptions{Places: InContainersOnly, withoutTCLinks: true}, "on_egress")
	mustAttachInNetwork(t, ingress, one.path)
	p.exchange(t)
	expect(t, "what the container sends", ingress.seen(t, map[uint64]string{one.ID: "one"}), "on_egress one 20")
	closeAll(t, ingress.Gadget)
	all, err := netlink.QdiscList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: p.hostIndex}})
	if err != nil || !slices.ContainsFunc(all, func(q netlink.Qdisc) bool { return q.Type() == "ingress" }) {
		t.Errorf("the discipline of another tool has gone: %v, %v", all, err)
	}
}

// A program to which the params leave nothing is not loaded.
func TestTapsWithNothingToDo(t *testing.T) {
	kerneltest.RequireRoot(t)
	_, err := Load(parse(t, "taps"), nil) // no port
	var nothing *image.NothingToDoError
	if !errors.As(err, &nothing) || !slices.Equal(nothing.Params, []string{"port"}) {
		t.Errorf("got %v", err)
	}
}

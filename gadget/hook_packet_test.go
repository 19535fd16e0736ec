// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
)

var tapPrograms = []string{"on_socket", "on_ingress", "on_egress"}

// network is a network namespace of a test.
type network struct {
	*netns.Namespace
	path string
}

// ownNetwork moves the test into a network namespace of its own, and returns it.
func ownNetwork(t *testing.T) *network {
	t.Helper()
	inOwnNetwork(t)
	return openNetwork(t, "/proc/thread-self/ns/net")
}

func openNetwork(t *testing.T, path string) *network {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{path: fmt.Sprintf("/proc/self/fd/%d", f.Fd())}
	t.Cleanup(func() { f.Close() })
	if n.Namespace, err = netns.Open(n.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// otherNetwork makes a network namespace in which no thread is, with the loopback interface only.
func otherNetwork(t *testing.T) *network {
	t.Helper()
	made := make(chan *network)
	go func() {
		defer close(made)
		inOwnNetwork(t) // the thread ends with this goroutine
		made <- openNetwork(t, "/proc/thread-self/ns/net")
	}()
	n := <-made
	if n == nil {
		t.FailNow()
	}
	runtime.KeepAlive(n)
	return n
}

// send sends a UDP packet of some bytes from the namespace to an address.
func (n *network) send(t *testing.T, to string, port uint64, size int) {
	t.Helper()
	err := n.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		address := &unix.SockaddrInet4{Port: int(port)}
		copy(address.Addr[:], net.ParseIP(to).To4())
		return unix.Sendto(fd, make([]byte, size), 0, address)
	})
	if err != nil {
		t.Error(err)
	}
}

// packetSockets counts the packet sockets of the namespace.
func (n *network) packetSockets(t *testing.T) int {
	t.Helper()
	var text []byte
	err := n.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/packet")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n") - 1
}

// tapPort is where tests send packets that the fixture "taps" reports. Each test has a network namespace of its own.
const tapPort = 4321

// loadTaps loads some of the programs of the fixture.
func loadTaps(t *testing.T, o LoadOptions, programs ...string) *running {
	t.Helper()
	img := parseWith(t, "taps", disabling(slices.DeleteFunc(slices.Clone(tapPrograms), func(p string) bool { return slices.Contains(programs, p) })...))
	if o.Params == nil {
		o.Params = make(map[string]image.Value)
	}
	setParam(t, img, o.Params, "port", tapPort)
	return load(t, img, o)
}

func startTaps(t *testing.T, o LoadOptions, programs ...string) *running {
	t.Helper()
	g := loadTaps(t, o, programs...)
	if err := g.Attach(); err != nil {
		t.Fatal(err)
	}
	return g
}

// seen returns the packets that programs have reported: the program, the namespace and the size of each.
func (r *running) seen(t *testing.T, names map[uint64]string) []string {
	t.Helper()
	var got []string
	for _, row := range drain(t, r.source(t)).rows {
		word := func(i int) uint32 { return binary.LittleEndian.Uint32(row[4*i:]) }
		got = append(got, fmt.Sprintf("%s %s %d", tapPrograms[word(0)], names[uint64(word(1))], word(3)))
	}
	return got
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func mustAttachInNetwork(t *testing.T, g *running, path string) func() {
	t.Helper()
	c, err := g.AttachInNetwork(path)
	if err != nil {
		t.Fatal(err)
	}
	return func() { closeAll(t, c) }
}

// A program sees the packets of each namespace once, and is told which one it is. The loopback interface shows a packet going out and coming in.
func TestSocketPrograms(t *testing.T) {
	host, one, two := ownNetwork(t), otherNetwork(t), otherNetwork(t)
	names := map[uint64]string{host.ID: "host", one.ID: "one", two.ID: "two"}
	g := startTaps(t, LoadOptions{}, "on_socket")
	sendAll := func() []string {
		for i, n := range []*network{host, one, two} {
			n.send(t, "127.0.0.1", tapPort, i+1)
		}
		return g.seen(t, names)
	}
	onHost, inOne, inTwo := []string{"on_socket host 1", "on_socket host 1"}, []string{"on_socket one 2", "on_socket one 2"}, []string{"on_socket two 3", "on_socket two 3"}
	expect(t, "host", sendAll(), onHost...)
	leaveOne, leaveTwo := mustAttachInNetwork(t, g, one.path), mustAttachInNetwork(t, g, two.path)
	leaveAgain, leaveHost := mustAttachInNetwork(t, g, one.path), mustAttachInNetwork(t, g, host.path)
	expect(t, "all", sendAll(), slices.Concat(onHost, inOne, inTwo)...)
	for _, n := range []*network{host, one, two} {
		if got := n.packetSockets(t); got != 1 {
			t.Errorf("%s: %d packet sockets, want 1", names[n.ID], got)
		}
	}
	leaveOne()
	leaveHost()
	expect(t, "one has another user", sendAll(), slices.Concat(onHost, inOne, inTwo)...)
	leaveAgain()
	expect(t, "without one", sendAll(), slices.Concat(onHost, inTwo)...)
	leaveTwo()
	expect(t, "host again", sendAll(), onHost...)
	if err := g.Detach(); err != nil {
		t.Error(err)
	}
	expect(t, "none", sendAll())
	for _, n := range []*network{host, one, two} {
		if got := n.packetSockets(t); got != 0 {
			t.Errorf("%s: %d packet sockets are left", names[n.ID], got)
		}
	}
	_, err := g.AttachInNetwork(one.path)
	mustBeDetached(t, err)
}

// Where a gadget is for containers only, the host's packets do not count.
func TestSocketProgramsInContainersOnly(t *testing.T) {
	host, one := ownNetwork(t), otherNetwork(t)
	names := map[uint64]string{host.ID: "host", one.ID: "one"}
	g := startTaps(t, LoadOptions{Places: InContainersOnly}, "on_socket")
	if !g.HasPackets() || g.HasFileProbes() {
		t.Error("packets", g.HasPackets(), "files", g.HasFileProbes())
	}
	mustAttachInNetwork(t, g, one.path)
	host.send(t, "127.0.0.1", tapPort, 1)
	one.send(t, "127.0.0.1", tapPort, 2)
	expect(t, "one", g.seen(t, names), "on_socket one 2", "on_socket one 2")
}

// The result of a program has no effect: its socket stays empty.
func TestSocketProgramsKeepNoPackets(t *testing.T) {
	host := ownNetwork(t)
	o := LoadOptions{Params: make(map[string]image.Value)}
	setParam(t, parse(t, "taps"), o.Params, "result", 0xffff)
	g := startTaps(t, o, "on_socket")
	host.send(t, "127.0.0.1", tapPort, 100)
	if got := g.seen(t, nil); len(got) != 2 {
		t.Errorf("got %q", got)
	}
	text, err := os.ReadFile("/proc/thread-self/net/packet")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	// sk RefCnt Type Proto Iface R Rmem User Inode
	if len(lines) != 2 || len(strings.Fields(lines[1])) != 9 || strings.Fields(lines[1])[6] != "0" {
		t.Errorf("the socket has packets:\n%s", text)
	}
}

// A path can be the target of a program, in gadget.yaml or by AttachTo.
func TestSocketProgramsAt(t *testing.T) {
	host, one, two := ownNetwork(t), otherNetwork(t), otherNetwork(t)
	names := map[uint64]string{host.ID: "host", one.ID: "one", two.ID: "two"}
	img := parseWith(t, "taps", only("on_socket", one.path, tapPrograms...))
	o := LoadOptions{Params: make(map[string]image.Value)}
	setParam(t, img, o.Params, "port", tapPort)
	g := start(t, img, o)
	if g.HasPackets() {
		t.Error("the program has its own namespace")
	}
	if err := g.AttachTo("on_socket", two.path); err != nil {
		t.Fatal(err)
	}
	for i, n := range []*network{host, one, two} {
		n.send(t, "127.0.0.1", tapPort, i+1)
	}
	expect(t, "two targets", g.seen(t, names), "on_socket one 2", "on_socket one 2", "on_socket two 3", "on_socket two 3")
	if err := g.DetachFrom("on_socket", one.path); err != nil {
		t.Fatal(err)
	}
	one.send(t, "127.0.0.1", tapPort, 2)
	expect(t, "without one", g.seen(t, names))
	mustSay(t, g.AttachTo("on_socket", "lo"), `program on_socket: "socket1/lo": want the path of a network namespace in attach_to`)
	mustSay(t, g.AttachTo("on_socket", "/proc/self/ns/mnt"), "/proc/self/ns/mnt is not a network namespace")
	mustSay(t, g.AttachTo("on_socket", "/proc/self/ns/none"), "no such file")
}

// A namespace that has gone is no error.
func TestNetworkThatHasGone(t *testing.T) {
	ownNetwork(t)
	g := startTaps(t, LoadOptions{}, "on_socket")
	mustAttachInNetwork(t, g, "/proc/2147483647/ns/net")()
	if _, err := g.AttachInNetwork("/proc/self/ns/mnt"); err == nil || errors.Is(err, ErrDetached) {
		t.Errorf("another kind of namespace: %v", err)
	}
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

var socketPrograms = []string{"on_sockops", "on_parser", "on_verdict", "on_message", "on_bind"}

// connection is a pair of sockets that are connected to each other on this host.
type connection struct {
	from, to *net.TCPConn
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func portOf(l *net.TCPListener) uint64 { return uint64(l.Addr().(*net.TCPAddr).Port) }

func connect(t *testing.T, l *net.TCPListener) connection {
	t.Helper()
	from, err := net.DialTCP("tcp4", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	to, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close(); to.Close() })
	return connection{from, to}
}

// send sends some bytes and waits until they have arrived.
func (c connection) send(t *testing.T, n int) {
	t.Helper()
	if _, err := c.from.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c.to, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// put puts a socket into a map of the gadget.
func (r *running) put(t *testing.T, mapName string, c syscall.Conn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		if err := r.coll.Maps[mapName].Put(uint32(0), uint64(fd)); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// told returns the events of the fixture "sockets".
func (r *running) told(t *testing.T) []string {
	t.Helper()
	var got []string
	for _, row := range drain(t, r.source(t)).rows {
		got = append(got, fmt.Sprintf("%s %d", socketPrograms[binary.LittleEndian.Uint32(row)], binary.LittleEndian.Uint32(row[4:])))
	}
	return got
}

func TestSockOps(t *testing.T) {
	kerneltest.RequireRoot(t)
	l := listen(t)
	img := parseWith(t, "sockets", only("on_sockops", "", socketPrograms...))
	values := make(map[string]image.Value)
	setParam(t, img, values, "port", portOf(l))
	g := start(t, img, LoadOptions{Params: values})
	connect(t, l)
	connect(t, listen(t)) // another port
	connect(t, l)
	if got, want := g.told(t), []string{"on_sockops 0", "on_sockops 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Another control group's folder can be the target. This process is not in it.
func TestSockOpsOfControlGroup(t *testing.T) {
	kerneltest.RequireRoot(t)
	root, err := hook.ControlGroupOf(&image.Program{Section: "sockops"})
	if err != nil {
		t.Fatal(err)
	}
	group := filepath.Join(root, fmt.Sprintf("gizmo-test-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(group)
	l := listen(t)
	img := parseWith(t, "sockets", only("on_sockops", group, socketPrograms...))
	values := make(map[string]image.Value)
	setParam(t, img, values, "port", portOf(l))
	g := start(t, img, LoadOptions{Params: values})
	connect(t, l)
	if got := g.told(t); len(got) > 0 {
		t.Errorf("got %q of a process outside of the control group", got)
	}
	for _, path := range []string{"/proc", group + "-gone"} {
		img := parseWith(t, "sockets", only("on_sockops", path, socketPrograms...))
		mustSay(t, refusal(t, img, LoadOptions{}), "program on_sockops: sockops: "+path+" is not a control group of version 2")
	}
}

// gizmo needs no mount of the control groups, but it must not see a part of them only.
func TestSockOpsWithoutControlGroups(t *testing.T) {
	kerneltest.RequireRoot(t)
	l := listen(t)
	img := parseWith(t, "sockets", only("on_sockops", "", socketPrograms...))
	values := make(map[string]image.Value)
	setParam(t, img, values, "port", portOf(l))
	root, err := hook.ControlGroupOf(&image.Program{Section: "sockops"})
	if err != nil {
		t.Fatal(err)
	}
	group := filepath.Join(root, fmt.Sprintf("gizmo-test-part-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(group)
	part := t.TempDir()
	inPrivateMounts(t, func() {
		if err := errors.Join(unix.Mount(group, part, "", unix.MS_BIND, ""), unix.Unmount(root, unix.MNT_DETACH)); err != nil {
			t.Error(err)
			return
		}
		mustSay(t, refusal(t, img, LoadOptions{}), "program on_sockops: sockops: the root of the host's control groups is not mounted here ("+part+" is only a part of them)")
		if err := unix.Unmount(part, unix.MNT_DETACH); err != nil {
			t.Error(err)
			return
		}
		g := start(t, img, LoadOptions{Params: values})
		connect(t, l)
		if got, want := g.told(t), []string{"on_sockops 0"}; !slices.Equal(got, want) {
			t.Errorf("without mounts: got %q, want %q", got, want)
		}
	})
}

// A program of a control group decides over calls: these go on.
func TestBindInControlGroup(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parseWith(t, "sockets", only("on_bind", "", socketPrograms...))
	l := listen(t)
	port := portOf(l)
	l.Close()
	values := make(map[string]image.Value)
	setParam(t, img, values, "port", port)
	g := start(t, img, LoadOptions{Params: values})
	for range 2 {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	if got, want := g.told(t), []string{"on_bind 0", "on_bind 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A control group can have a program that allows no others beside it. The error names it.
func TestControlGroupIsTaken(t *testing.T) {
	kerneltest.RequireRoot(t)
	root, err := hook.ControlGroupOf(&image.Program{Section: "sockops"})
	if err != nil {
		t.Fatal(err)
	}
	group := filepath.Join(root, fmt.Sprintf("gizmo-test-taken-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(group)
	folder, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	holder, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "holder", Type: ebpf.CGroupSock, AttachType: ebpf.AttachCGroupInet4PostBind, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	alone := link.RawAttachProgramOptions{Target: int(folder.Fd()), Program: holder, Attach: ebpf.AttachCGroupInet4PostBind}
	if err := link.RawAttachProgram(alone); err != nil {
		t.Fatal(err)
	}
	img := parseWith(t, "sockets", only("on_bind", group, socketPrograms...))
	mustSay(t, refusal(t, img, LoadOptions{}), "the control group "+group+" has a program that was attached so that it allows no others beside it", "holder (id ")
	if err := link.RawDetachProgram(link.RawDetachProgramOptions{Target: int(folder.Fd()), Program: holder, Attach: alone.Attach}); err != nil {
		t.Fatal(err)
	}
	start(t, img, LoadOptions{})
}

func TestSockMaps(t *testing.T) {
	kerneltest.RequireRoot(t)
	g := start(t, parseWith(t, "sockets", disabling("on_sockops", "on_bind")), LoadOptions{})
	c := connect(t, listen(t))
	g.put(t, "receivers", c.to)
	g.put(t, "senders", c.from)
	c.send(t, 100)
	if got, want := g.told(t), []string{"on_message 100", "on_parser 100", "on_verdict 100"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := g.Detach(); err != nil {
		t.Fatal(err)
	}
	d := connect(t, listen(t))
	g.put(t, "senders", d.from) // the map still exists
	d.send(t, 10)
	if got := g.told(t); len(got) > 0 {
		t.Errorf("got %q after the programs were detached", got)
	}
}

// The map can be another than the source names.
func TestSockMapOfMetadata(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parseWith(t, "sockets", only("on_message", "receivers", socketPrograms...))
	g := start(t, img, LoadOptions{})
	c := connect(t, listen(t))
	g.put(t, "receivers", c.from)
	c.send(t, 7)
	if got, want := g.told(t), []string{"on_message 7"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

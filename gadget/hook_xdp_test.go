// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// listenUDP returns a socket on the loopback interface, and its port.
func listenUDP(t *testing.T) (*net.UDPConn, uint64) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, uint64(c.LocalAddr().(*net.UDPAddr).Port)
}

// inOwnNetwork moves the test into a network namespace of its own, with the loopback interface only.
func inOwnNetwork(t *testing.T) {
	t.Helper()
	kerneltest.RequireRoot(t)
	runtime.LockOSThread() // and never unlock it: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}

// The interface is the user's, or else the gadget's.
func TestXDP(t *testing.T) {
	inOwnNetwork(t)
	for _, c := range []struct{ yaml, iface string }{
		{only("on_packet", "lo"), ""},
		{"", "lo"},
		{only("on_packet", "eth99"), "lo"},
	} {
		conn, port := listenUDP(t)
		img := parseWith(t, "packets", c.yaml)
		values := make(map[string]image.Value)
		setParam(t, img, values, "port", port)
		g := start(t, img, LoadOptions{Params: values, Interface: c.iface})
		if _, err := conn.WriteTo(make([]byte, 123), conn.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
		rows := drain(t, g.source(t)).rows
		if len(rows) != 1 || binary.LittleEndian.Uint32(rows[0]) != 123 {
			t.Errorf("%+v: got % x, want one packet of 123 bytes", c, rows)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestErrorsOfXDP(t *testing.T) {
	inOwnNetwork(t)
	img := parse(t, "packets")
	mustSay(t, refusal(t, img, LoadOptions{}), "program on_packet", "no network interface chosen: name one in attach_to of gadget.yaml, or choose one for this run")
	mustSay(t, refusal(t, img, LoadOptions{Interface: "loo"}), `there is no network interface "loo"; did you mean "lo"?`)
	start(t, img, LoadOptions{Interface: "lo"})
	mustSay(t, refusal(t, img, LoadOptions{Interface: "lo"}), "the network interface lo already has an XDP program")
}

// A wrong choice by the user is an error before anything is loaded, and without privileges.
func TestInterfaceThatMakesNoSense(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fixture, yaml, iface, want string }{
		{"packets", "", "loo", `there is no network interface "loo"; did you mean "lo"?`},
		{"packets", only("on_packet", "lo"), "no such", `there is no network interface "no such": `},
		{"hooks", "", "lo", `the gadget has no program for a network interface, so it cannot run on "lo" alone`},
		{"hooks", "", "no such", `the gadget has no program for a network interface, so it cannot run on "no such" alone`},
	} {
		_, err := Load(parseWith(t, c.fixture, c.yaml), &LoadOptions{Interface: c.iface})
		mustSay(t, err, c.want)
	}
	if err := (&LoadOptions{}).checkInterface(parse(t, "hooks")); err != nil {
		t.Error(err)
	}
	img := parseWith(t, "packets", disabling("on_packet"))
	mustSay(t, (&LoadOptions{Interface: "lo"}).checkInterface(img), "the gadget has no program for a network interface")
}

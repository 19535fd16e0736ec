// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// One program is attached to two interfaces, and detached from each separately.
func TestAttachToInterfaces(t *testing.T) {
	inOwnNetwork(t)
	second := secondInterface(t)
	img := parse(t, "packets")
	conn, port := listenUDP(t)
	values := make(map[string]image.Value)
	setParam(t, img, values, "port", port)
	g := start(t, img, LoadOptions{Params: values, ManualAttach: []string{"on_packet"}})
	// packets is how many of two packets, through lo and through the other, the program reports.
	packets := func() int {
		t.Helper()
		if _, err := conn.WriteTo([]byte("lo"), conn.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		second.send(t, port)
		return len(drain(t, g.source(t)).rows)
	}
	step := func(what string, err error, want int) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		if got := packets(); got != want {
			t.Errorf("%s: %d packets, want %d", what, got, want)
		}
	}
	step("nothing is attached", nil, 0)
	step("lo", g.AttachTo("on_packet", "lo"), 1)
	step("both", g.AttachTo("on_packet", second.name), 2)
	mustSay(t, g.AttachTo("on_packet", "lo"), "program on_packet is attached to lo already")
	mustSay(t, g.AttachTo("on_packet", "loo"), `there is no network interface "loo"; did you mean "lo"?`)
	step("without lo", g.DetachFrom("on_packet", "lo"), 1)
	mustSay(t, g.DetachFrom("on_packet", "lo"), "program on_packet is not attached to lo")
	step("lo again", g.AttachTo("on_packet", "lo"), 2)
	step("none", g.Detach(), 0)
	mustBeDetached(t, g.AttachTo("on_packet", "lo"), g.DetachFrom("on_packet", "lo"), g.Attach())
}

func mustBeDetached(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if !errors.Is(err, ErrDetached) {
			t.Errorf("got %v, want ErrDetached", err)
		}
	}
}

// otherInterface is a network interface that receives what is written to it.
type otherInterface struct {
	name string
	tap  *os.File
}

// secondInterface makes a network interface in the namespace of the calling thread.
func secondInterface(t *testing.T) *otherInterface {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return pairedInterface(t)
	}
	o := &otherInterface{name: "gizmo0", tap: os.NewFile(uintptr(fd), "tun")}
	t.Cleanup(func() { o.tap.Close() })
	req, err := unix.NewIfreq(o.name)
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		t.Fatal(err)
	}
	up(t, o.name)
	return o
}

// pairedInterface is for kernels without TAP: one end of the pair receives what the other sends.
func pairedInterface(t *testing.T) *otherInterface {
	t.Helper()
	ip := kerneltest.RequireProgram(t, "ip")
	if out, err := exec.Command(ip, "link", "add", "gizmo0", "type", "veth", "peer", "name", "gizmo1").CombinedOutput(); err != nil {
		kerneltest.Missing(t, "neither TAP nor veth: %v: %s", err, out)
	}
	up(t, "gizmo0")
	up(t, "gizmo1")
	iface, err := net.InterfaceByName("gizmo1")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	o := &otherInterface{name: "gizmo0", tap: os.NewFile(uintptr(fd), "packets")}
	t.Cleanup(func() { o.tap.Close() })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0300, Ifindex: iface.Index}); err != nil {
		t.Fatal(err)
	}
	return o
}

func up(t *testing.T, name string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		t.Fatal(err)
	}
}

// send has the interface receive a UDP packet to the port.
func (o *otherInterface) send(t *testing.T, port uint64) {
	t.Helper()
	frame := make([]byte, 60)
	copy(frame, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x00") // to all, IPv4
	copy(frame[14:], "\x45\x00\x00\x2e\x00\x00\x00\x00\x40\x11")
	binary.BigEndian.PutUint16(frame[36:], uint16(port))
	binary.BigEndian.PutUint16(frame[38:], 8)
	if _, err := unix.Write(int(o.tap.Fd()), frame); err != nil {
		t.Fatal(err)
	}
}

// One program is attached to a function in each of two files.
func TestAttachToFiles(t *testing.T) {
	kerneltest.RequireRoot(t)
	first, second := buildC(t, "main.c work.c"), buildC(t, "main.c work.c")
	o := userOptions(t)
	o.ManualAttach = []string{"on_call"}
	g := start(t, userImage(t, map[string]string{"on_call": "x:x"}), o)
	run := func() (n int) {
		runApp(t, nil, nil, first, "1")
		runApp(t, nil, nil, second, "1")
		return len(drain(t, g.source(t)).rows)
	}
	if n := run(); n != 0 {
		t.Fatalf("%d calls with nothing attached", n)
	}
	for i, path := range []string{first, second} {
		if err := g.AttachTo("on_call", path+":work"); err != nil {
			t.Fatal(err)
		}
		if n := run(); n != i+1 {
			t.Errorf("%d files: %d calls", i+1, n)
		}
	}
	if err := g.DetachFrom("on_call", first+":work"); err != nil {
		t.Fatal(err)
	}
	if n := run(); n != 1 {
		t.Errorf("%d calls with one file left", n)
	}
	mustSay(t, g.AttachTo("on_call", first), "program on_call: ", "want PATH:SYMBOL")
	mustSay(t, g.AttachTo("on_call", "/none/app:work"), "there is no file /none/app")
	mustSay(t, g.AttachTo("on_cal", "x"), `the gadget has no program "on_cal"; did you mean "on_call"?`)
	mustSay(t, g.AttachTo("on_return", "x"), "program on_return is not loaded: it is disabled")
	mustSay(t, g.DetachFrom("on_return", "x"), "program on_return is not loaded: it is disabled")
}

// A program that is loaded for one target can be attached only to that target.
func TestAttachToFixedTarget(t *testing.T) {
	g := load(t, parse(t, "hooks"), LoadOptions{ManualAttach: []string{"gt_btf"}})
	if err := g.Attach(); err != nil {
		t.Fatal(err)
	}
	if n := g.attachments(); n != 2 {
		t.Errorf("%d attachments, want 2", n)
	}
	p, err := g.find("gt_btf")
	if err != nil {
		t.Fatal(err)
	}
	target := p.Target
	mustSay(t, g.AttachTo("gt_btf", "sys_exit"), "program gt_btf: programs in sections like tp_btf are loaded for their target ("+target+") and take no other")
	if err := g.AttachTo("gt_btf", target); err != nil {
		t.Error(err)
	}
	if n := g.attachments(); n != 3 {
		t.Errorf("%d attachments, want 3", n)
	}
}

// DetachFrom detaches what Attach attached, by the program's target.
func TestDetachFromWhatAttachAttached(t *testing.T) {
	g := start(t, parse(t, "hooks"), LoadOptions{})
	if err := g.DetachFrom("gt_tp", "syscalls/sys_enter_getpgid"); err != nil {
		t.Fatal(err)
	}
	if n := g.attachments(); n != 2 {
		t.Errorf("%d attachments, want 2", n)
	}
	if err := g.Attach(); err != nil { // attaches what is not attached yet, and nothing twice
		t.Error(err)
	}
	if n := g.attachments(); n != 3 {
		t.Errorf("%d attachments, want 3", n)
	}
}

// Several goroutines attach and detach while another ends the run: each call succeeds or says why not, and
// nothing stays attached.
func TestAttachFromManyGoroutines(t *testing.T) {
	g := load(t, parse(t, "hooks"), LoadOptions{ManualAttach: []string{"gt_tp", "gt_raw", "gt_btf"}})
	targets := []string{"syscalls/sys_enter_getpgid", "syscalls/sys_enter_getsid", "syscalls/sys_enter_getppid"}
	var wg sync.WaitGroup
	for i := range 2 * len(targets) {
		wg.Go(func() {
			target := targets[i%len(targets)]
			for {
				err := errors.Join(g.AttachTo("gt_tp", target), g.DetachFrom("gt_tp", target))
				if errors.Is(err, ErrDetached) {
					return
				}
				if err != nil && !strings.Contains(err.Error(), "already") && !strings.Contains(err.Error(), "is not attached to") {
					t.Error(err)
					return
				}
				runtime.Gosched()
			}
		})
	}
	for range 5 {
		if err := g.AttachTo("gt_tp", "syscalls/sys_enter_getpriority"); err != nil {
			t.Error(err)
		}
		if err := g.DetachFrom("gt_tp", "syscalls/sys_enter_getpriority"); err != nil {
			t.Error(err)
		}
	}
	if err := g.Detach(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if n := g.attachments(); n != 0 {
		t.Errorf("%d attachments", n)
	}
}

func TestManualAttachOfNoProgram(t *testing.T) {
	t.Parallel()
	_, err := Load(parse(t, "hooks"), &LoadOptions{ManualAttach: []string{"gt_tpp"}})
	if want := `manual attach: the gadget has no program "gt_tpp"; did you mean "gt_tp"?`; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

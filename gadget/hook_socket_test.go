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
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

var socketPrograms = []string{"on_sockops", "on_parser", "on_verdict", "on_message"}

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

// told are the events of the fixture "sockets".
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
	values := make(map[string]Value)
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
	root, err := controlGroupOf(&Program{Section: "sockops"})
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
	values := make(map[string]Value)
	setParam(t, img, values, "port", portOf(l))
	g := start(t, img, LoadOptions{Params: values})
	connect(t, l)
	if got := g.told(t); len(got) > 0 {
		t.Errorf("got %q of a process outside of the control group", got)
	}
	for _, path := range []string{"/proc", group + "-gone"} {
		img := parseWith(t, "sockets", only("on_sockops", path, socketPrograms...))
		mustSay(t, refusal(t, img, LoadOptions{}), "program on_sockops: sockops: "+path+" is no control group of version 2")
	}
}

// Where control groups are not mounted, or only a part of them can be seen, the user is told.
func TestSockOpsWithoutControlGroups(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parseWith(t, "sockets", only("on_sockops", "", socketPrograms...))
	root, err := controlGroupOf(&Program{Section: "sockops"})
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
		mustSay(t, refusal(t, img, LoadOptions{}), "program on_sockops: sockops: the root of the host's control groups is not mounted here ("+part+" is a part of them only)")
		if err := unix.Unmount(part, unix.MNT_DETACH); err != nil {
			t.Error(err)
			return
		}
		mustSay(t, refusal(t, img, LoadOptions{}), "program on_sockops: sockops: control groups of version 2 are not mounted: mount -t cgroup2 cgroup2 ")
	})
}

func TestSockMaps(t *testing.T) {
	kerneltest.RequireRoot(t)
	g := start(t, parseWith(t, "sockets", disabling("on_sockops")), LoadOptions{})
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
	g.put(t, "senders", d.from) // the map is there still
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

func TestErrorsOfSockMaps(t *testing.T) {
	t.Parallel()
	object := compile(t, "sockets").Object
	for yaml, want := range map[string]string{
		only("on_message", "sendrs", socketPrograms...): `gadget.yaml: programs.on_message.attach_to: the object has no map "sendrs"; did you mean "senders"?`,
		only("on_verdict", "events", socketPrograms...): `gadget.yaml: programs.on_verdict.attach_to: map "events" has the type RingBuf; programs are attached to a SockMap or a SockHash`,
	} {
		_, err := parseObject(object, yaml)
		mustSay(t, err, want)
	}
	img := parse(t, "sockets")
	for _, c := range []struct{ program, mapName, want string }{
		{"on_message", "receivers", `program "on_message" is to be attached to the map "senders" already`},
		{"on_mesage", "senders", `no program "on_mesage"; did you mean "on_message"?`},
		{"on_mesage", "sender", `no map "sender"; did you mean "senders"?`},
		{"on_sockops", "events", `map "events" has the type RingBuf`},
	} {
		mustSay(t, img.setSockMap(c.program, c.mapName), c.want)
	}
}

const someMounts = `22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
37 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
38 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
39 31 0:38 /user.slice /mnt/part rw,relatime - cgroup2 cgroup2 rw
40 31 0:38 / /mnt/with\040space\134 rw - cgroup2 none rw
41 31 0:38 / /mnt/cgroup2 rw - ext4 cgroup2 rw
nonsense - cgroup2
`

func TestCgroupMounts(t *testing.T) {
	t.Parallel()
	got, err := cgroupMounts(strings.NewReader(someMounts))
	if want := []string{"/sys/fs/cgroup/unified", "/mnt/part", `/mnt/with space\`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for text, want := range map[string]string{`\`: `\`, `a\04`: `a\04`, `\999b`: `\999b`, `\011\012`: "\t\n", `\777`: `\777`} {
		if got := unescapeMount(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzCgroupMounts(f *testing.F) {
	f.Add(someMounts)
	f.Add(`1 2 3 / \0` + "\n" + `1 2 3 / \ - cgroup2`)
	f.Fuzz(func(t *testing.T, text string) {
		points, err := cgroupMounts(strings.NewReader(text))
		for _, p := range points {
			if p == "" && err == nil {
				t.Errorf("%q: a mount without a place", text)
			}
		}
	})
}

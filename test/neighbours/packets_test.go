// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// The first packets of a container that starts while gizmo has few capabilities and system calls left are shown, with its name.
func TestPacketsOfAContainer(t *testing.T) {
	b := bundles{newBed(t, "runc", "busybox")}
	id := fmt.Sprintf("sending-%d", os.Getpid())
	b.makeFor(t, id, []string{"/busybox", "sh", "-c", "/busybox nslookup wild.example 127.0.0.1:4321; exec /busybox sleep 600"}, "pid", "mount", "network")
	defer func() { _ = exec.Command("runc", "--root", b.path("state"), "delete", "--force", id).Run() }()
	g := startGizmo(t, "run", "../../run/testdata/taps", "-o", "json", "-v", "--runtimes=runc", "--runc-root="+b.path("state"))
	b.start(t, id)
	eventually(t, "packets are shown", func() error {
		if !strings.Contains(g.out.text(), "\n") {
			return fmt.Errorf("standard error: %s", g.err.text())
		}
		return nil
	})
	first, _, _ := strings.Cut(g.out.text(), "\n")
	var got struct {
		Place, Size int
		Runtime     map[string]any
	}
	if err := json.Unmarshal([]byte(first), &got); err != nil {
		t.Fatalf("%s: %v", first, err)
	}
	const question = 12 + len("\x04wild\x07example\x00") + 4
	if got.Place != 0 || got.Size != question || got.Runtime["containerName"] != "name-of-"+id {
		t.Errorf("got %+v, want a question of %d bytes; gizmo says: %s", got, question, g.err.text())
	}
}

// A packet that belongs to no process is of the container whose interface it passes, also when only that container is selected.
func TestPacketsOfNoProcess(t *testing.T) {
	ip, nsenter := kerneltest.RequireProgram(t, "ip"), kerneltest.RequireProgram(t, "nsenter")
	b := bundles{newBed(t, "runc", "busybox")}
	id := fmt.Sprintf("pinging-%d", os.Getpid())
	b.makeFor(t, id, []string{"/busybox", "sleep", "600"}, "pid", "mount", "network")
	defer func() { _ = exec.Command("runc", "--root", b.path("state"), "delete", "--force", id).Run() }()
	b.start(t, id)
	pid, err := os.ReadFile(b.path(id + ".pid"))
	if err != nil {
		t.Fatal(err)
	}
	do := func(program string, args ...string) {
		t.Helper()
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v: %s", program, args, err, out)
		}
	}
	inside := func(args ...string) { t.Helper(); do(nsenter, append([]string{"-t", string(pid), "-n"}, args...)...) }
	const device = "gizmoping0"
	do(ip, "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", string(pid))
	defer func() { _ = exec.Command(ip, "link", "del", device).Run() }()
	do(ip, "addr", "add", "198.51.100.1/30", "dev", device)
	do(ip, "link", "set", device, "up")
	inside(ip, "addr", "add", "198.51.100.2/30", "dev", "eth0")
	inside(ip, "link", "set", "eth0", "up")
	g := startGizmo(t, "run", "tcpdump", "-o", "json", "-v", "--runtimes=runc", "--runc-root="+b.path("state"), "-c", "name-of-"+id, "--pf", "icmp")
	busybox := kerneltest.RequireProgram(t, "busybox")
	eventually(t, "packets are shown", func() error {
		inside(busybox, "ping", "-c", "1", "198.51.100.1")
		if !strings.Contains(g.out.text(), "\n") {
			return fmt.Errorf("standard error: %s", g.err.text())
		}
		return nil
	})
	first, _, _ := strings.Cut(g.out.text(), "\n")
	var got struct {
		Summary string
		Proc    struct{ PID int }
		Runtime map[string]any
	}
	if err := json.Unmarshal([]byte(first), &got); err != nil {
		t.Fatalf("%s: %v", first, err)
	}
	if got.Proc.PID != 0 || !strings.Contains(got.Summary, "ICMP") || got.Runtime["containerName"] != "name-of-"+id {
		t.Errorf("got %+v; gizmo says: %s", got, g.err.text())
	}
}
